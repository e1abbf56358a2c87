#!/usr/bin/env bash
# A disk that fills, or becomes read-only, while checkpoints are written: training goes on, the old checkpoint stays
# whole, the end says so, and the run can be continued once there is space. Budget: 60 s. Needs root (small tmpfs).
# shellcheck source=tests/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
((EUID == 0)) || skip "RIGHTS: a file system of a given size needs root"
mounted=()
unmount() { local place; for place in "${mounted[@]}"; do umount "$place"; done; }
at_exit+=(unmount)
small_disk() {  # small_disk FOLDER: 1 MB
  mkdir -p "$1"
  mount -t tmpfs -o size=1m tmpfs "$1" 2>/dev/null || skip "RIGHTS: mount is not allowed here"
  mounted+=("$1")
}
fill() { dd if=/dev/zero of="$1/filler" bs=1k count=2048 2>/dev/null || true; }
no_temporary_files() { [[ -z $(find "$1" -name '*.tmp-*') ]] || fail "a temporary file was left behind in $1"; }

small_disk "$work/disk"
make_data "$work/data"
train() {  # train OUTPUT EPOCHS OPTION...
  "$ISNET_BINARY" train --data "$work/data" --output "$1" "${training[@]}" --max-epochs "$2" "${@:3}"
}

step "one epoch with space"
status_of "$work/log" train "$work/disk/run" 1
expect_equal "status" 0 "$status"
sha256sum "$work"/disk/run/checkpoints/*.ckpt > "$work/sums"

step "two more on a full disk"
fill "$work/disk"
status_of "$work/log" train "$work/disk/run" 3 --resume last
expect_equal "status" 1 "$status"
expect_text "the cause is said" "No space left on device" "$work/log"
sha256sum --check --quiet "$work/sums" || fail "an old checkpoint changed"

step "and with space again"
rm "$work/disk/filler"
status_of "$work/log" train "$work/disk/run" 3 --resume last
expect_equal "status" 0 "$status"
expect_text "it goes on from the old one" "resuming from" "$work/log"

step "filling while it trains"
need_troublemaker
held() { echo --plugin "$troublemaker" --hold-at "$1:0:$work/gate"; }  # until the disk is as it should be, in its step $1
# shellcheck disable=SC2046  # words
train "$work/disk/other" 8 --quiet $(held 2) > "$work/log" 2>&1 &
training_process=$!
wait_for 60 "the run's folder" test -e "$work/disk/other/options.ini"
fill "$work/disk"
let_go
status=0
wait "$training_process" || status=$?
expect_equal "status" 1 "$status"
no_temporary_files "$work/disk/other"
expect_equal "that the log misses lines is said once" 1 "$(grep -c "other/log.txt: cannot write: No space left on device.*; the log file misses lines" "$work/log")"
expect_equal "words of the logging library's" 0 "$(grep -c "LOG ERROR" "$work/log")"

# A disk of their own for the checkpoints, which fails for a while and is mended before the training ends.
begin_fault() {  # begin_fault FAULT FOLDER
  case $1 in
    full) fill "$2" ;;
    read-only) wait_for 60 "a moment without an open file" mount -o remount,ro "$2" ;;
  esac
}
mend() {  # mend FAULT FOLDER
  case $1 in
    full) rm "$2/filler" ;;
    read-only) mount -o remount,rw "$2" ;;
  esac
}
every_step=(--checkpoint-every-n-steps 1)
status_of "$work/log" train "$work/undisturbed" 24 "${every_step[@]}"
expect_equal "status" 0 "$status"
table_head
for fault in full read-only; do
  for background in 1 0; do
    run=$work/$fault-$background disk=$work/$fault-$background/checkpoints
    small_disk "$disk"
    hold
    # There is no checkpoint yet: the run starts from the beginning, in place. Its last epoch waits.
    # shellcheck disable=SC2046  # words
    train "$run" 24 "${every_step[@]}" --checkpoint-background "$background" --resume last $(held 276) > "$work/log" 2>&1 &
    training_process=$!
    wait_for 60 "a first checkpoint" test -e "$disk/last.ckpt"
    begin_fault "$fault" "$disk"
    cause='No space left on device'
    [[ $fault == full ]] || cause='Read-only file system'
    wait_for 60 "a warning" grep -qF "$cause" "$run/log.txt"
    before=$(sha256sum "$disk/last.ckpt")
    rows() { if [[ -e $run/metrics.csv ]]; then wc -l < "$run/metrics.csv"; else echo 0; fi; }
    rows_then=$(rows)
    more_epochs() { (($(rows) > rows_then + 4)); }  # two of them, two rows each
    wait_for 60 "further epochs" more_epochs
    [[ $before == "$(sha256sum "$disk/last.ckpt")" ]] || fail "$fault: an old checkpoint changed"
    mend "$fault" "$disk"
    let_go
    status=0
    wait "$training_process" || status=$?
    ((status == 0)) || { sed 's/^/    /' "$work/log" >&2; fail "$fault: status $status"; }
    expect_text "the warning" "was not written; the previous file is kept" "$work/log"
    no_temporary_files "$run"
    expect_same_result "$fault" "$work/undisturbed" "$run"
    where=foreground
    ((background == 0)) || where=background
    table_row "disk $fault for a while, checkpoints in $where" 1 1
  done
done
echo "ok"
