#!/usr/bin/env bash
# Run `brats-unet train` as a step of a Slurm job; put the job back into the queue if the training was stopped and saved.
# Started by train.sbatch and folds.sbatch, with the settings of the training.
#
#   BRATS_UNET   the program (.venv/bin/brats-unet if that exists, else brats-unet)
#   LOCAL_DISK   folder on a disk of each node, for prepared cases ($SLURM_TMPDIR, else /tmp)
#   REQUEUES     most times that the job is put back (50)
set -uo pipefail
STOPPED=75 # exit code: stopped by a signal or without a worker, and saved
program=${BRATS_UNET:-$([ -x .venv/bin/brats-unet ] && echo .venv/bin/brats-unet || echo brats-unet)}
settings=("$@")

sets() { # whether a setting is among those given
  local setting
  for setting in "${settings[@]}"; do [[ $setting == "$1="* ]] && return; done
  return 1
}

sets data.cache || settings+=("data.cache=${LOCAL_DISK:-${SLURM_TMPDIR:-/tmp}}/brats-unet-$(id -un)")
if [ "${SLURM_JOB_NUM_NODES:-1}" -gt 1 ]; then
  sets hardware || settings+=(hardware=workers)
fi

# A worker that ends early must not end the others, which may still be saving: they stop by their own deadline.
srun --kill-on-bad-exit=0 "$program" train ${settings[@]+"${settings[@]}"} &
step=$!
asked=
trap 'trap "" USR1; asked=yes; kill -USR1 "$step"' USR1 # srun passes the signal to all tasks
wait "$step"
code=$?
if [ -n "$asked" ]; then # the signal has ended `wait`, not the step
  wait "$step"
  code=$?
fi

if [ "$code" -ne "$STOPPED" ]; then exit "$code"; fi
# Not RUNNING: the user has cancelled the job, or Slurm is already putting it back.
state=$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%T)
if [ "$state" != RUNNING ]; then
  echo "Stopped and saved; the job is ${state:-no longer in the queue}. Submit it again to continue." >&2
elif [ "${SLURM_RESTART_COUNT:-0}" -ge "${REQUEUES:-50}" ]; then
  echo "Stopped and saved, after $SLURM_RESTART_COUNT restarts. Submit the job again to continue." >&2
elif scontrol requeue "$SLURM_JOB_ID"; then
  echo "Stopped and saved; the job is back in the queue and will continue." >&2
else
  echo "Stopped and saved, but the job could not be put back into the queue. Submit it again to continue." >&2
fi
exit "$STOPPED"
