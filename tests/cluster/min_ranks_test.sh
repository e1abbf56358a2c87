#!/usr/bin/env bash
# launch/run.sh --min-ranks over two virtual hosts: one of them loses power, and stays off. The run goes on by itself
# from its last checkpoint, with one rank on the other host, and comes to the losses of the undisturbed run (to
# rounding: batch norms look at global batches). Once without node2, once without node1, where rank 0 was.
# Budget: 60 s. Needs root and namespaces.
# shellcheck source=tests/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_root_and_namespaces
need_programs ip nsenter mpirun pgrep python3
need_troublemaker

# A plain classifier: heatmaps make rounding grow a hundredfold an epoch.
training+=(--objective classifier --sync-batchnorm 1 --precision 64)
epochs=10  # of 6 steps

step "pack and train on one machine"
make_data "$work/data"
train_here "$work/here" $epochs
expect_close() {  # expect_close WHAT RUN RUN: metrics to rounding
  python3 - "$2/metrics.csv" "$3/metrics.csv" <<'EOF_PYTHON' || fail "$1: the metrics differ"
import csv, math, sys
one, other = ([row for row in csv.reader(open(name))] for name in sys.argv[1:])
def same(a, b):
    try:
        return math.isclose(float(a), float(b), rel_tol=1e-9, abs_tol=1e-12)
    except ValueError:
        return a == b
assert len(one) == len(other) > 2, (len(one), len(other))
for row, (a, b) in enumerate(zip(one, other)):
    assert len(a) == len(b) and all(map(same, a, b)), (row, a, b)
EOF_PYTHON
}

# shellcheck disable=SC2317  # called by wait_for
is_stopped() { "$hosts" exec "$host" ps -o stat= -C isnet | grep -q '^T'; }
hosts_up 2
for host in node2 node1; do
  rank=1
  [[ $host == node2 ]] || rank=0
  step "$host loses power for good"
  # Its rank stops at a given batch: what comes then finds the run where it is, on any machine.
  on_hosts 5 --max-restarts 3 --min-ranks 1 -- train "${training[@]}" --data "$work/data" --max-epochs $epochs --output "$work/$host" \
    --plugin "$troublemaker" --trouble "stop:$rank:40" > "$work/log" 2>&1 &
  launcher=$!
  wait_for 60 "the rank on $host to stop" is_stopped
  "$hosts" off "$host"
  status=0
  wait $launcher || status=$?
  ((status == 0)) || { cat "$work/log" >&2; fail "status $status"; }
  expect_text "who was lost" "cannot be reached: $host; continuing with 1 of 2 ranks" "$work/log"
  expect_text "the resumption" "resuming from" "$work/log"
  expect_text "the ranks" "continues with 1 rank(s) where 2 were before" "$work/log"
  expect_no_text "the losses" "losses differ" "$work/log"
  expect_close "without $host" "$work/here" "$work/$host"
  "$hosts" on "$host"
done
echo "passed in $SECONDS s"
