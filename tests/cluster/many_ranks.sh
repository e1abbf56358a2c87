#!/usr/bin/env bash
# Many ranks on four virtual hosts over MPI and Gloo: an ISNet with --sync-batchnorm, a rank that is killed, and an option
# that no rank knows. The machine's cores are shared by all: this shows that starting, watching and ending work, not speed.
#
#   tests/cluster/many_ranks.sh [RANKS]       ranks on each host (default 16, at most 24); two minutes on 2 cores
#
# Needs root and namespaces, 0.1 GB of memory for each rank.
# shellcheck source=tests/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_root_and_namespaces
need_programs ip nsenter mpirun pgrep

ranks=${1:-16}
[[ $ranks =~ ^([1-9]|1[0-9]|2[0-4])$ ]] || fail "ranks on each host: 1 to 24, not '$ranks'"
make_data "$work/data"  # 96 samples: one for each rank and step
hosts_up 4

train_on_all() {  # train_on_all OPTION...: a training on all; sets $status, output in $work/log
  status_of "$work/log" "$hosts" exec head env ISNET_BINARY="$ISNET_BINARY" OMPI_MCA_plm_rsh_agent="$hosts agent" \
    "$root/launch/run.sh" --host "node1:$ranks,node2:$ranks,node3:$ranks,node4:$ranks" --interface eth0 -- \
    train "${training[@]}" --batch-size 1 --data "$work/data" --output "$work/run" --overwrite "$@"
}
expect_one_error() {
  expect_equal "errors ($(grep "error: " "$work/log" | cut -c 1-200))" 1 "$(grep -c "error: " "$work/log")"
}

step "$((4 * ranks)) ranks"
train_on_all --sync-batchnorm 1 --max-epochs 2
expect_equal "status" 0 "$status"
expect_text "the ranks" "$((4 * ranks)) rank(s), backend gloo" "$work/log"
sed -n 's/ *loss_.*//; /epoch/p' "$work/log"

step "one of them is killed"
victim() { "$hosts" exec node3 pgrep -x isnet; }
kill_after_an_epoch() {
  wait_for 600 "the first epoch" grep -q "^1," "$work/run/metrics.csv"
  "$hosts" exec node3 kill -KILL "$(victim | tail -n 1)"
}
rm -rf "$work/run"
kill_after_an_epoch &
train_on_all --max-epochs 1000
wait $!
expect_equal "status" 137 "$status"
expect_text "who is lost" "on node3 ended without a message (killed, or out of memory)" "$work/log"
expect_one_error
grep "error: " "$work/log"

step "an option that none of them knows"
train_on_all --no-such-option 1
expect_equal "status" 2 "$status"
expect_text "why" "isnet: error: unknown option --no-such-option" "$work/log"
echo "said by $(grep -c "error: " "$work/log") of $((4 * ranks)) ranks"
echo "passed in $SECONDS s"
