#!/usr/bin/env bash
# The quick start's stages with its own recipes, on a few images: a table, pictures, and no stage twice.
# Budget: 60 s.
# shellcheck source=tests/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_programs mpirun
[[ -r $images/train-images-idx3-ubyte.gz ]] || skip "DATA: no Fashion-MNIST in $images (./setup.sh installs it)"

mkdir -p "$work/recipes/data" "$work/recipes/quickstart"
for part in data/quickstart quickstart/classifier quickstart/isnet; do
  sed -E '/^(limit-per-class|warmup-steps|max-epochs|recompute-bn-statistics) *=/d' "$root/recipes/$part.ini" \
    > "$work/recipes/$part.ini"
done
printf 'limit-per-class = 80\ntest-limit-per-class = 20\n' >> "$work/recipes/data/quickstart.ini"
for part in classifier isnet; do
  printf 'warmup-steps = 2\nmax-epochs = 1\nrecompute-bn-statistics = 3\n' >> "$work/recipes/quickstart/$part.ini"
done

quickstart() { "$root/launch/quickstart.sh" --no-build --recipes "$work/recipes" --output "$work/run" "$@"; }

step "all stages"
status_of "$work/log" quickstart
((status == 0)) || { cat "$work/log" >&2; fail "status $status"; }
grep -Eq '^accuracy +test-biased +test-unbiased +test-confounding$' "$work/log" || { cat "$work/log" >&2; fail "no table"; }
for row in 'plain classifier' ISNet; do
  grep -Eq "^$row( +[01]\.[0-9]{3}){3}\$" "$work/log" || { cat "$work/log" >&2; fail "no row '$row'"; }
done
for network in classifier isnet; do
  pictures=("$work/run/pictures/$network"/*.png)
  expect_equal "pictures of $network" 8 "${#pictures[@]}"
done

for report in classifier/report.html isnet/report.html comparison/report.html; do
  grep -q 'id="data"' "$work/run/$report" || fail "no report $report"
done

step "again: nothing is left to do"
status_of "$work/log" quickstart
expect_equal "status" 0 "$status"
expect_equal "stages done before" 6 "$(grep -c 'done before' "$work/log")"

step "another seed, another training"
before=$(sha256sum "$work/run/isnet/weights.safetensors")
status_of "$work/log" quickstart --seed 2
((status == 0)) || { cat "$work/log" >&2; fail "status $status"; }
expect_equal "stages done before" 0 "$(grep -c 'done before' "$work/log")"
[[ $before != "$(sha256sum "$work/run/isnet/weights.safetensors")" ]] || fail "another seed gave the same weights"

step "a recipe that is not there"
status_of "$work/log" quickstart --recipes "$work/run"
expect_equal "status" 2 "$status"
echo "passed in $SECONDS s"
