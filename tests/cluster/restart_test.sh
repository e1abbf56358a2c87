#!/usr/bin/env bash
# A rank is killed in the middle of a training: launch/run.sh --max-restarts starts it again from the last checkpoint,
# and it comes to the weights of the undisturbed run. Budget: 60 s. Needs mpirun, no rights.
# shellcheck source=tests/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_programs mpirun pgrep

step "pack and train undisturbed"
hold_options
make_data "$work/data"
train_here "$work/here" "$epochs"

step "kill a rank after the first checkpoint"
"$root/launch/run.sh" -n 2 --max-restarts 1 -- train "${training[@]}" --data "$work/data" --max-epochs "$epochs" \
  --output "$work/killed" "${held[@]}" > "$work/log" 2>&1 &
launcher=$!
# shellcheck disable=SC2317  # called by wait_for
has_checkpoint() { [[ -e $work/killed/checkpoints/last.ckpt ]]; }
wait_for 60 "a checkpoint" has_checkpoint
rank=$(pgrep -P "$(pgrep -P $launcher)" | tail -n 1)
kill -KILL "$rank"
let_go
status=0
wait $launcher || status=$?
((status == 0)) || { cat "$work/log" >&2; fail "status $status"; }
expect_text "the restart" "restart 1 of 1" "$work/log"
expect_text "the resumption" "resuming from" "$work/log"
expect_same_result "killed and restarted" "$work/here" "$work/killed"
echo "passed in $SECONDS s"
