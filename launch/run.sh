#!/usr/bin/env bash
# Runs isnet on several ranks, on this host or on several hosts, with the settings of mpirun that clusters need.
# MPI only starts the ranks; they exchange data through shared memory, Gloo or NCCL.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
  cat <<'EOF_USAGE'
Usage: launch/run.sh [OPTION...] [--] COMMAND [ARGUMENT...]      COMMAND of isnet: train, evaluate, explain, ...

  -n RANKS             number of ranks (default: 1; with hosts: all of their slots)
  --host a:2,b:2       hosts, each with the largest number of ranks on it
  --hosts FILE         hosts from a file with one line for each: "node1 slots=2"
  --interface NAME     network interface that connects the hosts, such as eth0 (default: the one that Open MPI and Gloo find)
  --host-timeout SEC   time after which a silent host counts as lost (default 20)
  --save-seconds SEC   time for a checkpoint that is being written when another rank is killed (default 2);
                       mpirun takes this long to end after any failure or second signal
  --max-restarts N     restart after a failure, with --resume last, up to N times in a row without a new
                       checkpoint (default 0), after pauses of 1, 2, 4, ... 60 s
  --min-ranks M        leave out hosts that can no longer be reached when restarting, as long as the others have
                       slots for M ranks (default: for all ranks)
  --oversubscribe      allow more ranks than slots on hosts (here it is always allowed)
  --bind WHAT          bind each rank to a core, socket or numa node (default none: torch's threads share the cores)
  -x NAME              pass this environment variable to ranks on other hosts (repeatable); PATH,
                       LD_LIBRARY_PATH and those that start with ISNET_, GLOO_, NCCL_, TORCH_, OMP_, GOMP_,
                       CUDA_, HDF5_ are always passed
  --rank-logs DIR      also write each rank's output to a file
  --dry-run            print the command and end
  --print-binary       print which isnet would run and end

Signals: the first SIGINT, SIGTERM, SIGHUP or SIGUSR1 lets the ranks save a checkpoint and end with status 75;
a second SIGINT or SIGTERM ends them at once.
Status: that of isnet (0 done, 1 failure, 2 usage, 3 bad data or checkpoint, 75 stopped after a checkpoint:
start it again), 128 + signal of a rank that was killed, 205 for a lost host.
Runs with other statuses than 0, 2, 3 and 75 are restarted.
Environment: ISNET_BINARY (the program; default build/release, build/dev, an installed one), ISNET_MPIRUN
(default mpirun), OMPI_MCA_* (settings of Open MPI, such as OMPI_MCA_plm_rsh_agent for another ssh).
EOF_USAGE
}

# Where nobody reads stderr, a message is dropped after 2 s: the ranks do not wait for it.
say() { timeout --foreground 2 echo "launch: $*" >&2 || true; }
die() { say "$@"; exit 1; }
usage_error() { say "$* (see launch/run.sh --help)"; exit 2; }
number() { [[ $2 =~ ^(0|[1-9][0-9]{0,5})$ ]] || usage_error "$1 needs a number, got '$2'"; }

ranks='' host_list='' host_file='' interface='' host_timeout=20 save_seconds=2 max_restarts=0 min_ranks='' oversubscribe=false bind=none
rank_logs='' dry_run=false print_binary=false variables=()
while (($#)); do
  case $1 in
    -n | --host | --hosts | --interface | --host-timeout | --save-seconds | --max-restarts | --min-ranks | --bind | -x | --rank-logs)
      (($# >= 2)) || usage_error "$1 needs a value" ;;
  esac
  case $1 in
    -n) number "$1" "$2"; (($2 > 0)) || usage_error "-n needs at least 1 rank"; ranks=$2; shift ;;
    --host) host_list=$2; shift ;;
    --hosts) host_file=$2; shift ;;
    --interface) interface=$2; shift ;;
    --host-timeout) number "$1" "$2"; (($2 >= 5)) || usage_error "--host-timeout needs 5 or more, got '$2'"; host_timeout=$2; shift ;;
    --save-seconds) number "$1" "$2"; save_seconds=$2; shift ;;
    --max-restarts) number "$1" "$2"; max_restarts=$2; shift ;;
    --min-ranks) number "$1" "$2"; (($2 > 0)) || usage_error "--min-ranks needs at least 1 rank"; min_ranks=$2; shift ;;
    --oversubscribe) oversubscribe=true ;;
    --bind) [[ $2 == @(none|core|socket|numa) ]] || usage_error "--bind is none, core, socket or numa, got '$2'"; bind=$2; shift ;;
    -x) variables+=("$2"); shift ;;
    --rank-logs) rank_logs=$2; shift ;;
    --dry-run) dry_run=true ;;
    --print-binary) print_binary=true ;;
    --help | -h) usage; exit 0 ;;
    --) shift; break ;;
    -*) usage_error "unknown option '$1'" ;;
    *) break ;;
  esac
  shift
