#!/usr/bin/env bash
# Compare our scores with other packages', in an environment of their own (.venv-peers): they pin what TensorFlow needs newer.
set -euo pipefail
cd "$(dirname "$0")/.."
peers=.venv-peers
if [ ! -f $peers/ready ] || [ scripts/parity/requirements.txt -nt $peers/ready ]; then
  [ -x $peers/bin/python ] || .venv/bin/python -m venv $peers
  old='^(MedPy|surface-distance)=='  # they ask for more than they use
  wanted=$(grep -v '^#' scripts/parity/requirements.txt)
  pip=($peers/bin/python -m pip install --quiet --disable-pip-version-check)
  # shellcheck disable=SC2046
  "${pip[@]}" $(grep -vE "$old" <<<"$wanted")
  "${pip[@]}" --no-deps $(grep -E "$old" <<<"$wanted")
  touch $peers/ready
fi
PYTHONPATH=. $peers/bin/python scripts/parity/metrics_parity.py "$@"
