#!/usr/bin/env bash
# The comparison's stages with its own recipes, on a few images: a table, and no training twice. Budget: 60 s.
# shellcheck source=tests/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
[[ -r $images/train-images-idx3-ubyte.gz ]] || skip "DATA: no Fashion-MNIST in $images (./setup.sh installs it)"

small=(quickstart/classifier compare/pipeline compare/unet)
mkdir -p "$work/recipes/data" "$work/recipes/quickstart" "$work/recipes/compare"
for part in data/quickstart "${small[@]}"; do
  sed -E '/^(limit-per-class|warmup-steps|max-epochs|recompute-bn-statistics) *=/d' "$root/recipes/$part.ini" \
    > "$work/recipes/$part.ini"
done
printf 'limit-per-class = 80\ntest-limit-per-class = 20\n' >> "$work/recipes/data/quickstart.ini"
for part in "${small[@]}"; do
  printf 'warmup-steps = 2\nmax-epochs = 1\nrecompute-bn-statistics = 3\n' >> "$work/recipes/$part.ini"
done

compare() {
  "$root/launch/compare.sh" --no-build --recipes "$work/recipes" --output "$work/run" --methods classifier,pipeline "$@"
}

step "two methods, one seed"
status_of "$work/log" compare --seeds 1
((status == 0)) || { cat "$work/run"/*.log >&2; fail "status $status"; }
for method in classifier pipeline; do
  grep -Eq "^\| $method \| 1 \|( [01]\.[0-9]{3} \|){6}" "$work/run/comparison.md" || fail "no row '$method'"
done
expect_equal "runs in comparison.csv" 2 "$(($(wc -l < "$work/run/comparison.csv") - 1))"

step "one more seed: the first is not trained again"
before=$(stat -c %Y "$work/run/classifier/seed-1/weights.safetensors")
status_of "$work/log" compare --seeds 1,2
expect_equal "status" 0 "$status"
expect_equal "time of the first seed's weights" "$before" "$(stat -c %Y "$work/run/classifier/seed-1/weights.safetensors")"
grep -Eq '^\| classifier \| 2 \|( [01]\.[0-9]{3} ± [0-9.]+ \|){6}' "$work/run/comparison.md" || fail "no interval"

step "a recipe that has changed is trained again"
echo 'lr = 0.001' > "$work/lr"
sed -i -e '/^lr = /d' -e "\$r $work/lr" "$work/recipes/quickstart/classifier.ini"
status_of "$work/log" compare --seeds 1
expect_equal "status" 0 "$status"
expect_text "the run's options" "lr = 0.001" "$work/run/classifier/seed-1/options.ini"

step "a method that fails is named, and the others are done"
echo 'network = none' >> "$work/recipes/compare/unet.ini"
status_of "$work/log" compare --seeds 3
expect_equal "status" 1 "$status"
expect_text "message" "compare: pipeline, seed 3: status 2" "$work/log"
expect_text "message" "compare: classifier, seed 3: done" "$work/log"
echo "passed in $SECONDS s"
