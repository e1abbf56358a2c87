#!/usr/bin/env bash
# Goes from a fresh checkout to a result: a plain classifier learns a mark in the background, an ISNet of the same
# network does not. Real images (Fashion-MNIST), a small DenseNet, two ranks.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage() {
  cat <<'EOF_USAGE'
Usage: launch/quickstart.sh [--output DIR] [--seed N] [--full] [--ranks N] [--yes] [--recipes DIR] [--no-build]

Sets up, builds, packs Fashion-MNIST with a class-correlated mark in the background, trains a plain classifier and
an ISNet, evaluates both on three tests (mark as in training, no mark, mark of another class), explains samples, and
compares the networks.

  --output DIR  where everything goes (default runs/quickstart)
  --seed N      seed of both trainings (default 1)
  --full        all ten classes and longer trainings (recipes/full)
  --ranks N     processes to train on (default 2)
  --yes         do not ask before packages are installed
  --recipes DIR other recipes of the same names (default recipes/)
  --no-build    neither set up nor build: use ISNET_BINARY, or the program that launch/run.sh finds

Run it again after an interruption: finished stages are skipped, a training resumes from its last checkpoint.
EOF_USAGE
}

usage_error() { echo "quickstart: $* (see launch/quickstart.sh --help)" >&2; exit 2; }

output=runs/quickstart seed=1 recipe=quickstart ranks=2 recipes=$here/recipes build=true setup_options=()
while (($#)); do
  case $1 in
    --output)
      [[ -n ${2:-} ]] || usage_error "--output needs a folder"
      output=$2; shift ;;
    --seed | --ranks)
      [[ ${2:-} =~ ^[0-9]+$ ]] || usage_error "$1 needs a number, got '${2:-}'"
      if [[ $1 == --seed ]]; then seed=$2; else ranks=$2; fi
      shift ;;
    --recipes)
      [[ -d ${2:-} ]] || usage_error "--recipes needs a folder, got '${2:-}'"
      recipes=$(cd "$2" && pwd); shift ;;
    --full) recipe=full ;;
    --no-build) build=false ;;
    --yes) setup_options+=(--yes) ;;
    --help | -h) usage; exit 0 ;;
    *) usage_error "unknown option '$1'" ;;
  esac
  shift
