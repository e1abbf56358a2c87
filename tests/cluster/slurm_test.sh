#!/usr/bin/env bash
# slurm/train_isnet.sh on a Slurm of two virtual nodes: a cancelled job saves, is not requeued, and goes on when it
# is submitted again; a job that does not fit into its time limit requeues itself until it is done. Both come to the
# weights of the undisturbed run. slurm/evaluate.sh writes its metrics.
# Budget: 180 s. Needs root, namespaces and slurm-wlm.
# shellcheck source=tests/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_slurm
hold_options

step "pack and train on one machine"
make_data "$work/data"
train_here "$work/here" "$epochs"

step "Slurm comes up"
slurm_up
up_at=$SECONDS

step "a cancelled job saves and stays away"
job=$(submit cancelled slurm/train_isnet.sh "${training[@]}" --data "$work/data" --max-epochs "$epochs" \
  --output "$work/cancelled" "${held[@]}")
wait_for 60 "a checkpoint" has_checkpoint "$work/cancelled"
"$slurm" run scancel "$job"
expect_end cancelled "$job" "CANCELLED*"
expect_text "the ranks' status" "the step ended with status 75" "$work/cancelled.log"
expect_no_text "no requeue" "back to the queue" "$work/cancelled.log"

step "submitted again, it goes on"
let_go
job=$(submit cancelled slurm/train_isnet.sh "${training[@]}" --data "$work/data" --max-epochs "$epochs" \
  --output "$work/cancelled")
expect_end cancelled "$job" "COMPLETED 0:0"
expect_same_result "cancelled and submitted again" "$work/here" "$work/cancelled"

step "a job longer than its time limit"
# Slurm counts limits in minutes, and looks at them every 30 s from its start on: a minute, with the signal 55 s
# before its end, and the job starts when the next look is 8 to 16 s away. It waits for the signal.
hold
until (((SECONDS - up_at) % 30 >= 14 && (SECONDS - up_at) % 30 <= 22)); do sleep 0.2; done
job=$(submit limit -t 1 --signal=B:USR1@55 slurm/train_isnet.sh "${training[@]}" --data "$work/data" \
  --max-epochs "$epochs" --output "$work/limit" "${held[@]}")
wait_for 90 "the signal" grep -q "got SIGUSR1" "$work/limit.log"
let_go
expect_end limit "$job" "COMPLETED 0:0"
expect_text "the signal" "got SIGUSR1" "$work/limit.log"
expect_text "the ranks' status" "the step ended with status 75" "$work/limit.log"
expect_text "the requeue" "back to the queue" "$work/limit.log"
expect_text "the second start" "restart 1" "$work/limit.log"
expect_same_result "requeued by its time limit" "$work/here" "$work/limit"

step "evaluate"
job=$(submit evaluate -N 1 slurm/evaluate.sh --checkpoint "$work/limit/checkpoints/last.ckpt" --data "$work/data" \
  --split val --output "$work/evaluation")
expect_end evaluate "$job" "COMPLETED 0:0"
expect_text "metrics" '"accuracy"' "$work/evaluation/metrics.json"
echo "passed in $SECONDS s"
