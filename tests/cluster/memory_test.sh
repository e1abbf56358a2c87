#!/usr/bin/env bash
# Epochs cost no memory: between epochs 20 and 70 of a small training, with validation, checkpoints and metrics.csv,
# the process grows by less than 4 MB. Budget: 40 s. Needs no rights. soak.sh is the long form of it.
# shellcheck source=tests/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

make_data "$work/data"
"$ISNET_BINARY" train "${training[@]}" --data "$work/data" --max-epochs -1 --checkpoint-every-n-steps 20 \
  --output "$work/run" > "$work/log" 2>&1 &
training_process=$!
# shellcheck disable=SC2317  # called by wait_for
has_done() { [[ -e $work/run/metrics.csv ]] && (($(wc -l < "$work/run/metrics.csv") > 2 * $1)); }
memory() { awk '/^VmRSS/ {print $2}' "/proc/$training_process/status"; }
wait_for 300 "epoch 20" has_done 20
before=$(memory)
wait_for 300 "epoch 70" has_done 70
after=$(memory)
kill -USR1 "$training_process"
status=0
wait "$training_process" || status=$?
expect_equal "status" 75 "$status"
echo "$before kB after 20 epochs, $after kB after 70"
((after - before < 4096)) || fail "50 epochs cost $((after - before)) kB"
echo "passed in $SECONDS s"
