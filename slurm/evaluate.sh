#!/usr/bin/env bash
# Evaluates on a Slurm cluster: metrics of one or several splits into OUTPUT/metrics.json.
#
#   sbatch slurm/evaluate.sh --checkpoint FILE --data DIR --split test --output DIR [OPTION...]
#
# All options go to isnet evaluate (isnet evaluate --help). Submit from the folder of isnet, or set ISNET_HOME.
# Options of sbatch before the script's name take precedence over these:
#SBATCH --job-name=isnet-evaluate
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --time=02:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=isnet-evaluate-%j.log
set -euo pipefail

if [[ -z ${SLURM_JOB_ID:-} ]]; then
  sed -n '2,/^set -e/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
  exit 2
fi
home=${ISNET_HOME:-${SLURM_SUBMIT_DIR:-$PWD}}
[[ -f $home/slurm/common.sh ]] || { echo "no isnet in $home: submit from its folder, or set ISNET_HOME" >&2; exit 2; }
# shellcheck source=slurm/common.sh
source "$home/slurm/common.sh"

output=$(option_value --output "$@")
launcher=()
choose_launcher "${output:-runs/evaluate-$SLURM_JOB_ID}/logs"
without_options "--output" "" "$@"
exec "${launcher[@]}" evaluate "${kept[@]}" --output "${output:-runs/evaluate-$SLURM_JOB_ID}"