done
[[ $output == /* ]] || output=$PWD/$output
cd "$here"
readonly tests=(test-biased test-unbiased test-confounding)
readonly images=/usr/share/datasets/fashion-mnist
readonly data=$output/data

# stage NAME FUNCTION: once. A stage counts as done for the recipes, the seed and the ranks it was done with.
stage() {
  local stamp=$output/stages/$1 key started=$SECONDS status=0
  key=$(printf '%s\n' "$recipe" "$seed" "$ranks"; cat "$recipes/data/$recipe.ini" "$recipes/$recipe"/*.ini)
  if [[ -f $stamp && $(< "$stamp") == "$key" ]]; then
    echo "quickstart: $1: done before"
    return 0
  fi
  echo "quickstart: $1"
  # An earlier start with the same key may have left something to resume.
  fresh=true
  if [[ -f $stamp.started && $(< "$stamp.started") == "$key" ]]; then fresh=false; fi
  mkdir -p "$output/stages"
  echo "$key" > "$stamp.started"
  "$2" || status=$?
  if ((status == 75)); then
    echo "quickstart: stopped; the same command resumes" >&2
    exit 75
  elif ((status != 0)); then
    echo "quickstart: '$1' failed with status $status (see above); the same command tries again from there" >&2
    exit "$status"
  fi
  echo "$key" > "$stamp"
  echo "quickstart: $1: $((SECONDS - started)) s"
}

pack_data() {
  [[ -r $images/train-images-idx3-ubyte.gz ]] ||
    { echo "quickstart: no Fashion-MNIST in $images: install the package dataset-fashion-mnist (./setup.sh does)" >&2; return 3; }
  "$isnet" pack idx --config "$recipes/data/$recipe.ini" \
    --images "$images/train-images-idx3-ubyte.gz" --labels "$images/train-labels-idx1-ubyte.gz" \
    --test-images "$images/t10k-images-idx3-ubyte.gz" --test-labels "$images/t10k-labels-idx1-ubyte.gz" \
    --output "$data" --overwrite
}

train() {  # train classifier|isnet
  local from=(--resume last)
  if $fresh; then from=(--overwrite); fi
  launch/run.sh -n "$ranks" -- train --config "$recipes/$recipe/$1.ini" --data "$data" --output "$output/$1" \
    --seed "$seed" "${from[@]}"
}
train_classifier() { train classifier; }
train_isnet() { train isnet; }

# Both networks at once, a core each: threads would not help networks of this size.
both() {  # both FUNCTION: for classifier and isnet; the larger of their statuses
  local first=0 second=0 classifier
  OMP_NUM_THREADS=1 "$1" classifier &
  classifier=$!
  OMP_NUM_THREADS=1 "$1" isnet || second=$?
  wait "$classifier" || first=$?
  return $((first > second ? first : second))
}

evaluate() {
  "$isnet" evaluate --checkpoint "$output/$1/checkpoints/last.ckpt" --data "$data" \
    --split "$(IFS=,; echo "${tests[*]}")" --output "$output/$1/evaluation" --report "$output/$1/report.html" \
    > "$output/$1/evaluation.txt"
}
evaluate_both() { both evaluate; }

explain() {
  "$isnet" explain --checkpoint "$output/$1/checkpoints/last.ckpt" --data "$data" --split test-confounding \
    --class all --limit 8 --output "$output/$1/heatmaps.h5" --pictures "$output/pictures/$1" > "$output/$1/explanation.txt"
}
explain_both() {
  both explain || return
  local network
  for network in classifier isnet; do sed "s/^/quickstart: $network: /" "$output/$network/explanation.txt"; done
}

compare_both() {
  "$isnet" compare "$output/classifier/last" "$output/isnet/last" --data "$data" --split test-confounding \
    --output "$output/comparison" --report "$output/comparison/report.html" > "$output/comparison.txt"
}

print_table() {
  python3 - "$output" "${tests[@]}" <<'EOF_PYTHON'
import json
import sys
output, tests = sys.argv[1], sys.argv[2:]
rows = []
for network, title in (("classifier", "plain classifier"), ("isnet", "ISNet")):
    with open(f"{output}/{network}/evaluation/metrics.json") as file:
        metrics = json.load(file)
    rows.append((title, [metrics[test]["accuracy"] for test in tests]))
print(f"{'accuracy':<18}" + "".join(f"{test:>18}" for test in tests))
for title, accuracies in rows:
    print(f"{title:<18}" + "".join(f"{accuracy:>18.3f}" for accuracy in accuracies))
EOF_PYTHON
}

for part in "data/$recipe" "$recipe/classifier" "$recipe/isnet"; do
  [[ -r $recipes/$part.ini ]] || usage_error "there is no recipe $recipes/$part.ini"
done
if $build; then
  ./setup.sh "${setup_options[@]}"
  launch/build.sh release
  export ISNET_BINARY=$here/build/release/bin/isnet
fi
isnet=$(launch/run.sh --print-binary)
export ISNET_BINARY=$isnet GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-1000}
mkdir -p "$output"
started=$SECONDS
stage "pack the images" pack_data
stage "train the plain classifier" train_classifier
stage "train the ISNet" train_isnet
stage "evaluate both" evaluate_both
stage "explain some samples" explain_both
stage "compare both" compare_both

echo
print_table | tee "$output/table.txt"
echo
echo "test-biased: the mark as in training; test-unbiased: no mark; test-confounding: the mark of another class."
echo "Pictures (image, mask, heatmap of each class): $output/pictures"
echo "Reports to open in a browser: $output/classifier/report.html, $output/isnet/report.html,"
echo "  and both networks on test-confounding: $output/comparison/report.html"
echo "Trainings, metrics, checkpoints: $output/classifier and $output/isnet (losses of the tests: evaluation.txt)"
echo "Data, training and evaluation took $((SECONDS - started)) s"
