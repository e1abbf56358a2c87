#!/usr/bin/env bash
# A training of a small ISNet on 2 ranks that goes on for a given time, with a validation every epoch and a checkpoint
# every 20 steps: the memory of both ranks is sampled, and has to stay flat once the first fifth is over.
#
#   tests/cluster/soak.sh [MINUTES]     default 60; tests/run.sh --soak MINUTES builds first
#
# Prints, and checks: the slope of a straight line through each rank's resident memory (at most 2 MB an hour above
# what the samples' scatter explains), open files and threads (the same at the end as at the beginning).
# ISNET_SOAK_CSV keeps the samples in a file.
if [[ ${1:-60} != +([0-9]) || ${1:-60} == 0 ]]; then sed -n '2,/^if/{/^#/s/^# \{0,1\}//p}' "$0"; exit 2; fi
# shellcheck source=tests/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_programs mpirun pgrep python3

minutes=${1:-60}
samples=${ISNET_SOAK_CSV:-$work/samples.csv}
interval=$((minutes * 60 / 400 > 0 ? minutes * 60 / 400 : 1))

make_data "$work/data"
"$root/launch/run.sh" -n 2 -- train "${training[@]}" --data "$work/data" --max-epochs -1 --max-time $((minutes * 60)) \
  --checkpoint-every-n-steps 20 --output "$work/run" > "$work/log" 2>&1 &
launcher=$!
# shellcheck disable=SC2317  # called by wait_for
has_run() { has_checkpoint "$work/run"; }
wait_for 60 "a checkpoint" has_run
mapfile -t ranks < <(ranks_of "$launcher" | sort -n)
echo "seconds,rank,rss_kb,files,threads" > "$samples"
started=$SECONDS
while kill -0 "${ranks[0]}" 2>/dev/null; do
  for rank in "${!ranks[@]}"; do
    process=/proc/${ranks[rank]}
    memory=$(awk '/^VmRSS/ {print $2}' "$process/status" 2>/dev/null || true) files=("$process"/fd/*) threads=("$process"/task/*)
    [[ -z $memory ]] || echo "$((SECONDS - started)),$rank,$memory,${#files[@]},${#threads[@]}" >> "$samples"
  done
  sleep "$interval"
done
status=0
wait "$launcher" || status=$?
((status == 75)) || { tail -n 20 "$work/log" >&2; fail "the training ended with status $status, not 75 (--max-time)"; }
echo "$(checkpoint_step "$work/run/checkpoints/last.ckpt") steps, $(($(wc -l < "$work/run/metrics.csv") / 2)) epochs in $minutes min"

python3 - "$samples" <<'EOF_PYTHON' || fail "the memory is not flat"
import csv, math, sys
rows = list(csv.DictReader(open(sys.argv[1])))
bad = False
for rank in sorted({row["rank"] for row in rows}):
    mine = [row for row in rows if row["rank"] == rank and row["threads"] != "1"]  # 1: it is ending
    mine = mine[len(mine) // 5:-1]
    x = [float(row["seconds"]) / 3600 for row in mine]
    y = [float(row["rss_kb"]) / 1024 for row in mine]
    n, mx, my = len(x), sum(x) / len(x), sum(y) / len(y)
    sxx = sum((a - mx) ** 2 for a in x)
    slope = sum((a - mx) * (b - my) for a, b in zip(x, y)) / sxx
    rest = sum((b - my - slope * (a - mx)) ** 2 for a, b in zip(x, y)) / max(n - 2, 1)
    error = math.sqrt(rest / sxx)
    files = {int(row["files"]) for row in mine}
    threads = {int(row["threads"]) for row in mine}
    print(f"rank {rank}: {n} samples, {min(y):.1f} to {max(y):.1f} MB, {slope:+.2f} ± {2 * error:.2f} MB an hour, "
          f"{min(files)} to {max(files)} files, {min(threads)} to {max(threads)} threads")
    bad |= slope - 2 * error > 2 or mine[-1]["threads"] != mine[0]["threads"] or max(files) - min(files) > 3
sys.exit(bad)
EOF_PYTHON
echo "passed in $SECONDS s"
