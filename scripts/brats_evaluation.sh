#!/usr/bin/env bash
# Build the environment of the official scorer of BraTS 2026, .venv-brats-evaluation (BRATS_EVALUATION=folder for another).
# It is AGPL-3.0: it is run as it is, and nothing of it is part of this project. Does nothing if the environment is ready.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${BRATS_EVALUATION:-.venv-brats-evaluation}
wanted="BraTS-evaluation==0.0.10 panoptica==2.1.7"
if [ "$(cat "$folder/ready" 2>/dev/null)" = "$wanted" ]; then exit 0; fi
echo "Setting up $folder ..."
[ -x "$folder/bin/python" ] || .venv/bin/python -m venv "$folder"
# shellcheck disable=SC2086  # two packages
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check $wanted
echo "$wanted" >"$folder/ready"
