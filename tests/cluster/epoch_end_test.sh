#!/usr/bin/env bash
# A run whose last checkpoint is that of an epoch's last step, not of its end: what resumes it makes the end of that
# epoch again, and its rows of metrics.csv with it, once. Budget: 20 s. Needs no rights.
# shellcheck source=tests/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_troublemaker

make_data "$work/data"
train() {  # train STATUS RUN OPTION...: 12 steps an epoch
  status_of "$work/log" "$ISNET_BINARY" train "${training[@]}" --data "$work/data" --output "$work/$2" --max-epochs 2 \
    --plugin "$troublemaker" "${@:3}"
  [[ $status == "$1" ]] || { cat "$work/log" >&2; fail "status $status instead of $1"; }
}
train 0 whole
# The epoch's end writes its rows, and no checkpoint after that of its last step; then the process is killed.
train 137 parts --checkpoint-every-n-steps 12 --checkpoint-every-n-epochs 1000 --checkpoint-background 0 --trouble kill:0:12
expect_equal "rows after an epoch" 3 "$(wc -l < "$work/parts/metrics.csv")"
expect_equal "steps of the last checkpoint" 12 "$(checkpoint_step "$work/parts/checkpoints/last.ckpt")"
train 0 parts --resume last
expect_same_result "resumed at an epoch's last step" "$work/whole" "$work/parts"

# Killed after the epoch's validation, before its rows are written: no checkpoint says that its end is behind it.
train 137 killed --checkpoint-background 0 --trouble kill-at-end:0:12
train 0 killed --resume last
expect_same_result "resumed after a kill at an epoch's end" "$work/whole" "$work/killed"

# A validation within an epoch that comes after the last checkpoint is made again: once, with its row or without.
within=(--val-check-interval 4 --save-top-k 0 --checkpoint-every-n-steps 4 --checkpoint-background 0)
train 0 whole-within "${within[@]}"
train 137 unvalidated "${within[@]}" --trouble kill-validating:0:4
train 0 unvalidated "${within[@]}" --resume last
expect_same_result "resumed before a validation" "$work/whole-within" "$work/unvalidated"
train 137 validated "${within[@]}" --trouble kill:0:4
train 0 validated "${within[@]}" --resume last
expect_same_result "resumed before a validation that has its row" "$work/whole-within" "$work/validated"
echo "passed in $SECONDS s"
