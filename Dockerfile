# brats-unet as a container, for the CPU or with --build-arg DEVICE=gpu. docs/CONTAINER.md says how to run it.
#
# The base is pinned by tag, not by digest: the tag fixes Python and the release of Debian, and a rebuild takes in
# Debian's security fixes. The packages of Python are pinned by constraints.txt. There is no CUDA base: the libraries
# come with tensorflow[and-cuda], the driver with the machine.
ARG PYTHON=3.12.12-slim-bookworm

FROM python:${PYTHON} AS build
ARG DEVICE=cpu
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY conf conf
COPY brats_unet brats_unet
RUN case "$DEVICE" in \
      cpu) extras="export" ;; \
      gpu) extras="export,gpu" ;; \
      *) echo "DEVICE=$DEVICE is unknown. Expected cpu or gpu." >&2; exit 2 ;; \
    esac \
 && python -m venv /brats-unet \
 && /brats-unet/bin/pip install --no-cache-dir -c constraints.txt setuptools wheel \
 && /brats-unet/bin/pip install --no-cache-dir -c constraints.txt --no-build-isolation ".[$extras]"

FROM python:${PYTHON}
COPY --from=build /brats-unet /brats-unet
COPY --chmod=755 scripts/container/entry.sh /usr/local/bin/entry.sh
# Whatever writes to a home or cache folder finds /tmp, for users without a home and a root that is read-only.
ENV PATH=/brats-unet/bin:$PATH \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /tmp
USER 1000:1000
ENTRYPOINT ["entry.sh"]
