#!/usr/bin/env bash
# launch/run.sh on this machine, with a program that behaves as isnet promises to: statuses, restarts, hosts that are lost, signals.
# Budget: 60 s. Needs mpirun, no rights.
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
  progress)  # fails, with a new checkpoint each of the first $3 times
    if (($(wc -l < "$WORK/starts.$rank") <= $3)); then mkdir -p "$WORK/out/checkpoints"; date +%N > "$WORK/out/checkpoints/last.ckpt"; fi
    exit 1 ;;
  lose)  # the second start, at which the checkpoints are gone
    if (($(wc -l < "$WORK/starts.$rank") == 2)); then rm -r "$WORK/out/checkpoints"; fi
    exit 1 ;;
  die-beside) if [[ $rank == 1 ]]; then sleep 0.5; kill -KILL $$; fi  # while rank 0 saves, whatever is asked of it
    trap '' TERM
    for ((i = 0; i < 40; i++)); do sleep 0.1; done
    touch "$WORK/saved" ;;
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

step "a rank is killed, and another has the time that it was promised"
again
status_of "$work/log" "$run" -n 2 --save-seconds 10 -- train die-beside
expect_equal "status" 137 "$status"
[[ -e $work/saved ]] || { cat "$work/log" >&2; fail "rank 0 was ended before its time was over"; }

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

step "restarts are counted anew after a new checkpoint"
again
status_of "$work/log" "$run" --max-restarts 1 -- train progress 2 --output "$work/out"
expect_equal "status" 1 "$status"
expect_equal "starts: two with progress, one without" 3 "$(starts 0)"
expect_text "the end" "giving up after 1 restarts without a new checkpoint" "$work/log"
again
echo "output = $work/out" > "$work/with-output.ini"
status_of "$work/log" "$run" --max-restarts 1 -- train progress 2 --config "$work/with-output.ini"
expect_equal "starts, where a file says the output folder" 3 "$(starts 0)"

step "a run whose checkpoints are gone is not trained anew by itself"
again
status_of "$work/log" "$run" --max-restarts 5 -- train lose --output "$work/out"
expect_equal "status" 1 "$status"
expect_equal "starts" 2 "$(starts 0)"
expect_text "the reason" "not started again: the checkpoints that the run had are gone from $work/out" "$work/log"

step "signals are handed on though nobody reads stderr"
again
mkfifo "$work/unread"
# shellcheck disable=SC2217  # it holds the pipe open
sleep 60 < "$work/unread" &
reader=$!
{ head -c 65536 /dev/zero >&2; exec "$run" -- train wait; } 2> "$work/unread" > "$work/log" &
launcher=$!
wait_for 30 "the program" test -e "$work/ready.0"
kill -TERM "$launcher"
status=0
wait "$launcher" || status=$?
kill "$reader"
expect_equal "status" 75 "$status"

# Hosts that come and go: an mpirun that shows how it was called, and an agent that reaches what $work/up lists.
cat > "$work/mpirun" <<'EOF_MPIRUN'
#!/usr/bin/env bash
ranks='' hosts=''
for ((i = 1; i <= $#; i++)); do
  case ${!i} in
    -n) next=$((i + 1)); ranks=${!next} ;;
    --host) next=$((i + 1)); hosts=${!next} ;;
    --hostfile) next=$((i + 1)); hosts=$(tr '\n' ';' < "${!next}") ;;
  esac
done
echo "${ranks:-all} $hosts ${*: -2}" >> "$WORK/mpirun.calls"
allowed=$(cat "$WORK/allowed")
if [[ -n $ranks && " $allowed " != *" $ranks "* ]]; then exit 2; fi
[[ ! -e $WORK/up.lost ]] || { mv "$WORK/up.lost" "$WORK/up"; exit 205; }
exit "$(cat "$WORK/end")"
EOF_MPIRUN
cat > "$work/agent" <<'EOF_AGENT'
#!/usr/bin/env bash
grep -qx "$2" "$WORK/up"
EOF_AGENT
chmod +x "$work/mpirun" "$work/agent"
on_hosts() {  # on_hosts ALLOWED HOSTS-THAT-STAY-UP END OPTION...: the first run loses a host
  rm -f "$work/mpirun.calls"
  echo "$1" > "$work/allowed"
  tr ' ' '\n' <<< "a b c" > "$work/up"
  tr ' ' '\n' <<< "$2" > "$work/up.lost"
  echo "$3" > "$work/end"
  status_of "$work/log" env ISNET_MPIRUN="$work/mpirun" OMPI_MCA_plm_rsh_agent="$work/agent x" "$run" "${@:4}" -- train
}
calls() { paste -sd'|' "$work/mpirun.calls"; }

step "a host that is gone is left out, where --min-ranks allows it"
on_hosts "6 4" "a c" 0 --host a:2,b:2,c:2 --max-restarts 1 --min-ranks 2
expect_equal "status" 0 "$status"
expect_equal "calls" "all a:2,b:2,c:2 $work/program train|4 a:2,c:2 --resume last" "$(calls)"
expect_text "what was lost" "cannot be reached: b; continuing with 4 of 6 ranks" "$work/log"
printf 'a slots=2\nb slots=2  # old\n# none\nc slots=1 max_slots=4\n' > "$work/hosts"
on_hosts "3" "a c" 0 --hosts "$work/hosts" --max-restarts 1 --min-ranks 2
expect_equal "status" 0 "$status"
expect_text "the hosts of a file" "3 a:2,c:1 --resume last" "$work/mpirun.calls"

step "numbers of ranks that isnet refuses are passed over"
on_hosts "6 2" "a c" 0 --host a:2,b:2,c:2 --max-restarts 1 --min-ranks 1
expect_equal "status" 0 "$status"
expect_equal "calls" "all a:2,b:2,c:2 $work/program train|4 a:2,c:2 --resume last|3 a:2,c:2 --resume last|2 a:2,c:2 --resume last" "$(calls)"
on_hosts "6" "a c" 0 --host a:2,b:2,c:2 --max-restarts 1 --min-ranks 3
expect_equal "status when none will do" 2 "$status"

step "too few ranks, or none asked to be fewer"
on_hosts "6 2" "a" 0 --host a:2,b:2,c:2 --max-restarts 3 --min-ranks 3
expect_equal "status" 205 "$status"
expect_text "why" "cannot be reached: b c; the other hosts have a place for 2 ranks, --min-ranks needs 3" "$work/log"
on_hosts "6" "a c" 0 --host a:2,b:2,c:2 --max-restarts 1
expect_equal "calls without --min-ranks" "all a:2,b:2,c:2 $work/program train|all a:2,b:2,c:2 --resume last" "$(calls)"

step "a word for the shell stays a word"
again
status_of "$work/log" "$run" -n 2 -- train status 0 "\$(touch $work/shell)" "; touch $work/shell" 'a  b'
expect_equal "status" 0 "$status"
expect_text "arguments" "train status 0 \$(touch $work/shell) ; touch $work/shell a  b" "$work/starts.0"
[[ ! -e $work/shell ]] || fail "an argument was run by a shell"

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
  "--host a --hosts $work/program -- train" "--max-restarts -- train" "--bind elsewhere train" \
  "--min-ranks 2 -- train" "--host a;b -- train"; do
  # shellcheck disable=SC2086  # words
  status_of "$work/log" "$run" $arguments
  expect_equal "status of 'run.sh $arguments'" 2 "$status"
  expect_text "'run.sh $arguments' names its help" "launch/run.sh --help" "$work/log"
done
echo "passed in $SECONDS s"
