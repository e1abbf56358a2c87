#!/usr/bin/env bash
# Trains on a Slurm cluster until the training is done, over time limits, preemptions and failures.
#
#   sbatch slurm/train_isnet.sh --config recipes/x.ini --data DIR --output DIR [OPTION...]
#   sbatch --array=0-3 slurm/train_isnet.sh --data DIR --output DIR      a task for each training recipe of a folder
#
# All options go to isnet train (isnet train --help). Submit from the folder of isnet, or set ISNET_HOME.
# Options of sbatch before the script's name take precedence over these:
#SBATCH --job-name=isnet
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=2
##SBATCH --cpus-per-task=8
##SBATCH --gpus-per-task=1
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=isnet-%j.log
#
# 120 s before the time limit the ranks save a checkpoint, and the job requeues itself; so it does after a failure
# (a rank that dies, a node that reboots), as long as there is progress. Preempted jobs and those of a lost node are
# requeued by Slurm. Each start resumes from the last checkpoint. scancel saves and ends.
# Output of rank N: OUTPUT/logs/rank-N.log; this script's own: isnet-JOBID.log.
#
# Environment (sbatch passes it on):
#   ISNET_HOME          folder of isnet (default: where sbatch was called, else where this script is)
#   ISNET_BINARY        the program (default: build/release/bin/isnet and so on, see launch/run.sh)
#   ISNET_LAUNCHER      srun or mpirun (default: srun if it knows PMIx)
#   ISNET_RECIPES       folder of a job array's training recipes, numbered from 0 in alphabetical order (default:
#                       recipes/compare); *_data.ini, which are for isnet pack, do not count
#   ISNET_SAVE_SECONDS  how long ranks may take to save and end (default 100; less than --signal's time)
#   ISNET_FAILURES      failures in a row without a new checkpoint after which the job gives up (default 3)
set -euo pipefail

if [[ -z ${SLURM_JOB_ID:-} ]]; then
  sed -n '2,/^set -e/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
  exit 2
fi
home=${ISNET_HOME:-${SLURM_SUBMIT_DIR:-$PWD}}
if [[ ! -f $home/slurm/common.sh ]]; then  # Slurm runs a copy of this script: ask it where the original is
  script=$(scontrol -o show job "$SLURM_JOB_ID" | sed -nE 's/.* Command=([^ ]+).*/\1/p')
  home=$(dirname "$(dirname "$script")")
fi
[[ -f $home/slurm/common.sh ]] || { echo "no isnet in $home: submit from its folder, or set ISNET_HOME" >&2; exit 2; }
# shellcheck source=slurm/common.sh
source "$home/slurm/common.sh"

# --- what to run -----------------------------------------------------------------------------------------

config=$(option_value --config "$@")
output=$(option_value --output "$@")
output=${output:-runs/${SLURM_JOB_NAME:-isnet}-${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}}
without_options "--output" "" "$@"
if [[ -z $config && -n ${SLURM_ARRAY_TASK_ID:-} ]]; then
  training_recipes "${ISNET_RECIPES:-$home/recipes/compare}"
  config=${recipes[SLURM_ARRAY_TASK_ID]:-}
  if [[ -z $config ]]; then
    say "there is no training recipe number $SLURM_ARRAY_TASK_ID in ${ISNET_RECIPES:-$home/recipes/compare}, which has" \
      "${#recipes[@]}, numbered from 0: ${recipes[*]##*/}"
    exit 2
  fi
  kept+=(--config "$config")
  output=$output/$(basename "$config" .ini)
fi
if [[ -n ${SLURM_RESTART_COUNT:-} ]]; then
  without_options "--resume" "--overwrite" "${kept[@]}"
  kept+=(--resume last)
elif [[ -z $(option_value --resume "$@") && " $* " != *" --overwrite "* ]]; then
  kept+=(--resume last)
fi
logs=$output/logs
launcher=()
choose_launcher "$logs"
say "nodes ${SLURM_JOB_NODELIST:-?}, ${SLURM_NTASKS:-?} ranks, ${launcher[0]##*/}, output $output"

# --- run it, and listen ----------------------------------------------------------------------------------

step='' stop='' signals=0
# shellcheck disable=SC2317  # called by trap
on_signal() {
  stop=${stop:-$1}
  signals=$((signals + 1))
  say "got SIG$1: the ranks save and end"
  # Slurm sends its SIGTERM to the ranks too, but under mpirun they never see it.
  if [[ -n $step && ($1 == USR1 || ${launcher[0]} != srun) ]]; then kill -USR1 "$step" 2>/dev/null || true; fi
}
trap 'on_signal USR1' USR1
trap 'on_signal TERM' TERM

has_checkpoint() { [[ -n $(find "$output/checkpoints" -name '*.ckpt' -print -quit 2>/dev/null) ]]; }
had_checkpoint=false
if has_checkpoint; then had_checkpoint=true; fi
failures=$logs/failures marker=$logs/started-$SLURM_JOB_ID
touch "$marker"
[[ -n ${SLURM_RESTART_COUNT:-} ]] || rm -f "$failures"
"${launcher[@]}" train "${kept[@]}" --output "$output" </dev/null &
step=$!

timer=''
while true; do
  before=$signals status=0
  wait "$step" || status=$?
  # wait also ends, with 128 + its number, when a signal has come in
  if ((before == signals)); then break; fi
  if [[ -z $timer ]]; then  # ranks that hang while they save must not cost the job its place in the queue
    (sleep "${ISNET_SAVE_SECONDS:-100}"; kill -KILL "$step") 2>/dev/null &
    timer=$!
  fi
done
[[ -z $timer ]] || kill "$timer" 2>/dev/null || true
say "the step ended with status $status"

# --- what now --------------------------------------------------------------------------------------------

give_up() {
  say "$1; the last lines of the ranks:"
  tail -n 5 "$logs"/rank-*.log 2>/dev/null || true
  exit "$status"
}
progress() { [[ -n $(find "$output/checkpoints" -name '*.ckpt' -newer "$marker" -print -quit 2>/dev/null) ]]; }

case $status in
  0) rm -f "$failures" "$marker"; say "done"; exit 0 ;;
  2 | 3) give_up "not worth trying again" ;;
esac
if $had_checkpoint && ! has_checkpoint; then give_up "the checkpoints that the run had are gone from $output"; fi
if [[ $status != 75 && -z $stop ]]; then
  if progress; then rm -f "$failures"; fi
  echo "$(date +%FT%T) job $SLURM_JOB_ID status $status" >> "$failures"
  if (($(wc -l < "$failures") >= ${ISNET_FAILURES:-3})); then
    give_up "failed $(wc -l < "$failures") times without a new checkpoint"
  fi
fi
requeue || true
exit "$status"
