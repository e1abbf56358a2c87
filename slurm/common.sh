# shellcheck shell=bash
# What the batch scripts share: where isnet is, how ranks are started, when a job goes back to the queue.
# Sourced; expects $home, the folder of isnet.
# shellcheck disable=SC2154,SC2034  # home comes from, launcher and recipes go to the script that sources this

# The job, or this one task of an array: the bare number can mean the whole array.
this_job() {
  if [[ -n ${SLURM_ARRAY_TASK_ID:-} ]]; then echo "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"; else echo "$SLURM_JOB_ID"; fi
}

say() { echo "$(date +%T) job $(this_job)${SLURM_RESTART_COUNT:+ restart $SLURM_RESTART_COUNT}: $*"; }

option_value() {  # option_value --name WORD...: what is given for it, empty if nothing; the last one counts
  local name=$1 value=''
  shift
  while (($#)); do
    case $1 in
      "$name") value=${2:-} ;;
      "$name"=*) value=${1#*=} ;;
    esac
    shift
  done
  echo "$value"
}

without_options() {  # without_options "--a --b" "--flag" WORD...: fills $kept with the others
  local with_value=$1 flags=$2 skip=false word
  shift 2
  kept=()
  for word in "$@"; do
    if $skip; then skip=false; continue; fi
    if [[ " $with_value " == *" $word "* ]]; then skip=true; continue; fi
    if [[ " $with_value " == *" ${word%%=*} "* && $word == *=* ]]; then continue; fi
    if [[ " $flags " == *" $word "* ]]; then continue; fi
    kept+=("$word")
  done
}

training_recipes() {  # training_recipes FOLDER: fills $recipes; recipes of isnet pack are named *_data.ini
  local file
  recipes=()
  for file in "$1"/*.ini; do
    if [[ -f $file && $file != *_data.ini ]]; then recipes+=("$file"); fi
  done
}

# srun with PMIx starts the ranks as steps of the job, and Slurm's signals reach them; mpirun is for a Slurm that
# was built without PMIx. ISNET_LAUNCHER=srun or mpirun decides otherwise.
choose_launcher() {  # choose_launcher LOG-FOLDER: fills $launcher
  local logs=$1 binary kind=${ISNET_LAUNCHER:-}
  binary=$("$home/launch/run.sh" --print-binary)
  mkdir -p "$logs"
  if [[ -z $kind ]]; then
    if srun --mpi=list 2>&1 | grep -qw pmix; then kind=srun; else kind=mpirun; fi
  fi
  # Ranks and threads that wait give up their core; MPI carries one broadcast and a few barriers.
  export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_pml=ob1 OMPI_MCA_btl=vader,tcp,self
  export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-1000}
  if [[ $kind == srun ]]; then
    # srun does not take over what sbatch was told about cores (Slurm 22.05 and later)
    [[ -z ${SLURM_CPUS_PER_TASK:-} ]] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
    # Not --kill-on-bad-exit: ranks that refuse a command one after the other would end each other with SIGTERM, and
    # the status would be 143. When a rank dies the others end the step, once rank 0 has written the checkpoint in hand.
    launcher=(srun --mpi=pmix --kill-on-bad-exit=0 --open-mode=append
      --output="$logs/rank-%t.log" --error="$logs/rank-%t.log" "$binary")
  else
    launcher=("$home/launch/run.sh" --rank-logs "$logs" --)
  fi
}

job_state() { scontrol -o show job "$(this_job)" 2>/dev/null | sed -nE 's/.*JobState=([A-Z_]+).*/\1/p'; }

# Back to the queue, to go on from the last checkpoint. Not when the job no longer runs for Slurm: then it was
# cancelled, or Slurm itself has put it back (preemption, scontrol requeue, a lost node).
requeue() {
  local state
  state=$(job_state)
  if [[ $state != RUNNING && $state != TIMEOUT ]]; then
    say "not requeued: Slurm says ${state:-nothing}"
    return 1
  fi
  if ! scontrol requeue "$(this_job)"; then
    say "scontrol requeue failed: start the job again by hand; it resumes from its last checkpoint"
    return 1
  fi
  trap '' USR1 TERM
  say "back to the queue"
  sleep 60 &  # Slurm ends this script; a status of its own would end the job instead
  wait $!
}
