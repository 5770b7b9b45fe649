#!/usr/bin/env bash
# Phantoms -> train -> evaluate -> predict -> report, all in runs/demo. Running it again continues where it stopped.
set -euo pipefail
cd "$(dirname "$0")/.."
tool=.venv/bin/brats-unet
demo=runs/demo

show() { printf '\n$ brats-unet %s\n' "$*"; "$tool" "$@"; }

show train experiment=quick data=phantom name=demo data.root=$demo/phantoms data.cache=$demo/cache
show evaluate run=$demo
show phantom output=$demo/unseen cases=2 seed=1
show predict run=$demo input=$demo/unseen output=$demo/predictions
show report run=$demo

printf '\nOpen this page in a browser:\n  %s\n\nAlso there:\n' "$PWD/$demo/report.html"
printf '  %s\n' $demo/figures/training.png "$(ls -d $demo/evaluation/figures)/" $demo/evaluation/scores.csv $demo/predictions/
