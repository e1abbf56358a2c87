#!/usr/bin/env bash
# A run whose last checkpoint is that of an epoch's last step, not of its end: what resumes it makes the end of that
# epoch again, and its rows of metrics.csv with it, once. Budget: 20 s. Needs no rights.
# shellcheck source=tests/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[[ -n ${TROUBLEMAKER:-} ]] || skip "PROGRAMS: no TROUBLEMAKER, a plug-in of the tests (ctest names it)"

make_data "$work/data"
train() {  # train STATUS RUN OPTION...: 12 steps an epoch
  status_of "$work/log" "$ISNET_BINARY" train "${training[@]}" --data "$work/data" --output "$work/$2" --max-epochs 2 \
    --plugin "$TROUBLEMAKER" "${@:3}"
  [[ $status == "$1" ]] || { cat "$work/log" >&2; fail "status $status instead of $1"; }
}
train 0 whole
# The epoch's end writes its rows, and no checkpoint after that of its last step; then the process is killed.
train 137 parts --checkpoint-every-n-steps 12 --checkpoint-every-n-epochs 1000 --checkpoint-background 0 --trouble kill:0:12
expect_equal "rows after an epoch" 3 "$(wc -l < "$work/parts/metrics.csv")"
expect_equal "steps of the last checkpoint" 12 "$(checkpoint_step "$work/parts/checkpoints/last.ckpt")"
train 0 parts --resume last
expect_same_result "resumed at an epoch's last step" "$work/whole" "$work/parts"
echo "passed in $SECONDS s"
