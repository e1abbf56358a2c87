#!/usr/bin/env bash
# kill -9 of random ranks at random instants of a training on 2 ranks: while they start, between steps, and inside
# saves. Each time the same command goes on from the last checkpoint, which is never older than the one before; in
# the end weights and metrics are those of the undisturbed run.
# 12 kills, 100 with ISNET_FULL=1; ISNET_KILLS and ISNET_SEED choose others. Budget: 120 s; 15 min in full.
# Needs mpirun, no rights.
# shellcheck source=tests/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_programs mpirun pgrep python3

kills=${ISNET_KILLS:-$(full_or 100 12)}
seed=${ISNET_SEED:-$((10#$(date +%N) % 32768))}
RANDOM=$seed
echo "$kills kills; the instants are those of ISNET_SEED=$seed"

run=$work/killed
training+=(--checkpoint-every-n-steps 2)
unfinished() {  # whether there is a file that is being written, or was when its writer died
  local file
  for file in "$run"/checkpoints/*.tmp-*; do [[ ! $file -nt $work/started ]] || return 0; done
  return 1
}
# shellcheck disable=SC2317  # called by wait_for
both_ranks() { mapfile -t ranks < <(ranks_of "$launcher" | sort -n) && ((${#ranks[@]} == 2)); }
has_ended() { ! kill -0 "$launcher" 2>/dev/null; }
saves() {  # saves N: waits until so many checkpoints have been written since the start, or the training is over
  local count=0 last=$work/started
  until ((count > $1)) || has_ended; do
    if [[ $run/checkpoints/last.ckpt -nt $last ]]; then
      touch -r "$run/checkpoints/last.ckpt" "$work/seen"
      last=$work/seen count=$((count + 1))
    fi
    sleep 0.01
  done
}

start() {
  touch "$work/started"
  "$root/launch/run.sh" -n 2 -- train "${training[@]}" --data "$work/data" --max-epochs "$epochs" --output "$run" \
    --resume last > "$work/log" 2>&1 &
  launcher=$!
}

# Kinds of instants, drawn at random: of 8 kills 1 comes before the first step, 4 at any time, 3 inside a save.
kinds=(start-up any any any any save save save)
declare -A tried survived
unfinished_saves=0

kill_one() {  # kill_one KIND: a random rank; for a save rank 0, which writes. Fails when the training was over before
  local rank=$((RANDOM % 2)) after=$((RANDOM % 4)) wait=$((RANDOM % 1000))
  wait_for 60 "two ranks" both_ranks
  case $1 in
    start-up) sleep "$(printf '0.%03d' "$wait")" ;;
    any) saves "$after"; sleep "$(printf '0.%03d' $((wait / 20)))" ;;
    save)
      saves "$after"
      until unfinished || has_ended; do :; done
      rank=0 ;;
  esac
  kill -KILL "${ranks[rank]}" 2>/dev/null
}

step "pack, and train undisturbed"
make_data "$work/data"
epochs=$((kills * 10 / 3 + 5))  # of 6 steps: 20 steps from kill to kill are more than what is lost and gained
train_here "$work/here" "$epochs"
echo "undisturbed: $epochs epochs, $(checkpoint_step "$work/here/checkpoints/last.ckpt") steps"

step "$kills kills"
before=0
total=0
for ((i = 0; i < kills; i++)); do
  kind=${kinds[RANDOM % ${#kinds[@]}]}
  start
  if ! kill_one "$kind"; then echo "the training was over before kill $((i + 1))"; break; fi
  total=$((total + 1))
  tried[$kind]=$((${tried[$kind]:-0} + 1))
  status=0
  wait "$launcher" || status=$?
  [[ $status != @(0|2|3|75) ]] || { cat "$work/log" >&2; fail "kill $((i + 1)) ($kind) ended with status $status"; }
  if unfinished; then unfinished_saves=$((unfinished_saves + 1)); fi
  [[ $before == 0 || $kind == start-up ]] || expect_text "start $((i + 1))" "resuming from" "$work/log"
  after=0
  if [[ -e $run/checkpoints/last.ckpt ]]; then after=$(checkpoint_step "$run/checkpoints/last.ckpt"); fi
  if ((after >= before)); then survived[$kind]=$((${survived[$kind]:-0} + 1)); fi
  before=$after
done

step "and to the end"
start
status=0
wait "$launcher" || status=$?
((status == 0)) || { cat "$work/log" >&2; fail "the last start ended with status $status"; }
[[ -z $(find "$run" -name '*.broken*') ]] || fail "a checkpoint was broken"
[[ -z $(find "$run" -name '*.tmp-*') ]] || fail "an unfinished file was left behind for good"
expect_same_result "killed $total times" "$work/here" "$run"

table_head
kept=0
for kind in start-up any save; do
  table_row "kill -9 of a rank, instant: $kind" "${tried[$kind]:-0}" "${survived[$kind]:-0}"
  kept=$((kept + ${survived[$kind]:-0}))
done
table_row "kill -9 of a rank, all" "$total" "$kept"
echo "$unfinished_saves of them left an unfinished file behind; seed $seed"
((kept == total)) || fail "$((total - kept)) kills lost steps that had been saved"
((total * 2 >= kills)) || fail "$total kills are too few: the training has to be longer"
echo "passed in $SECONDS s"
