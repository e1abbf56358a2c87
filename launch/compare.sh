#!/usr/bin/env bash
# Trains every method of recipes/compare on the same marked images with several seeds, and writes one table: accuracy
# on the three tests with intervals, predictions that change with the mark, relevance in the background, cost.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage() {
  cat <<'EOF_USAGE'
Usage: launch/compare.sh [--output DIR] [--methods NAME,...] [--seeds N,...] [--jobs N] [--recipes DIR] [--data DIR]
                         [--no-build]

Packs the quick start's images, trains each method with each seed (one process and one thread each), evaluates it on
the three tests, explains some samples, and writes OUTPUT/comparison.md and OUTPUT/comparison.csv.

  --output DIR   where everything goes (default runs/compare)
  --methods A,B  recipes to run (default: all of recipes/compare but the U-Net, which the pipeline trains itself, and
                 classifier and isnet of recipes/quickstart)
  --seeds 1,2,3  seeds of each training (default 1,2,3)
  --jobs N       trainings at a time (default: one for each core)
  --recipes DIR  other recipes, in folders of the same names (default recipes/)
  --data DIR     a data set with splits test-biased, test-unbiased and test-confounding (default: packed)
  --no-build     neither set up nor build: the program is ISNET_BINARY, or what launch/run.sh finds

Run it again after an interruption, or with more seeds and methods: what is finished is skipped, a training resumes
from its last checkpoint. One whose recipe has changed starts anew.
EOF_USAGE
}

usage_error() { echo "compare: $* (see launch/compare.sh --help)" >&2; exit 2; }

output=runs/compare methods='' seeds=1,2,3 jobs=$(nproc) recipes=$here/recipes data='' build=true
while (($#)); do
  case $1 in
    --output) [[ -n ${2:-} ]] || usage_error "--output needs a folder"; output=$2; shift ;;
    --methods) [[ -n ${2:-} ]] || usage_error "--methods needs names"; methods=$2; shift ;;
    --seeds)
      [[ ${2:-} =~ ^[0-9]+(,[0-9]+)*$ ]] || usage_error "--seeds needs numbers such as 1,2,3, got '${2:-}'"
      seeds=$2; shift ;;
    --jobs) [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || usage_error "--jobs needs a number, got '${2:-}'"; jobs=$2; shift ;;
    --recipes)
      [[ -d ${2:-} ]] || usage_error "--recipes needs a folder, got '${2:-}'"
      recipes=$(cd "$2" && pwd); shift ;;
    --data)
      [[ -d ${2:-} ]] || usage_error "--data needs a folder, got '${2:-}'"
      data=$(cd "$2" && pwd); shift ;;
    --no-build) build=false ;;
    --help | -h) usage; exit 0 ;;
    *) usage_error "unknown option '$1'" ;;
  esac
  shift
done
[[ $output == /* ]] || output=$PWD/$output
cd "$here"
readonly tests=test-biased,test-unbiased,test-confounding
readonly images=/usr/share/datasets/fashion-mnist

recipe_of() {  # recipe_of METHOD: its file
  case $1 in
    classifier | isnet) echo "$recipes/quickstart/$1.ini" ;;
    *) echo "$recipes/compare/$1.ini" ;;
  esac
}

if [[ -z $methods ]]; then
  methods=classifier,isnet
  for file in "$recipes"/compare/*.ini; do
    [[ ${file##*/} == unet.ini ]] || methods+=,$(basename "$file" .ini)
  done
fi
IFS=, read -ra method_list <<< "$methods"
IFS=, read -ra seed_list <<< "$seeds"
for method in "${method_list[@]}"; do
  [[ -r $(recipe_of "$method") ]] || usage_error "there is no recipe $(recipe_of "$method")"
done

if $build; then
  ./setup.sh
  launch/build.sh release
  export ISNET_BINARY=$here/build/release/bin/isnet
