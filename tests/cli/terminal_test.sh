#!/usr/bin/env bash
# Records terminals of tmux: in 80 and in 120 columns the terminal wraps no line of a training, no bar is left over, the
# bar follows when the terminal becomes narrower, and Ctrl-C is answered on a line of its own.
set -euo pipefail

command -v tmux > /dev/null || { echo "skipped: there is no tmux"; exit 77; }
images=/usr/share/datasets/fashion-mnist/t10k
[[ -e $images-images-idx3-ubyte.gz ]] || { echo "skipped: there is no $images-images-idx3-ubyte.gz"; exit 77; }

work=$(mktemp -d)
on_terminal() { tmux -S "$work/socket" "$@"; }
trap 'on_terminal kill-server 2> /dev/null || true; rm -rf "$work"' EXIT
die() {
  echo "FAILED: $*"
  cat "$work"/screen* 2> /dev/null || true
  exit 1
}

"$ISNET_BINARY" pack idx --images "$images-images-idx3-ubyte.gz" --labels "$images-labels-idx1-ubyte.gz" \
  --limit-per-class 200 --splits train=0.8,val=0.2 --output "$work/data" --quiet > /dev/null

# It trains until it is stopped, in epochs of many steps, so that there is time to see a bar.
cat > "$work/train.sh" << EOF_SCRIPT
"$ISNET_BINARY" train --data "$work/data" --output "$work/run" --overwrite --network densenet --growth-rate 2 --blocks 1 \
  --init-features 2 --objective classifier --batch-size 2 --max-epochs -1 --threads 1 --device cpu
echo "status \$?" > "$work/status"
sleep 1000
EOF_SCRIPT

screen() { on_terminal capture-pane -p -S - "$@" | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'; }
bars() { screen | grep -c '\[#*\.*\] [0-9]*/' || true; }
# wait_for WHAT COMMAND...: however long it takes; the test has a time limit.
wait_for() {
  local what=$1
  shift
  until "$@"; do
    [[ ! -e $work/status ]] || "$@" || die "the training has ended before there was $what"
    sleep 0.05
  done
}
has_bar() { (($(bars) == 1)); }
bar_fits() { has_bar && ! screen | grep '\[#*\.*\] ' | grep -q ".\{$1\}"; }
has_ended() { [[ -e $work/status ]]; }
epoch_done() { screen | grep -q "epoch 1 done"; }

start() { # start COLUMNS
  rm -f "$work/status"
  on_terminal -f /dev/null start-server \; set-option -g history-limit 10000 \; \
    new-session -d -x "$1" -y 40 "bash '$work/train.sh'"
}
stop() {
  on_terminal send-keys C-c
  wait_for "an end" has_ended
  [[ $(< "$work/status") == "status 75" ]] || die "$(< "$work/status") instead of status 75"
  screen > "$work/screen"
  screen -J > "$work/screen-joined"
  on_terminal kill-server
}

for columns in 80 120; do
  start "$columns"
  wait_for "a bar" has_bar
  wait_for "an epoch" epoch_done
  stop
  (($(wc -l < "$work/screen") == $(wc -l < "$work/screen-joined"))) || die "in $columns columns the terminal wrapped a line"
  ! grep -q '\[#*\.*\] ' "$work/screen" || die "in $columns columns a bar was left over"
  grep -q "^isnet: saving a checkpoint" "$work/screen" || die "Ctrl-C was not answered on a line of its own"
done

start 100
wait_for "a bar" has_bar
on_terminal resize-window -x 50 -y 40
wait_for "a bar in 50 columns" bar_fits 50
stop
! grep -q '\[#*\.*\] ' "$work/screen" || die "after the change of width a bar was left over"
echo "passed"
