#!/usr/bin/env bash
# Compare our scores with other packages', in the environment of scripts/peers.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/peers.sh
PYTHONPATH=. "${PEERS:-.venv-peers}/bin/python" scripts/parity/metrics_parity.py "$@"