fi
isnet=$(launch/run.sh --print-binary)
export ISNET_BINARY=$isnet OMP_NUM_THREADS=1
mkdir -p "$output"

pack_data() {
  data=$output/data
  local key
  key=$(sha256sum < "$recipes/data/quickstart.ini")
  if [[ -f $data.key && $(< "$data.key") == "$key" ]]; then return 0; fi
  [[ -r $images/train-images-idx3-ubyte.gz ]] ||
    { echo "compare: no Fashion-MNIST in $images: install the package dataset-fashion-mnist (./setup.sh does)" >&2; exit 3; }
  "$isnet" pack idx --config "$recipes/data/quickstart.ini" \
    --images "$images/train-images-idx3-ubyte.gz" --labels "$images/train-labels-idx1-ubyte.gz" \
    --test-images "$images/t10k-images-idx3-ubyte.gz" --test-labels "$images/t10k-labels-idx1-ubyte.gz" \
    --output "$data" --overwrite --quiet > "$output/pack.txt"
  echo "$key" > "$data.key"
}

train() {  # train RECIPE DIR SEED [OPTION...]: fresh, or from the last checkpoint of the same recipe
  local from=(--overwrite) started=$SECONDS status=0 key
  key=$(sha256sum < "$1")
  if [[ -f $2/recipe.key && $(< "$2/recipe.key") == "$key" ]]; then
    from=(--resume last)
  else
    rm -f "$2.seconds"
  fi
  # As many samples a step as on the two ranks of the quick start.
  "$isnet" train --config "$1" --data "$data" --output "$2" --seed "$3" --batch-size 32 --model-summary 0 --quiet \
    "${from[@]}" "${@:4}" || status=$?
  if [[ -d $2 ]]; then
    echo "$key" > "$2/recipe.key"
    echo $((SECONDS - started)) >> "$2.seconds"
  fi
  return "$status"
}

method_run() {  # method_run METHOD SEED
  local run=$output/$1/seed-$2 recipe key more=()
  recipe=$(recipe_of "$1")
  key=$(cat "$recipe" "$data/dataset.json" | sha256sum)
  if [[ -f $run.done && $(< "$run.done") == "$key" ]]; then return 0; fi
  mkdir -p "$output/$1"
  if [[ $1 == pipeline ]]; then
    train "$recipes/compare/unet.ini" "$output/$1/unet-$2" "$2" || return
    more=(--unet-weights "$output/$1/unet-$2/weights.safetensors")
  fi
  train "$recipe" "$run" "$2" "${more[@]}" || return
  "$isnet" evaluate --checkpoint "$run/checkpoints/last.ckpt" --data "$data" --split "$tests" --quiet \
    --output "$run/evaluation" > "$run/evaluation.txt" || return
  # Vision transformers have no relevance: their row has no share of it.
  "$isnet" explain --checkpoint "$run/checkpoints/last.ckpt" --data "$data" --split test-confounding --limit 200 \
    --output "$run/heatmaps.h5" > "$run/explanation.txt" 2>&1 || true
  rm -f "$run/heatmaps.h5"
  echo "$key" > "$run.done"
}

work() {  # work METHOD SEED: one line about it
  local started=$SECONDS status=0
  method_run "$1" "$2" > "$output/$1-$2.log" 2>&1 || status=$?
  if ((status == 0)); then
    echo "compare: $1, seed $2: done ($((SECONDS - started)) s)"
  else
    echo "compare: $1, seed $2: status $status; $output/$1-$2.log says why; the same command tries again" >&2
    echo "$status" >> "$output/failed"
  fi
}

[[ -n $data ]] || pack_data
rm -f "$output/failed"
for seed in "${seed_list[@]}"; do
  for method in "${method_list[@]}"; do
    while (($(jobs -rp | wc -l) >= jobs)); do wait -n || true; done
    work "$method" "$seed" &
  done
done
wait
python3 launch/compare_table.py "$output" "$methods" "$seeds"
[[ ! -e $output/failed ]] || exit 1