done
find_binary() {
  local candidate
  if [[ -n ${ISNET_BINARY:-} ]]; then
    [[ -x $ISNET_BINARY ]] || die "ISNET_BINARY=$ISNET_BINARY is not a program"
    readlink -f "$ISNET_BINARY"
    return
  fi
  for candidate in "$here"/../build/{release,dev}/bin/isnet "$here"/../bin/isnet "$here"/../../../bin/isnet; do
    if [[ -x $candidate ]]; then readlink -f "$candidate"; return; fi
  done
  command -v isnet || die "no isnet here: build it (cmake --preset release && cmake --build --preset release), or set ISNET_BINARY"
}

if $print_binary; then find_binary; exit; fi
(($#)) || usage_error "no command: for example launch/run.sh -n 2 -- train --config recipes/x.ini"
[[ -z $host_list || -z $host_file ]] || usage_error "--host and --hosts exclude each other"
[[ -z $host_file || -r $host_file ]] || usage_error "cannot read the host file '$host_file'"
[[ -z $min_ranks || -n $host_list$host_file ]] || usage_error "--min-ranks is for several hosts: --host or --hosts"
[[ -z $host_list || $host_list =~ ^[A-Za-z0-9._-]+(:[0-9]+)?(,[A-Za-z0-9._-]+(:[0-9]+)?)*$ ]] ||
  usage_error "--host needs a form such as a:2,b:2, got '$host_list'"

launcher=()  # what stands before the program: nothing for one rank here
build_launcher() {
  local name interval handed=("${variables[@]}")
  launcher=()
  if [[ -z $host_list$host_file && -n ${SLURM_JOB_ID:-} ]]; then ranks=${ranks:-${SLURM_NTASKS:-1}}; fi
  if [[ -z $host_list$host_file && ${ranks:-1} == 1 ]]; then return 0; fi
  command -v "${ISNET_MPIRUN:-mpirun}" >/dev/null || die "no mpirun here: run ./setup.sh, or set ISNET_MPIRUN"
  launcher=("${ISNET_MPIRUN:-mpirun}" --stdin none)
  if ((EUID == 0)); then launcher+=(--allow-run-as-root); fi
  [[ -z $ranks ]] || launcher+=(-n "$ranks")
  if [[ -n $host_list ]]; then
    launcher+=(--host "$host_list")
  elif [[ -n $host_file ]]; then
    launcher+=(--hostfile "$host_file")
  elif [[ -z ${SLURM_JOB_ID:-} ]]; then
    launcher+=(--host "localhost:$ranks")  # as many slots as ranks, however many cores there are
  fi
  if $oversubscribe; then launcher+=(--oversubscribe); fi
  launcher+=(--bind-to "$bind")
  # MPI carries one broadcast and a few barriers: plain transports will do, and waiting ranks give up their core.
  launcher+=(--mca pml ob1 --mca btl "vader,tcp,self" --mca btl_vader_single_copy_mechanism none --mca mpi_yield_when_idle 1)
  # SIGTERM comes after this time, SIGKILL after the same again.
  launcher+=(--mca odls_base_sigkill_timeout $(((save_seconds + 1) / 2)))
  # Unless told otherwise mpirun waits for a silent host for minutes.
  interval=$((host_timeout / 6 > 0 ? host_timeout / 6 : 1))
  launcher+=(--mca oob_tcp_keepalive_time $((host_timeout - 3 * interval)) --mca oob_tcp_keepalive_intvl "$interval"
    --mca oob_tcp_keepalive_probes 3)
  if [[ -n $interface ]]; then
    launcher+=(--mca oob_tcp_if_include "$interface" --mca btl_tcp_if_include "$interface")
    export GLOO_SOCKET_IFNAME=$interface
  fi
  [[ -z $rank_logs ]] || launcher+=(--output-filename "$rank_logs")
  if [[ -n $host_list$host_file ]]; then
    # No password prompt that nobody sees, no endless wait for a host that is off.
    if [[ -z ${OMPI_MCA_plm_rsh_agent:-} ]]; then
      launcher+=(--mca plm_rsh_args "-o BatchMode=yes -o ConnectTimeout=$host_timeout")
    fi
    while read -r name; do
      if [[ $name =~ ^(PATH|LD_LIBRARY_PATH|(ISNET|GLOO|NCCL|TORCH|OMP|GOMP|CUDA|HDF5)_.*)$ ]]; then handed+=("$name"); fi
    done < <(compgen -e)
    for name in "${handed[@]}"; do
      [[ $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || usage_error "-x needs the name of a variable, got '$name'"
      [[ ! -v $name ]] || launcher+=(-x "$name")
    done
  fi
}

arguments=("$@")
resume_last() {  # the same command, but from the last checkpoint
  local kept=() skip=false word
  for word in "${arguments[@]}"; do
    if $skip; then skip=false; continue; fi
    case $word in
      --resume) skip=true ;;
      --resume=* | --overwrite) ;;
      *) kept+=("$word") ;;
    esac
  done
  arguments=("${kept[@]}" --resume last)
}

# Of mpirun's ranks on this host: mpirun itself stands still where nobody reads its stderr.
signal_local_ranks() {
  local rank
  for rank in $(pgrep -P "$child" 2>/dev/null || true); do
    if [[ $(readlink "/proc/$rank/exe") == "$binary" ]]; then kill -USR1 "$rank" 2>/dev/null || true; fi
  done
}

child='' stopping=0
# mpirun answers SIGTERM by killing the ranks a second later; SIGUSR1 it hands on, and ranks have the time to save.
on_signal() {
  stopping=$((stopping + 1))
  [[ -n $child ]] || return 0
  if ((stopping == 1)); then
    kill -USR1 "$child" 2>/dev/null || true
    signal_local_ranks
    say "SIG$1: asking the ranks to save and to end"
  elif [[ $1 == INT || $1 == TERM ]]; then
    kill -TERM "$child" 2>/dev/null || true
    say "SIG$1 again: ending at once"
  fi
}
for signal in INT TERM HUP USR1; do
  # shellcheck disable=SC2064  # the name is wanted now
  trap "on_signal $signal" "$signal"
done

# Once a rank has given up, mpirun tells all hosts, and waits for ever for one that cannot be reached.
alarms=0
on_alarm() {
  [[ -n $child ]] || return 0
  alarms=$((alarms + 1))
  kill -KILL -- "-$child" 2>/dev/null || true
  say "mpirun has not ended $host_timeout s after a rank gave up: a host cannot be reached; it is ended"
}
trap on_alarm ALRM
pass_on_errors() {  # what mpirun writes to stderr; an alarm to this script some time after a rank has given up
  local line timer=''
  while IFS= read -r line || [[ -n $line ]]; do
    printf '%s\n' "$line" >&2
    if [[ -z $timer && $line == *"MPI_ABORT was invoked"* ]]; then
      (sleep "$host_timeout"; kill -ALRM $$) > /dev/null 2>&1 &
      timer=$!
    fi
  done
  [[ -z $timer ]] || kill "$timer" 2>/dev/null || true
}

run_once() {
  local status signals errors watcher=''
  alarms=0
  if [[ -n $host_list$host_file ]]; then
    exec {errors}> >(trap '' INT TERM HUP USR1; pass_on_errors)
    watcher=$!
  else
    exec {errors}>&2
  fi
  # A process group of its own: a Ctrl-C at the terminal reaches this script only. Without signals that are
  # ignored in background processes, too: hence set -m.
  set -m
  "${launcher[@]}" "$binary" "${arguments[@]}" </dev/null 2>&"$errors" {errors}>&- &
  child=$!
  set +m
  exec {errors}>&-
  while true; do
    signals=$((stopping + alarms)) status=0
    wait "$child" || status=$?
    # wait also ends, with 128 + its number, when a signal has come in
    if ((signals == stopping + alarms)); then break; fi
  done
  child=''
  if [[ -n $watcher ]]; then  # mpirun's last words come before ours; what else it started may hold on to them
    for _ in {1..40}; do kill -0 "$watcher" 2>/dev/null || break; sleep 0.05; done
  fi
  if ((alarms)); then status=205; fi
  return "$status"
}

# Threads that wait for each other give up their core after some microseconds: where cores are shared, the default
# (many milliseconds) makes a run ten times slower.
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-1000}
binary=$(find_binary)
build_launcher
if $dry_run; then
  printf '%q ' "${launcher[@]}" "$binary" "${arguments[@]}"
  echo
  exit 0
