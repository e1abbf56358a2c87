#!/usr/bin/env bash
# The exit statuses of real trainings on two ranks, through launch/run.sh, mpirun and srun: a table of what happened by
# who was asked; and a rank that is killed while rank 0 writes to a slow disk: that checkpoint is written still.
# Budget: 60 s. Needs mpirun; for srun also root, namespaces and slurm-wlm.
# shellcheck source=tests/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_programs mpirun
need_troublemaker
failing_writes=${FAILING_WRITES:-$root/build/dev/lib/libfailing_writes.so}
[[ -r $failing_writes ]] || skip "PROGRAMS: no $failing_writes here (the tests' build makes it)"

make_data "$work/data"
cp -r "$work/data" "$work/damaged"
shard=$(compgen -G "$work/damaged/train/*.h5" | head -n 1)
truncate -s 1000 "$shard"

launchers=(run.sh mpirun)
slurm=$tests_cluster/mini-slurm.sh
export SLURM_MINI_DIR=$work/slurm
# shellcheck disable=SC2317  # called at the end
slurm_down() { "$slurm" down; }
if ((EUID == 0)) && command -v slurmctld slurmd munged srun ip nsenter > /dev/null && unshare --net --uts --mount --ipc --pid --fork true 2> /dev/null; then
  at_exit+=(slurm_down)
  "$slurm" up 2
  launchers+=(srun)
fi

launch() {  # launch LAUNCHER WORD...: isnet on two ranks
  case $1 in
    run.sh) "$root/launch/run.sh" -n 2 --save-seconds "${save_seconds:-2}" -- "${@:2}" ;;
    mpirun) env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1 \
      mpirun -n 2 --oversubscribe --bind-to none "$ISNET_BINARY" "${@:2}" ;;
    srun) "$slurm" run srun -N 2 -n 2 --mpi=pmix --kill-on-bad-exit=0 "$ISNET_BINARY" "${@:2}" ;;
  esac
}
# Statuses that the launcher makes of a rank that a signal has ended.
killed() { [[ $1 == 137 || $1 == 1 ]]; }

start_all() {  # start_all FUNCTION WORD...: calls it with each launcher and the words, all at once; log and run of their own
  local launcher
  jobs_of=()
  for launcher in "${launchers[@]}"; do
    rm -rf "$work/run-$launcher"
    "$1" "$launcher" "${@:2}" > "$work/log-$launcher" 2>&1 &
    jobs_of[$launcher]=$!
  done
}
declare -A jobs_of
end_of() {  # end_of LAUNCHER: sets $status
  status=0
  wait "${jobs_of[$1]}" || status=$?
}
short_run() {  # short_run LAUNCHER OPTION...
  launch "$1" train "${training[@]}" --data "$work/data" --max-epochs 1 --output "$work/run-$1" \
    --heartbeat-interval 0.5 --heartbeat-timeout 4 --quiet "${@:2}"
}
check() {  # check STATUS TEXT WHAT OPTION...: on all launchers
  local launcher row
  row=$(printf '%-34s' "$3")
  start_all short_run "${@:4}"
  for launcher in "${launchers[@]}"; do
    end_of "$launcher"
    if [[ $1 == killed ]]; then
      killed "$status" || { cat "$work/log-$launcher" >&2; fail "$3 through $launcher: status $status"; }
    elif [[ $1 != "$status" ]]; then
      cat "$work/log-$launcher" >&2
      fail "$3 through $launcher: expected status $1, got $status"
    fi
    [[ -z $2 ]] || expect_text "$3 through $launcher" "$2" "$work/log-$launcher"
    row+=$(printf '%10s' "$status")
  done
  echo "$row"
}
trouble() { echo "--plugin $troublemaker --max-epochs 1000 --trouble $1"; }

printf '%-34s' "what happens"
printf '%10s' "${launchers[@]}"
echo
# shellcheck disable=SC2046  # words
{
  check 0 "" "done"
  check 75 "" "time is up" --max-time 1e-9
  check 2 "--lr: 'x' is not allowed" "a bad value" --lr x
  check 2 "do not fill one batch" "a batch larger than the split" --batch-size 100000 --last-batch drop
  check 3 "shard-00000.h5" "a damaged shard" --data "$work/damaged"
  check 3 "is cut in half" "bad data on one rank, later" $(trouble error:1:3)
  check 1 "has been silent for" "a stopped rank" $(trouble stop:1:300)
  check 1 "is alive, but has done nothing" "an endless loop" $(trouble loop:1:3) --distributed-timeout 4
  check killed "" "a killed rank" $(trouble kill:1:3)
}

# The flush of the first checkpoint, after step 3, takes 4 s; rank 1 dies before step 6.
killed_while_saving() {
  local save_seconds=12
  export LD_PRELOAD=$failing_writes ISNET_TEST_CALL=fsync ISNET_TEST_FILE=$work/run-$1/checkpoints/last.ckpt \
    ISNET_TEST_TRIGGER=$work ISNET_TEST_FAULT=slow ISNET_TEST_SECONDS=4
  # shellcheck disable=SC2046  # words
  launch "$1" train "${training[@]}" --data "$work/data" --output "$work/run-$1" --quiet --checkpoint-every-n-steps 3 \
    $(trouble kill:1:5)
}
start_all killed_while_saving
for launcher in "${launchers[@]}"; do
  end_of "$launcher"
  killed "$status" ||
    { cat "$work/log-$launcher" >&2; fail "killed while rank 0 saves, through $launcher: status $status"; }
  [[ $launcher != mpirun ]] || continue  # by itself it kills the others after 2 s
  last=$work/run-$launcher/checkpoints/last.ckpt
  [[ -e $last ]] || { cat "$work/log-$launcher" >&2; fail "the checkpoint is lost, through $launcher"; }
  expect_equal "the step of the checkpoint, through $launcher" 3 "$(checkpoint_step "$last")"
done
echo "passed in $SECONDS s (${launchers[*]})"
