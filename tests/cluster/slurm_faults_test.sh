#!/usr/bin/env bash
# slurm/train_isnet.sh when others act: a job is requeued by hand, preempted, loses a node, loses the node of its
# script; and an array of recipes of which one task is cancelled. Each comes to the weights of its undisturbed run.
# Budget: 240 s. Needs root, namespaces and slurm-wlm.
# shellcheck source=tests/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_slurm
hold_options

# shellcheck disable=SC2317  # called by wait_for
{
  is_pending() { "$slurm" run scontrol -o show job "$job" | grep -q "JobState=PENDING"; }
  has_left() { [[ -z $("$slurm" run squeue -h -j "$job" -o %T 2>/dev/null) ]]; }
}
resumed() { grep -q "resuming from" "$work/$1"/logs/rank-0.log; }
begin() {  # begin NAME OPTION-OF-SBATCH...: submits a training and waits for its first checkpoint
  hold
  job=$(submit "$1" "${@:2}" slurm/train_isnet.sh "${training[@]}" --data "$work/data" --max-epochs "$epochs" \
    --output "$work/$1" "${held[@]}")
  wait_for 60 "a checkpoint of $1" has_checkpoint "$work/$1"
}
completes() {  # completes NAME WHAT: after a restart, with the weights of the undisturbed run
  wait_for 150 "the restart of $1" grep -q "restart 1" "$work/$1.log"
  let_go
  expect_end "$1" "$job" "COMPLETED 0:0"
  expect_text "$2" "restart 1" "$work/$1.log"
  resumed "$1" || fail "$2: nothing was resumed"
  expect_same_result "$2" "$work/here" "$work/$1"
  survived+=("$2")
}
survived=()

step "pack and train on one machine"
make_data "$work/data"
train_here "$work/here" "$epochs"

step "Slurm comes up"
slurm_up

step "requeued by hand"
begin requeued
"$slurm" run scontrol requeue "$job"
completes requeued "scontrol requeue"

step "a signal by hand: save, requeue, go on"
begin signalled
"$slurm" run scancel --batch -s USR1 "$job"
completes signalled "scancel -s USR1"
expect_text "the ranks' status" "the step ended with status 75" "$work/signalled.log"

step "preempted by a job of another partition"
begin preempted
urgent=$("$slurm" run sbatch --parsable -p urgent -N 2 --exclusive -o /dev/null --wrap "sleep 3")
[[ $("$slurm" wait "$urgent") == "COMPLETED 0:0" ]] || fail "the urgent job did not run"
completes preempted "preemption"

step "a node loses power"
begin node
"$slurm" off node2
sleep 1
"$slurm" on node2
completes node "power loss of a node"

step "the node of the batch script loses power"
begin batch
"$slurm" off node1
wait_for 60 "Slurm to notice" is_pending
"$slurm" on node1
completes batch "power loss of the script's node"

step "an array of recipes, one task of which is cancelled"
export ISNET_RECIPES=$work/recipes
mkdir "$ISNET_RECIPES"
option_lines() { printf '%s = %s\n' "$@" | sed 's/^--//'; }
option_lines "${training[@]}" --max-epochs "$epochs" > "$ISNET_RECIPES/a.ini"
option_lines "${training[@]}" --max-epochs "$epochs" --lr 0.02 | sed '/^lr = 0.01$/d' > "$ISNET_RECIPES/b.ini"
echo "shard-size = 100" > "$ISNET_RECIPES/a_data.ini"  # of isnet pack: it is no task
status_of "$work/log" "$root/launch/run.sh" -n 2 -- train --config "$ISNET_RECIPES/b.ini" --data "$work/data" \
  --output "$work/here-b"
expect_equal "status of the second recipe" 0 "$status"
array() {  # array TASKS: prints the job id
  submit array-%a --array="$1" slurm/train_isnet.sh --data "$work/data" --output "$work/array" "${held[@]}"
}
hold
job=$(array 0-1)
wait_for 60 "a checkpoint of task 1" has_checkpoint "$work/array/b"
"$slurm" run scancel "${job}_1"
wait_for 60 "the end of task 1" grep -q "the step ended with status 75" "$work/array-1.log"
let_go
wait_for 120 "both tasks" has_left
expect_same_result "task 0" "$work/here" "$work/array/a"
[[ ! -e $work/array/b/weights.safetensors ]] || fail "task 1 was not cancelled in time"
expect_no_text "task 1" "back to the queue" "$work/array-1.log"
job=$(array 1)
wait_for 120 "task 1" has_left
expect_same_result "task 1, submitted again" "$work/here-b" "$work/array/b"
survived+=("scancel of one task of an array")

step "a task without a recipe says which there are"
job=$(array 2)
wait_for 60 "the end of task 2" has_left
expect_text "a number without a recipe" "no training recipe number 2 in $ISNET_RECIPES, which has 2, numbered from 0: a.ini b.ini" \
  "$work/array-2.log"

step "the line of docs/operations.md"
line=$(sed -nE 's/^    (sbatch --array=.*)/\1/p' "$root/docs/operations.md")
read -ra words <<< "${line%%#*}"
[[ ${words[*]} == "sbatch --array=0-3 slurm/train_isnet.sh --data DIR --output DIR" ]] || fail "another line: $line"
words=("${words[@]/DIR/$work/documented}")
words[4]=$work/data
job=$(submit documented-%a "${words[@]:1}" --max-epochs 1)
wait_for 120 "all tasks" has_left
for task in 0 1; do expect_text "task $task" "the step ended with status 0" "$work/documented-$task.log"; done

table_head
for fault in "${survived[@]}"; do table_row "$fault" 1 1; done
echo "passed in $SECONDS s"
