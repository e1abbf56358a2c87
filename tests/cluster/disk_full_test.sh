#!/usr/bin/env bash
# A disk that fills while checkpoints are written: training goes on, the old checkpoint stays whole, the end says
# so, and the run can be continued once there is space. Budget: 30 s. Needs root (a small tmpfs).
# shellcheck source=tests/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
((EUID == 0)) || skip "RIGHTS: a file system of a given size needs root"
mkdir "$work/disk"
mount -t tmpfs -o size=1m tmpfs "$work/disk" 2>/dev/null || skip "RIGHTS: mount is not allowed here"
unmount() { umount "$work/disk"; }
at_exit+=(unmount)

make_data "$work/data"
train() {  # train EPOCHS OPTION...
  "$ISNET_BINARY" train --data "$work/data" --output "$work/disk/run" "${training[@]}" --max-epochs "$1" "${@:2}"
}

step "one epoch with space"
status_of "$work/log" train 1
expect_equal "status" 0 "$status"
sha256sum "$work"/disk/run/checkpoints/*.ckpt > "$work/sums"

step "two more on a full disk"
dd if=/dev/zero of="$work/disk/filler" bs=1k count=2048 2>/dev/null || true
status_of "$work/log" train 3 --resume last
expect_equal "status" 1 "$status"
expect_text "the cause is said" "No space left on device" "$work/log"
sha256sum --check --quiet "$work/sums" || fail "an old checkpoint changed"

step "and with space again"
rm "$work/disk/filler"
status_of "$work/log" train 3 --resume last
expect_equal "status" 0 "$status"
expect_text "it goes on from the old one" "resuming from" "$work/log"

step "filling while it trains"
"$ISNET_BINARY" train --data "$work/data" --output "$work/disk/other" "${training[@]}" --max-epochs 8 --quiet &
training_process=$!
wait_for 60 "the run's folder" test -e "$work/disk/other/options.ini"
dd if=/dev/zero of="$work/disk/filler" bs=1k count=2048 2>/dev/null || true
status=0
wait "$training_process" || status=$?
expect_equal "status" 1 "$status"
[[ -z $(find "$work/disk/other" -name '*.tmp-*') ]] || fail "a temporary file was left behind"
echo "ok"
