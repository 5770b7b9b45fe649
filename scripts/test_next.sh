#!/usr/bin/env bash
# Run the tests on the newest TensorFlow there is, pre-releases included, beside our other pins; in .venv-next.
set -euo pipefail
cd "$(dirname "$0")/.."
next=.venv-next
rm -rf $next
"${PYTHON:-python3}" -m venv $next
pip() { PYTHONWARNINGS=ignore $next/bin/python -m pip --disable-pip-version-check "$@"; }
grep -vE '^(tensorflow|keras|tensorboard|h5py)==' constraints.txt >$next/constraints.txt
pip install --quiet -c $next/constraints.txt setuptools wheel
# Ours first, then TensorFlow: a pre-release may want keras-nightly, which lies in the same folder as Keras. The tests
# are to judge TensorFlow, so the Keras of constraints.txt is put back last.
pip install --quiet -c $next/constraints.txt --no-build-isolation -e '.[dev]'
pip install --quiet -c $next/constraints.txt --upgrade --pre tensorflow
pip install --quiet --no-deps --force-reinstall "$(grep '^keras==' constraints.txt)"
$next/bin/python - <<'PYTHON'
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, tensorflow
print(f"TensorFlow {tensorflow.__version__}, Keras {keras.__version__}")
PYTHON
$next/bin/python -m pytest -q -m "not slow" -n 2 --dist loadfile "$@"
