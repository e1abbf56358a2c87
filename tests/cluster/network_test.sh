#!/usr/bin/env bash
# A training on two virtual hosts, and what networks and hosts do: a cable is out for 2 s, and for good; the host of
# rank 0 loses power; the network is slow, and loses packets. The training goes on, or ends in the stated time, with a
# status that launchers restart and one message that names the lost rank, and goes on from its last checkpoint. Each
# time weights and metrics are those of the undisturbed run.
# Budget: 200 s. Needs root and namespaces, nftables and tc.
# shellcheck source=tests/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_root_and_namespaces
need_programs ip nsenter mpirun nft tc python3

training+=(--checkpoint-every-n-steps 5)
hold_options
start() {  # start NAME HOST-TIMEOUT OPTION...: in the background; its output in $work/NAME.log
  on_hosts "$2" -- train "${training[@]}" --data "$work/data" --max-epochs "$epochs" --output "$work/$1" \
    "${held[@]}" "${@:3}" \
    > "$work/$1.log" 2>&1 &
  launcher=$!
}
finish() {  # finish NAME STATUS
  local status=0
  wait "$launcher" || status=$?
  [[ $status == "$2" ]] || { cat "$work/$1.log" >&2; fail "$1: status $status, expected $2"; }
}
# shellcheck disable=SC2317  # called by wait_for
has_ended() { ! kill -0 "$launcher"; }
# shellcheck disable=SC2317  # called by wait_for
no_rank_on() { [[ -z $("$hosts" exec "$1" pgrep -x isnet) ]]; }
checkpoint_time() { stat -c %y "$work/$1/checkpoints/last.ckpt"; }
plug_in_again() {  # what was tried in vain is forgotten after a moment
  "$hosts" link node2 up
  sleep 3
}
resume() {  # resume NAME WHAT
  let_go
  start "$1" 5 --resume last
  finish "$1" 0
  expect_text "$2" "resuming from" "$work/$1.log"
  expect_same_result "$2" "$work/here" "$work/$1"
  hold
}
ends_within() {  # ends_within SECONDS NAME: with a status that is restarted
  local since=$SECONDS status=0
  wait_for "$1" "the end of $2" has_ended
  wait "$launcher" || status=$?
  [[ $status != @(0|2|3|75) ]] || { cat "$work/$2.log" >&2; fail "$2 ended with status $status"; }
  echo "ended after $((SECONDS - since)) s with status $status"
}

step "pack and train on one machine"
make_data "$work/data"
train_here "$work/here" "$epochs"
hosts_up 2

step "a cable is out for 2 s: the training waits, and goes on"
start short 20
wait_for 60 "a checkpoint" has_checkpoint "$work/short"
"$hosts" link node2 down
sleep 0.5
stopped_at=$(checkpoint_time short)
sleep 1.5
expect_equal "the time of the last checkpoint" "$stopped_at" "$(checkpoint_time short)"
"$hosts" link node2 up
let_go
finish short 0
expect_same_result "a cable out for 2 s" "$work/here" "$work/short"
hold

step "a cable is out for good: the launcher ends the run"
start cable 5
wait_for 60 "a checkpoint" has_checkpoint "$work/cable"
"$hosts" link node2 down
ends_within 20 cable
wait_for 20 "the end of the rank on node2" no_rank_on node2
plug_in_again
resume cable "a cable out for good"

step "a cable is out for good: ranks miss each other before the launcher does"
start silent 20 --heartbeat-interval 1 --heartbeat-timeout 5
wait_for 60 "a checkpoint" has_checkpoint "$work/silent"
"$hosts" link node2 down
# shellcheck disable=SC2317  # called by wait_for
is_missed() { grep "rank 1 on node2 has been silent for" "$work/silent.log"; }
wait_for 15 "the message" is_missed
is_missed | grep -E "host or network is gone.*(phase|training|before).*exchange" ||
  { cat "$work/silent.log" >&2; fail "the message lacks the phase or the exchange"; }
ends_within 45 silent
wait_for 20 "the end of the rank on node2" no_rank_on node2
plug_in_again
resume silent "a silent rank"

step "the host of rank 0 loses power"
start power 5
wait_for 60 "a checkpoint" has_checkpoint "$work/power"
"$hosts" off node1
ends_within 20 power
wait_for 20 "the end of the rank on node2" no_rank_on node2
"$hosts" on node1
resume power "the host of rank 0 without power"

step "a slow network"
let_go
for host in node1 node2; do "$hosts" rate "$host" 4mbit; done
start slow 20
finish slow 0
for host in node1 node2; do "$hosts" rate "$host" off; done
expect_same_result "4 Mbit/s" "$work/here" "$work/slow"

step "a network that loses packets"
for host in node1 node2; do "$hosts" loss "$host" 2; done
start lossy 20
finish lossy 0
for host in node1 node2; do "$hosts" loss "$host" 0; done
expect_same_result "2 % of the packets lost" "$work/here" "$work/lossy"

table_head
for fault in "cable out for 2 s" "cable out for good" \
  "cable out for good, noticed by ranks" "power loss of rank 0's host" "4 Mbit/s" "2 % of packets lost"; do
  table_row "$fault" 1 1
done
echo "passed in $SECONDS s"