fi

# mpirun calls every status but 0 an abort, at some length: the last line says what it was.
explain_status() {
  case $1 in
    0) ;;
    2) say "status 2: wrong usage (see above)" ;;
    3) say "status 3: bad data or a bad checkpoint (see above)" ;;
    75) say "status 75: stopped after a checkpoint was written; the same command with --resume last resumes it" ;;
    205) say "status 205: a host was lost" ;;
    *)
      if (($1 > 128 && $1 < 193)); then say "status $1: a rank was ended by signal $(($1 - 128)) ($(kill -l $(($1 - 128))))"
      else say "status $1: failed (see above)"; fi ;;
  esac
}

# --- restarts ---------------------------------------------------------------------------------------------

output_folder() {  # of the command: --output, else that of --config
  local word before='' output='' config=''
  for word in "${arguments[@]}"; do
    case $before in
      --output) output=$word ;;
      --config) config=$word ;;
    esac
    case $word in
      --output=*) output=${word#*=} ;;
      --config=*) config=${word#*=} ;;
    esac
    before=$word
  done
  if [[ -z $output && -f $config ]]; then output=$(sed -nE 's/^[[:space:]]*output[[:space:]]*=[[:space:]]*(.*[^[:space:]])[[:space:]]*$/\1/p' "$config" | tail -n 1); fi
  echo "$output"
}

