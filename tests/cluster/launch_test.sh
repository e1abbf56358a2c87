#!/usr/bin/env bash
# launch/run.sh on this machine, with a program that behaves as isnet promises to: statuses, restarts, signals.
# Budget: 30 s. Needs mpirun, no rights.
# shellcheck source=tests/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_programs mpirun

# Every start appends its arguments to a file; the first word after "train" says what to do.
cat > "$work/program" <<'EOF_PROGRAM'
#!/usr/bin/env bash
rank=${OMPI_COMM_WORLD_RANK:-0}
echo "$*" >> "$WORK/starts.$rank"
case $2 in
  status) exit "$3" ;;
  die-once) if [[ $* != *"--resume last"* && $rank == 0 ]]; then kill -KILL $$; fi ;;
  wait) trap 'echo saved; exit 75' USR1
    touch "$WORK/ready.$rank"
    for ((i = 0; i < 200; i++)); do sleep 0.1; done ;;
esac
EOF_PROGRAM
chmod +x "$work/program"
export WORK=$work ISNET_BINARY=$work/program
run=$root/launch/run.sh
starts() { sort "$work/starts.$1" 2>/dev/null | wc -l; }
again() { rm -f "$work"/starts.* "$work"/ready.*; }

for ranks in 1 2; do
  for code in 0 1 2 3 75; do
    step "status $code of $ranks ranks passes through"
    status_of "$work/log" "$run" -n "$ranks" -- train status "$code"
    expect_equal "status" "$code" "$status"
  done
done
expect_text "the last line says what 75 means" "status 75: stopped after a checkpoint" "$work/log"

step "more ranks than cores"
again
status_of "$work/log" "$run" -n $(($(nproc) + 1)) -- train status 0
expect_equal "status" 0 "$status"
expect_equal "starts of the last rank" 1 "$(starts "$(nproc)")"

step "a killed rank: its signal is named, and a restart resumes"
again
status_of "$work/log" "$run" -n 2 -- train die-once
expect_equal "status" 137 "$status"
expect_text "the last line" "ended by signal 9 (KILL)" "$work/log"
again
status_of "$work/log" "$run" -n 2 --max-restarts 2 -- train die-once --overwrite --resume some.ckpt
expect_equal "status after the restart" 0 "$status"
expect_equal "starts" "train die-once --overwrite --resume some.ckpt|train die-once --resume last" "$(paste -sd'|' "$work/starts.0")"

step "restarts are counted, and given up"
again
status_of "$work/log" "$run" --max-restarts 2 -- train status 1
expect_equal "status" 1 "$status"
expect_equal "starts" 3 "$(starts 0)"
for code in 2 3 75; do
  again
  status_of "$work/log" "$run" --max-restarts 2 -- train status "$code"
  expect_equal "starts after status $code" 1 "$(starts 0)"
done

for ranks in 1 2; do
  for signal in USR1 TERM INT; do
    step "SIG$signal lets $ranks ranks save"
    again
    # A background process of a script ignores SIGINT from birth, and could not trap it.
    setsid env --default-signal=INT "$run" -n "$ranks" --max-restarts 3 -- train wait > "$work/log" 2>&1 &
    launcher=$!
    wait_for 20 "the ranks" test -e "$work/ready.$((ranks - 1))"
    kill -"$signal" "$launcher"
    status=0
    wait "$launcher" || status=$?
    expect_equal "status" 75 "$status"
    expect_equal "starts" 1 "$(starts 0)"
    expect_text "the ranks' output" "saved" "$work/log"
  done
done

step "wrong usage"
for arguments in "" "--nonsense" "-n 0 -- train" "-n x -- train" "--hosts $work/none -- train" \
  "--host a --hosts $work/program -- train" "--max-restarts -- train" "--bind elsewhere train"; do
  # shellcheck disable=SC2086  # words
  status_of "$work/log" "$run" $arguments
  expect_equal "status of 'run.sh $arguments'" 2 "$status"
  expect_text "'run.sh $arguments' names its help" "launch/run.sh --help" "$work/log"
done
echo "passed in $SECONDS s"
