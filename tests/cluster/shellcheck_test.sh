#!/usr/bin/env bash
# Every script of the project, by shellcheck; and that each says how it is used. Budget: 20 s.
# shellcheck source=tests/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_programs shellcheck

cd "$root"
# shellcheck disable=SC2046  # bench, or nothing while there is none
mapfile -t scripts < <(find setup.sh .ci launch slurm tests $(compgen -G bench) -type f \( -name '*.sh' -o -path '.ci/run' \) | sort)
((${#scripts[@]} >= 8)) || fail "found only ${#scripts[@]} scripts"
shellcheck -x "${scripts[@]}" || fail "shellcheck (above)"
for script in setup.sh launch/run.sh launch/quickstart.sh launch/compare.sh launch/archive.sh tests/run.sh; do
  status_of "$work/log" "./$script" --help
  expect_equal "status of $script --help" 0 "$status"
  expect_text "$script --help" "Usage: " "$work/log"
  [[ $script != tests/run.sh ]] || continue  # hands what it does not know on to ctest
  status_of "$work/log" "./$script" --nonsense
  expect_equal "status of $script --nonsense" 2 "$status"
done
echo "${#scripts[@]} scripts, passed in $SECONDS s"
