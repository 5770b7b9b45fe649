#!/usr/bin/env bash
# Build the container image with the first builder that works: docker, podman or apptainer. See docs/CONTAINER.md.
#
#   scripts/container/build.sh                           brats-unet:cpu, or brats-unet-cpu.sif
#   DEVICE=gpu scripts/container/build.sh                with TensorFlow's CUDA libraries
#   MODEL=exported/net scripts/container/build.sh        also brats-unet:cpu-model, which holds that network as /model
set -euo pipefail
cd "$(dirname "$0")/../.."
device=${DEVICE:-cpu}
model=${MODEL:-}
if [ -n "$model" ] && [ ! -f "$model/prediction.json" ]; then
  echo "MODEL=$model is not an exported network. Make one: brats-unet export run=… output=$model" >&2
  exit 2
fi
for builder in docker podman; do
  if "$builder" info >/dev/null 2>&1; then
    "$builder" build --build-arg "DEVICE=$device" --tag "brats-unet:$device" .
    if [ -n "$model" ]; then
      printf 'FROM brats-unet:%s\nCOPY . /model\n' "$device" |
        "$builder" build --tag "brats-unet:$device-model" --file - "$model"
    fi
    exit
  fi
done
if command -v apptainer >/dev/null; then
  if [ -n "$model" ]; then
    echo "MODEL= is for docker and podman. With Apptainer, bind the network: apptainer run --bind $model:/model:ro …" >&2
    exit 2
  fi
  exec apptainer build --build-arg "DEVICE=$device" "brats-unet-$device.sif" scripts/container/apptainer.def
fi
silent=
for builder in docker podman; do
  if command -v "$builder" >/dev/null; then silent+=" $builder, whose service does not answer;"; fi
done
found=${silent:- none of them}
echo "No image was built: expected docker, podman or apptainer, but found${found%;}." >&2
exit 2
