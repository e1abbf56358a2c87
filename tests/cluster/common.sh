# shellcheck shell=bash
# For the tests in this folder: assertions that say what was wrong, and reasons to skip that CI can tell apart.
# shellcheck disable=SC2034  # what the tests use
set -euo pipefail

tests_cluster=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$tests_cluster/../.." && pwd)
export PATH=$PATH:/usr/sbin:/sbin
export ISNET_BINARY=${ISNET_BINARY:-$("$root/launch/run.sh" --print-binary)}

skip() { echo "SKIPPED, NEEDS $*"; exit 77; }
fail() {  # with what the last command of status_of printed
  if [[ -r ${last_log:-} ]]; then
    echo "the last lines of ${last_log##*/}:" >&2
    tail -n 20 "$last_log" | cut -c 1-300 | sed 's/^/    /' >&2
  fi
  echo "FAILED: $*" >&2
  exit 1
}
step() { echo "--- $* (at $SECONDS s)"; }

expect_equal() {  # expect_equal WHAT EXPECTED ACTUAL
  [[ $2 == "$3" ]] || fail "$1: expected '$2', got '$3'"
}
expect_text() {  # expect_text WHAT TEXT FILE
  grep -qF -- "$2" "$3" || { sed 's/^/    /' "$3" >&2; last_log='' fail "$1: '$2' is not in ${3##*/} (above)"; }
}
expect_no_text() {
  ! grep -qF -- "$2" "$3" || { sed 's/^/    /' "$3" >&2; last_log='' fail "$1: '$2' is in ${3##*/} (above)"; }
}
expect_same_file() {  # expect_same_file WHAT FILE FILE
  cmp "$2" "$3" || fail "$1: ${2##*/} differs"
}

status_of() {  # status_of LOG COMMAND...: runs it, output to the log; sets $status
  status=0 last_log=$1
  "${@:2}" > "$1" 2>&1 || status=$?
}
wait_for() {  # wait_for SECONDS WHAT COMMAND...
  local deadline=$((SECONDS + $1))
  until "${@:3}" > /dev/null 2>&1; do
    ((SECONDS < deadline)) || fail "waited $1 s in vain for $2"
    sleep 0.1
  done
}

# The small number is for every change; tests/run.sh --full asks for the large one.
full_or() { if [[ -n ${ISNET_FULL:-} ]]; then echo "$1"; else echo "$2"; fi; }  # full_or LARGE SMALL

table_head() { printf '%-52s %6s %9s %5s\n' fault tried survived lost; }
table_row() {  # table_row FAULT TRIED SURVIVED
  printf '%-52s %6d %9d %5d\n' "$1" "$2" "$3" $(($2 - $3))
}

need_root_and_namespaces() {
  ((EUID == 0)) || skip "RIGHTS: virtual hosts need root"
  unshare --net --uts --mount --ipc --pid --fork true 2>/dev/null || skip "RIGHTS: the kernel gives no namespaces here"
}
need_programs() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || skip "PROGRAMS: no $program here (./setup.sh --with-tests installs it)"
  done
}

need_troublemaker() {  # a plug-in that makes a rank fail; sets $troublemaker
  troublemaker=${TROUBLEMAKER:-$root/build/dev/lib/libtroublemaker.so}
  [[ -r $troublemaker ]] || skip "PROGRAMS: no $troublemaker here (the tests' build makes it)"
}

# A folder of the test's own; functions named in $at_exit are called before it is removed.
work=$(mktemp -d "${TMPDIR:-/tmp}/isnet-cluster.XXXXXX")
chmod 755 "$work"
at_exit=()
clean_up() {
  local status=$? function process
  trap - EXIT
  for function in "${at_exit[@]}"; do "$function" || true; done
  # What an interrupted test has started, wherever it went since: HOSTS_DIR, exported below, tells it.
  while read -r process; do
    kill -KILL "$process" 2>/dev/null || true
  done < <(grep -lzsF "HOSTS_DIR=$work/hosts" /proc/[0-9]*/environ | cut -d/ -f3)
  if ((status == 0 || status == 77)) || [[ -z ${ISNET_KEEP_FAILED:-} ]]; then rm -rf "$work"; else echo "kept: $work" >&2; fi
  exit "$status"
}
trap clean_up EXIT
trap 'exit 143' TERM INT

# --- trainings that the tests interrupt, and what they must come to ---------------------------------------

images=/usr/share/datasets/fashion-mnist

make_data() {  # make_data FOLDER: 3 classes of real images with a mark, 96 samples for training
  [[ -r $images/train-images-idx3-ubyte.gz ]] || skip "DATA: no Fashion-MNIST in $images (./setup.sh installs it)"
  "$ISNET_BINARY" pack idx --images "$images/train-images-idx3-ubyte.gz" --labels "$images/train-labels-idx1-ubyte.gz" \
    --classes 0,1,2 --limit-per-class 40 --validation-share 0.2 --pad-to 32 --mark square --output "$1" > "$work/pack.log" 2>&1 ||
    { cat "$work/pack.log" >&2; fail "isnet pack"; }
}

