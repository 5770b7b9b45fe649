#!/usr/bin/env bash
# Phantoms -> train -> evaluate -> predict, with figures, all in runs/demo. Running it again continues where it stopped.
set -euo pipefail
cd "$(dirname "$0")/.."
tool=.venv/bin/brats-unet
demo=runs/demo

show() { printf '\n$ brats-unet %s\n' "$*"; "$tool" "$@"; }

show train experiment=quick data=phantom name=demo data.root=$demo/phantoms data.cache=$demo/cache
show evaluate run=$demo
show phantom output=$demo/unseen cases=2 seed=1
show predict run=$demo input=$demo/unseen output=$demo/predictions

printf '\nResults:\n'
printf '  %s\n' $demo/figures/training.png "$(ls -d $demo/evaluation/figures)/" $demo/evaluation/scores.csv $demo/predictions/