checkpoints() {  # what is there, to see whether there is something new
  local output
  output=$(output_folder)
  [[ -z $output ]] || stat -c '%n %y %s' "$output"/checkpoints/*.ckpt 2>/dev/null || true
}

host_slots() {  # a line for each host: name and slots
  if [[ -n $host_list ]]; then
    tr , '\n' <<< "$host_list" | sed -E 's/^([^:]+)$/\1:1/; s/:/ /'
  else
    sed -E 's/#.*//' "$host_file" | awk 'NF { slots = 1; for (i = 2; i <= NF; i++) if ($i ~ /^slots=[0-9]+$/) slots = substr($i, 7); print $1, slots }'
  fi
}

reachable() {  # reachable HOST: whether it answers in the way in which ranks are started
  local agent
  if [[ -n ${OMPI_MCA_plm_rsh_agent:-} ]]; then read -ra agent <<< "$OMPI_MCA_plm_rsh_agent"
  else agent=(ssh -o BatchMode=yes -o "ConnectTimeout=$host_timeout"); fi
  timeout "$host_timeout" "${agent[@]}" "$1" true </dev/null >/dev/null 2>&1
}

mapfile -t all_hosts < <([[ -z $host_list$host_file ]] || host_slots)
wanted_ranks=$ranks
for entry in "${all_hosts[@]}"; do [[ -n $ranks ]] || wanted_ranks=$((${wanted_ranks:-0} + ${entry#* })); done

# Leaves out what cannot be reached; fails where too little remains.
choose_hosts() {
  local entry list='' slots=0 lost=''
  for entry in "${all_hosts[@]}"; do
    if reachable "${entry% *}"; then
      list+=${list:+,}${entry/ /:}
      slots=$((slots + ${entry#* }))
    else
      lost+=" ${entry% *}"
    fi
  done
  if ((slots > wanted_ranks)); then slots=$wanted_ranks; fi
  if ((slots < min_ranks)); then
    say "cannot be reached:$lost; the other hosts have a place for $slots ranks, --min-ranks needs $min_ranks"
    return 1
  fi
  [[ -z $lost ]] || say "cannot be reached:$lost; continuing with $slots of $wanted_ranks ranks"
  host_list=$list host_file='' ranks=$slots
  build_launcher
}

failures=0
while true; do
  before=$(checkpoints)
  status=0
  run_once || status=$?
  # Not every number of ranks divides the global batch of the checkpoint: isnet says so, with status 2.
  while [[ $status == 2 && -n $min_ranks ]] && ((ranks < wanted_ranks && ranks > min_ranks && !stopping)); do
    ranks=$((ranks - 1)) status=0
    say "trying $ranks ranks"
    build_launcher
    run_once || status=$?
  done
  explain_status "$status"
  case $status in
    0 | 2 | 3 | 75) exit "$status" ;;
  esac
  if ((stopping)); then exit "$status"; fi
  after=$(checkpoints)
  if [[ -n $before && -z $after ]]; then
    say "not started again: the checkpoints that the run had are gone from $(output_folder)"
    exit "$status"
  fi
  if [[ $before != "$after" ]]; then failures=0; fi
  if ((failures >= max_restarts)); then
    ((max_restarts == 0)) || say "giving up after $failures restarts without a new checkpoint"
    exit "$status"
  fi
  failures=$((failures + 1))
  say "restart $failures of $max_restarts"
  if [[ ${arguments[0]} == train ]]; then resume_last; fi
  pause=$((failures < 7 ? 1 << (failures - 1) : 60))
  sleep "$((pause < 60 ? pause : 60))" &  # in the background, so that a signal is answered at once
  wait $! || kill $! 2>/dev/null || true
  if ((stopping)); then exit 75; fi
  if [[ -n $min_ranks ]]; then choose_hosts || exit "$status"; fi
done
