# `make` alone lists the targets. Everything lives in .venv; nothing is installed elsewhere.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(firstword $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo "$$p"; done))
EXTRAS ?= dev
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

.PHONY: help setup format docs lint test fuzz faults mutants test-next end-to-end demo bench bench-gpu peers parity lock audit image clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

setup: $(READY)  ## Install everything into .venv and leave .venv/bin/brats-unet; EXTRAS=dev,gpu for GPUs

$(READY): pyproject.toml constraints.txt
	@if [ -z "$(PYTHON)" ]; then \
		echo "No Python 3.11, 3.12 or 3.13 found (TensorFlow needs one of them). Install one, or run make setup PYTHON=/path/to/python3." >&2; \
		exit 2; fi
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) ..."
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@echo "Installing setuptools and wheel ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt setuptools wheel
	@echo "Installing TensorFlow and the other packages (some minutes; about 3 GB on disk, more with EXTRAS=dev,gpu) ..."
	@[ -t 1 ] || quiet=--quiet; PYTHONWARNINGS=ignore $(BIN)/python -m pip install $${quiet:-} \
		--disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[$(EXTRAS)]'
	@scripts/hooks/install
	@touch $(READY)
	@echo "Ready: $(BIN)/brats-unet --help"

format: setup  ## Format the code
	@$(BIN)/ruff check --quiet --fix-only . || true
	@$(BIN)/ruff format --quiet .

docs: setup  ## Rewrite the tables of docs/METRICS.md from the metrics' records
	@$(BIN)/python scripts/metrics_tables.py

lint: setup  ## Check style, types and who imports whom
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo

# One worker a core, but each takes up to 2 GiB: TensorFlow and a small network. 0 runs the tests in this process.
WORKERS ?= $(shell $(BIN)/python -c 'import os; from brats_unet.hardware import memory_available_bytes; \
	cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(); \
	count = min(cores, 8, memory_available_bytes() >> 31); print(count if count > 1 else 0)')

test: setup  ## Run the tests, a worker a core (5 minutes on 2 cores; 7 where they lack bfloat16)
	@$(BIN)/python -m pytest -q -m "not slow" -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=10

fuzz: setup  ## Damage 20,000 files of every kind and open them as the commands do (15 minutes on 2 cores)
	@$(BIN)/python scripts/fuzz.py --count 20000 --jobs 2

faults: setup  ## Kill every command and fill its disk at each file event, and run it again (45 minutes on 2 cores); RESUME=1 goes on
	@$(BIN)/python scripts/faults.py --jobs 2 $(if $(RESUME),--resume)

mutants: setup  ## Change the source in 420 small ways and count how many of these mutants the tests notice
	@$(BIN)/python scripts/mutants.py --count 420

test-next:  ## Run the tests on the newest TensorFlow, pre-releases included, in .venv-next
	@PYTHON="$(PYTHON)" scripts/test_next.sh

end-to-end: setup  ## Run the long proofs
	@$(BIN)/python -m pytest -q -m slow

demo: setup  ## Phantoms -> train -> evaluate -> predict, in runs/demo
	@scripts/demo.sh

bench: peers  ## Measure speed on this machine
	@for script in scripts/bench/*.py; do $(BIN)/python "$$script"; done

bench-gpu: setup  ## Measure the recipes on this machine's GPU beside nnU-Net; PEERS=folder with a torch for CUDA
	@scripts/bench/gpu.sh

peers: setup  ## Build the environment of the packages that we are compared with, .venv-peers
	@scripts/peers.sh

parity: setup  ## Compare our scores, augmentation, patches and networks with other packages' (in an environment of their own)
	@scripts/parity.sh

lock: setup  ## Write requirements.lock with hashes, and docs/LICENCES.md
	@$(BIN)/python scripts/supply.py

audit: setup  ## Ask the registry for known vulnerabilities of the locked packages; fails if it does not list one (needs the network)
	@[ -x .venv-audit/bin/pip-audit ] || { $(PYTHON) -m venv .venv-audit && .venv-audit/bin/python -m pip install --quiet pip-audit; }
	@.venv-audit/bin/pip-audit --strict --require-hashes --disable-pip -r requirements.lock

image:  ## Build the container image with docker, podman or apptainer; DEVICE=gpu, MODEL=exported network
	@DEVICE="$(DEVICE)" MODEL="$(MODEL)" scripts/container/build.sh

clean:  ## Remove caches and builds; never runs, data or .venv
	@rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	@find brats_unet conf tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
