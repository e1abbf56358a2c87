#!/usr/bin/env bash
# launch/run.sh over two virtual hosts: the same weights as on one machine; a signal saves and ends with 75, and the
# resumed run comes to the same weights again; a host that loses power ends the run, and a restart finishes it.
# Budget: 90 s. Needs root and namespaces.
# shellcheck source=tests/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_root_and_namespaces
need_programs ip nsenter mpirun

step "pack and train on one machine"
hold_options
make_data "$work/data"
train_here "$work/here" "$epochs"

step "the same training on two hosts"
hosts_up 2
status_of "$work/log" on_hosts 5 -- train "${training[@]}" --data "$work/data" --max-epochs "$epochs" --output "$work/there"
((status == 0)) || { cat "$work/log" >&2; fail "training on two hosts ended with status $status"; }
expect_same_result "two hosts against one machine" "$work/here" "$work/there"

step "SIGTERM to the launcher: save, 75, resume"
on_hosts 5 -- train "${training[@]}" --data "$work/data" --max-epochs "$epochs" --output "$work/stopped" \
  "${held[@]}" > "$work/log" 2>&1 &
launcher=$!
wait_for 60 "a checkpoint" has_checkpoint "$work/stopped"
kill -TERM "$(< "$work/launcher")"
status=0
wait $launcher || status=$?
expect_equal "status" 75 "$status"
status_of "$work/log" on_hosts 5 -- train "${training[@]}" --data "$work/data" --max-epochs "$epochs" \
  --output "$work/stopped" --resume last
expect_equal "status of the resumed run" 0 "$status"
expect_same_result "stopped and resumed" "$work/here" "$work/stopped"

step "node2 loses power: the run ends, and goes on when the host is back"
on_hosts 5 -- train "${training[@]}" --data "$work/data" --max-epochs "$epochs" --output "$work/lost" "${held[@]}" \
  > "$work/log" 2>&1 &
launcher=$!
wait_for 60 "a checkpoint" has_checkpoint "$work/lost"
"$hosts" off node2
lost_at=$SECONDS status=0
wait $launcher || status=$?
((SECONDS - lost_at <= 15)) || fail "the launcher took $((SECONDS - lost_at)) s to notice that a host is gone"
[[ $status != @(0|2|3|75) ]] || fail "a lost host ended with status $status"
"$hosts" on node2
status_of "$work/log" on_hosts 5 -- train "${training[@]}" --data "$work/data" --max-epochs "$epochs" \
  --output "$work/lost" --resume last
((status == 0)) || { cat "$work/log" >&2; fail "the resumed run ended with status $status"; }
expect_same_result "lost and resumed" "$work/here" "$work/lost"
echo "passed in $SECONDS s"