# A small ISNet; batches of 8 on 2 ranks. One thread a rank: sums are the same wherever the ranks are.
training=(--network densenet --growth-rate 4 --blocks "2,2" --init-features 8 --objective isnet --batch-size 8
  --optimizer sgd --lr 0.01 --momentum 0.9 --gradient-clip-val 1 --seed 7 --threads 1 --lock-timeout 5)

has_checkpoint() { compgen -G "$1/checkpoints/*.ckpt"; }  # has_checkpoint RUN
checkpoint_step() {  # checkpoint_step FILE: how many optimiser steps it has behind it
  python3 - "$1" <<'EOF_PYTHON'
import json, struct, sys
with open(sys.argv[1], "rb") as file:
    header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
print(json.loads(header["__metadata__"]["state"])["loop"]["global_step"])
EOF_PYTHON
}
ranks_of() {  # ranks_of LAUNCHER: the processes of launch/run.sh's ranks on this machine
  local mpirun
  mpirun=$(pgrep -P "$1" -x mpirun) && pgrep -P "$mpirun"
}

train_here() {  # train_here OUTPUT EPOCHS: 2 ranks on this machine, undisturbed
  status_of "$work/here.log" "$root/launch/run.sh" -n 2 -- train "${training[@]}" --data "$work/data" \
    --max-epochs "$2" --output "$1"
  ((status == 0)) || { cat "$work/here.log" >&2; fail "the undisturbed training ended with status $status"; }
}
# Trainings with these options go slowly, and wait before their last epoch, until let_go: a fault finds them at work on
# any machine. A request to stop is answered meanwhile.
epochs=8  # of 6 steps
hold_options() { need_troublemaker; held=(--plugin "$troublemaker" --hold-at "$(((epochs - 1) * 6)):0.1:$work/gate"); }
hold() { rm -f "$work/gate"; }
let_go() { touch "$work/gate"; }

expect_same_result() {  # expect_same_result WHAT RUN RUN: weights and metrics bit by bit
  local first=$2/weights.safetensors second=$3/weights.safetensors skip=()
  # A header (its length comes first) says where the run was kept; the tensors follow.
  skip+=($((8 + $(od -An -tu8 -N8 "$first"))) $((8 + $(od -An -tu8 -N8 "$second"))))
  cmp -i "${skip[0]}:${skip[1]}" "$first" "$second" || fail "$1: the weights differ"
  cmp "$2/metrics.csv" "$3/metrics.csv" || fail "$1: the metrics differ"
}

# --- virtual hosts ----------------------------------------------------------------------------------------

hosts=$tests_cluster/two-hosts.sh
export HOSTS_DIR=$work/hosts
hosts_down() { "$hosts" down; }
hosts_up() {  # hosts_up N
  at_exit+=(hosts_down)
  "$hosts" up "$1"
}
on_hosts() {  # on_hosts HOST-TIMEOUT OPTION... -- COMMAND: launch/run.sh on head, a rank on each host
  # Its process is written to $work/launcher.
  # shellcheck disable=SC2016  # expands on head
  "$hosts" exec head env ISNET_BINARY="$ISNET_BINARY" OMPI_MCA_plm_rsh_agent="$hosts agent" \
    bash -c 'echo $$ > "$0"; exec "$@"' "$work/launcher" \
    "$root/launch/run.sh" --host node1:1,node2:1 --interface eth0 --host-timeout "$1" "${@:2}"
}

# --- a Slurm of two virtual hosts -------------------------------------------------------------------------

slurm=$tests_cluster/mini-slurm.sh
export SLURM_MINI_DIR=$work/slurm SLURM_MINI_NODE_TIMEOUT=10
need_slurm() {
  need_root_and_namespaces
  need_programs ip nsenter slurmctld slurmd munged srun
}
slurm_down() { "$slurm" down; }
slurm_up() {
  at_exit+=(slurm_down)
  "$slurm" up 2
}
submit() {  # submit NAME OPTION-OF-SBATCH... SCRIPT ARGUMENT...: prints the job id; log in $work/NAME.log
  (cd "$root" && "$slurm" run env ISNET_BINARY="$ISNET_BINARY" ISNET_RECIPES="${ISNET_RECIPES:-}" \
    sbatch --parsable -N 2 --ntasks-per-node=1 -J "$1" -o "$work/$1.log" "${@:2}")
}
expect_end() {  # expect_end NAME JOB STATE: shows the logs of a job that ends otherwise
  local state
  state=$("$slurm" wait "$2")
  # shellcheck disable=SC2053  # a pattern
  [[ $state == $3 ]] || { sed 's/^/    /' "$work/$1".log "$work/$1"/logs/*.log >&2; fail "$1: the job ended as $state"; }
}
