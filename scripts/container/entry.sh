#!/usr/bin/env bash
# Entry point of the container.
#
#   without arguments, or with key=value…   predict all cases of /input: /output/<case>.nii.gz, and nothing else there
#   with a command                          brats-unet COMMAND key=value…
#
# /model is a run folder or an exported network; a folder of several of them is an ensemble. INPUT, OUTPUT and MODEL
# name other folders. Exit codes are those of `brats-unet predict`: 0, 1 if a case could not be read, 2 if refused.
set -euo pipefail
shopt -s nullglob
case "${1:-}" in
  "" | *=*) ;;
  *) exec brats-unet "$@" ;;
esac

model=${MODEL:-/model}
is_network() { [ -f "$1/recipe.json" ] || [ -f "$1/prediction.json" ]; }
networks=()
if is_network "$model"; then
  networks=("$model")
else
  for folder in "$model"/*/; do
    if is_network "$folder"; then networks+=("${folder%/}"); fi
  done
fi
if [ ${#networks[@]} -eq 0 ]; then
  echo "error: $model holds no network. Mount a run folder or an exported network as $model, or a folder of several." >&2
  exit 2
fi
run=$(printf ",'%s'" "${networks[@]}")
exec brats-unet predict "run=[${run:1}]" "input=${INPUT:-/input}" "output=${OUTPUT:-/output}" \
  masks_only=true overwrite=true "$@"
