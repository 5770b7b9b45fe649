#!/usr/bin/env bash
# Compare scores, augmentation, sampling, training and networks with other packages, in the environment of scripts/peers.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/peers.sh
scripts/brats_evaluation.sh
PYTHONPATH=. "${PEERS:-.venv-peers}/bin/python" scripts/parity/metrics_parity.py "$@"
PYTHONPATH=. "${PEERS:-.venv-peers}/bin/python" scripts/parity/augmentation_parity.py
PYTHONPATH=. "${PEERS:-.venv-peers}/bin/python" scripts/parity/sampling_parity.py
PYTHONPATH=. "${PEERS:-.venv-peers}/bin/python" scripts/parity/foreground_parity.py
.venv/bin/python scripts/parity/training_parity.py
.venv/bin/python scripts/parity/network_parity.py
.venv/bin/python scripts/parity/brats2026_parity.py
