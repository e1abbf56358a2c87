#!/usr/bin/env bash
# An ISNet of real size, DenseNet121 on colour images of 224×224, 2 ranks on two virtual hosts, 20 steps: undisturbed,
# and with a rank that is killed in the middle and a resumption. Weights and metrics have to be the same; prints what
# a step, a checkpoint and the kill cost.
#
#   tests/cluster/real_size.sh [BATCH]        samples of each rank (default 2); three minutes on 2 cores
#
# Needs root and namespaces, 5 GB of memory at batch 2.
# shellcheck source=tests/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_root_and_namespaces
need_programs ip nsenter mpirun pgrep pkill python3

steps=20 batch=${1:-2}
training=(--network densenet121 --objective isnet --batch-size "$batch" --optimizer sgd --lr 0.01 --momentum 0.9
  --gradient-clip-val 1 --seed 7 --threads 1 --max-steps "$steps" --max-epochs -1 --checkpoint-every-n-steps 5
  --limit-val-batches 2 --num-sanity-val-steps 0)

make_data "$work/small"
"$ISNET_BINARY" pack dataset --data "$work/small" --size 224 --colour rgb --output "$work/data" > "$work/pack.log" 2>&1 ||
  { cat "$work/pack.log" >&2; fail "isnet pack dataset"; }
hosts_up 2

milliseconds_now() { echo $(($(date +%s%N) / 1000000)); }
peak=0
run() {  # run NAME OPTION...: until it ends; sets $status and $took (ms), and raises $peak (MB, the larger rank)
  local started node memory
  started=$(milliseconds_now)
  on_hosts 20 -- train "${training[@]}" --data "$work/data" --output "$work/$1" "${@:2}" > "$work/log" 2>&1 &
  launcher=$!
  while kill -0 "$launcher" 2>/dev/null; do
    for node in node1 node2; do
      # shellcheck disable=SC2016  # expands on the node
      memory=$("$hosts" exec "$node" bash -c 'p=$(pgrep -x isnet) && awk "/VmHWM/ {print int(\$2 / 1024)}" "/proc/$p/status"' || echo 0)
      if ((memory > peak)); then peak=$memory; fi
    done
    "$watch"
    sleep 1
  done
  status=0
  wait "$launcher" || status=$?
  took=$(($(milliseconds_now) - started))
}
seconds() { awk -v milliseconds="$1" 'BEGIN {printf "%.1f s", milliseconds / 1000}'; }

step "undisturbed"
watch=true
run undisturbed --profile 1
((status == 0)) || { cat "$work/log" >&2; fail "status $status"; }
undisturbed=$took
sed -n '/phase/,$p' "$work/log"

step "killed after the tenth step"
killed_at=''
# shellcheck disable=SC2317  # called by run
kill_in_the_middle() {
  local last=$work/killed/checkpoints/last.ckpt
  if [[ -z $killed_at && -e $last ]] && (($(checkpoint_step "$last") >= 10)); then
    sleep 2
    "$hosts" exec node2 pkill -KILL -x isnet
    killed_at=$(checkpoint_step "$last")
  fi
}
watch=kill_in_the_middle
run killed
[[ -n $killed_at && $status != @(0|2|3|75) ]] || { cat "$work/log" >&2; fail "status $status"; }
first=$took
step "resumed from step $killed_at"
watch=true
run killed --resume last
((status == 0)) || { cat "$work/log" >&2; fail "status $status"; }
expect_text "the resumption" "resuming from" "$work/log"
expect_same_result "killed and resumed" "$work/undisturbed" "$work/killed"

echo "undisturbed: $(seconds "$undisturbed") for $steps steps, start-up, validation and $((steps / 5 + 1)) checkpoints"
echo "killed and resumed: $(seconds "$first") + $(seconds "$took"); the kill cost $(seconds $((first + took - undisturbed)))"
echo "peak memory of a rank: $peak MB; checkpoint: $(($(stat -c %s "$work/killed/checkpoints/last.ckpt") / 1000)) kB"
echo "weights and metrics: the same, bit by bit"
echo "passed in $SECONDS s"
