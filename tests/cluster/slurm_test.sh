#!/usr/bin/env bash
# slurm/train_isnet.sh on a Slurm of two virtual nodes: a cancelled job saves, is not requeued, and goes on when it
# is submitted again; a job that does not fit into its time limit requeues itself until it is done. Both come to the
# weights of the undisturbed run. slurm/evaluate.sh writes its metrics.
# Budget: 180 s. Needs root, namespaces and slurm-wlm.
# shellcheck source=tests/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_root_and_namespaces
need_programs ip nsenter slurmctld slurmd munged srun

slurm=$tests_cluster/mini-slurm.sh
export SLURM_MINI_DIR=$work/slurm SLURM_MINI_NODE_TIMEOUT=10
slurm_down() { "$slurm" down; }
at_exit+=(slurm_down)

submit() {  # submit NAME OPTION-OF-SBATCH... SCRIPT ARGUMENT...: prints the job id; log in $work/NAME.log
  (cd "$root" && "$slurm" run env ISNET_BINARY="$ISNET_BINARY" \
    sbatch --parsable -N 2 --ntasks-per-node=1 -J "$1" -o "$work/$1.log" "${@:2}")
}
show() { sed 's/^/    /' "$work/$1.log" "$work/$1"/logs/*.log >&2; }
# shellcheck disable=SC2317  # called by wait_for
has_checkpoint() { compgen -G "$1/checkpoints/*.ckpt"; }

step "pack and train on one machine"
make_data "$work/data"
few=15
started=$(date +%s%N)
train_here "$work/few" $few
# Enough epochs for about 30 s, however fast this machine is: the time limit below has to cut them.
epochs=$((few * 30000 / (($(date +%s%N) - started) / 1000000)))
step "$epochs epochs for the job that has to be interrupted"
train_here "$work/many" "$epochs"

step "Slurm comes up"
"$slurm" up 2
up_at=$SECONDS

step "a cancelled job saves and stays away"
job=$(submit cancelled slurm/train_isnet.sh "${training[@]}" --data "$work/data" --max-epochs $few \
  --output "$work/cancelled")
wait_for 60 "a checkpoint" has_checkpoint "$work/cancelled"
"$slurm" run scancel "$job"
state=$("$slurm" wait "$job")
[[ $state == CANCELLED* ]] || { show cancelled; fail "the job ended as $state"; }
expect_text "the ranks' status" "the step ended with status 75" "$work/cancelled.log"
expect_no_text "no requeue" "back to the queue" "$work/cancelled.log"

step "submitted again, it goes on"
job=$(submit cancelled slurm/train_isnet.sh "${training[@]}" --data "$work/data" --max-epochs $few \
  --output "$work/cancelled")
state=$("$slurm" wait "$job")
[[ $state == "COMPLETED 0:0" ]] || { show cancelled; fail "the job ended as $state"; }
expect_same_result "cancelled and submitted again" "$work/few" "$work/cancelled"

step "a job longer than its time limit"
# Slurm counts limits in minutes, and looks at them every 30 s from its start on: a minute, with the signal 55 s
# before its end, and the job starts when the next look is 8 to 16 s away.
until (((SECONDS - up_at) % 30 >= 14 && (SECONDS - up_at) % 30 <= 22)); do sleep 0.2; done
job=$(submit limit -t 1 --signal=B:USR1@55 slurm/train_isnet.sh "${training[@]}" --data "$work/data" \
  --max-epochs "$epochs" --output "$work/limit")
state=$("$slurm" wait "$job")
[[ $state == "COMPLETED 0:0" ]] || { show limit; fail "the job ended as $state"; }
expect_text "the signal" "got SIGUSR1" "$work/limit.log"
expect_text "the ranks' status" "the step ended with status 75" "$work/limit.log"
expect_text "the requeue" "back to the queue" "$work/limit.log"
expect_text "the second start" "restart 1" "$work/limit.log"
expect_same_result "requeued by its time limit" "$work/many" "$work/limit"

step "evaluate"
job=$(submit evaluate -N 1 slurm/evaluate.sh --checkpoint "$work/limit/checkpoints/last.ckpt" --data "$work/data" \
  --split val --output "$work/evaluation")
state=$("$slurm" wait "$job")
[[ $state == "COMPLETED 0:0" ]] || { cat "$work/evaluate.log" >&2; fail "the evaluation ended as $state"; }
expect_text "metrics" '"accuracy"' "$work/evaluation/metrics.json"
echo "passed in $SECONDS s"
