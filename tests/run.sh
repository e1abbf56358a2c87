#!/usr/bin/env bash
# Sets up, builds and runs the tests: all that somebody has to know to check a change.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$here"

usage() {
  cat <<'EOF_USAGE'
Usage: tests/run.sh [--preset NAME] [--full] [--no-setup] [--jobs N] [-L LABEL] [CTEST OPTION...]
       tests/run.sh --sanitize          tests of the labels fast and ranks under sanitizers: presets asan, then tsan
       tests/run.sh --soak MINUTES      one long training whose memory use must stay constant

Runs ./setup.sh --with-tests, configures and builds the preset, runs CTest, and prints a summary that ends with
"N passed, N failed, N skipped". Status 0 when every test that ran passed and at least one ran.

  --preset NAME  dev (default), asan, tsan, coverage, cuda
  --full         tests with faults at their full size (100 kills, ...) instead of a small one; about an hour more
  --no-setup     do not check what is installed
  --jobs N       compile and test N at a time (default: by cores, tests one more, since many wait; compiling also by
                 memory)
  -L LABEL       only tests with this label: fast, ranks, cluster
  -R REGEX ...   passes other options to ctest unchanged

With CI=true nothing is asked, and a skipped test counts as a failure, unless it lacks a GPU (it prints
"SKIPPED, NEEDS A GPU").
EOF_USAGE
}

say() { echo "tests: $*"; }
die() { echo "tests: $*" >&2; exit 1; }
usage_error() { echo "tests: $* (see tests/run.sh --help)" >&2; exit 2; }

preset=dev setup=true jobs='' soak='' sanitize=false ctest_options=() passed_on=()
while (($#)); do
  case $1 in
    --full) export ISNET_FULL=1 ;;
    --sanitize) sanitize=true ;;
    --soak)
      [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || usage_error "--soak needs minutes, got '${2:-}'"
      soak=$2; shift ;;
    --preset)
      [[ -n ${2:-} ]] || usage_error "--preset needs a name"
      preset=$2; shift ;;
    --no-setup) setup=false; passed_on+=("$1") ;;
    --jobs)
      [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || usage_error "--jobs needs a number, got '${2:-}'"
      passed_on+=("$1" "$2") jobs=$2; shift ;;
    --help | -h) usage; exit 0 ;;
    *) ctest_options+=("$1") ;;
  esac
  shift
done

if $setup; then
  yes=()
  if ((EUID == 0)) || [[ ${CI:-} == true ]]; then yes=(--yes); fi
  ./setup.sh --with-tests "${yes[@]}"
fi

if $sanitize; then
  status=0
  for preset in asan tsan; do
    say "preset $preset"
    tests/run.sh --preset "$preset" "${passed_on[@]}" "${ctest_options[@]}" || status=$?
  done
  exit "$status"
fi

launch/build.sh "$preset" ${jobs:+"$jobs"}

if [[ -n $soak ]]; then
  ISNET_BINARY=$here/build/$preset/bin/isnet exec tests/cluster/soak.sh "$soak"
fi

# Counts what CTest wrote; says which tests were skipped and why, and how those that failed ended: who reads only the
# last lines of a log finds the reason there. Prints "passed failed skipped unexcused".
read_report() {
  python3 - "$1" <<'EOF_PYTHON'
import sys
import xml.etree.ElementTree as tree
passed = failed = skipped = unexcused = 0
for test in tree.parse(sys.argv[1]).iter("testcase"):
    status = test.get("status")
    if status == "run":
        passed += 1
    elif status in ("notrun", "disabled"):
        skipped += 1
        output = test.findtext("system-out") or ""
        reasons = [line for line in output.splitlines() if "SKIPPED, NEEDS" in line]
        reason = reasons[-1].strip() if reasons else "no reason given"
        excused = "SKIPPED, NEEDS A GPU" in reason
        unexcused += not excused
        print(f"tests: skipped {test.get('name')}: {reason}", file=sys.stderr)
    else:
        failed += 1
        print(f"tests: failed {test.get('name')}; its last lines:", file=sys.stderr)
        for line in (test.findtext("system-out") or "").splitlines()[-15:]:
            print(f"    {line[:300]}", file=sys.stderr)
print(passed, failed, skipped, unexcused)
EOF_PYTHON
}

report=$here/build/$preset/tests.xml
rm -f "$report"
status=0
started=$SECONDS
# Several tests share the cores: OpenMP's threads would take them from each other while they wait.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
ctest --preset "$preset" --no-tests=error --output-junit "$report" -j "${jobs:-$(($(nproc) + 1))}" \
  "${ctest_options[@]}" </dev/null || status=$?
[[ -s $report ]] || die "ctest ended with status $status and wrote no report: no test ran"
read -r passed failed skipped unexcused < <(read_report "$report")
say "ran in $((SECONDS - started)) s; report: ${report#"$here"/}"

if ((passed + failed == 0)); then
  echo "tests: no test ran" >&2
  status=1
fi
if ((failed > 0 && status == 0)); then status=1; fi
if ((unexcused > 0)) && [[ ${CI:-} == true ]]; then
  echo "tests: $unexcused of the skipped tests have to run in CI" >&2
  status=1
  failed=$((failed + unexcused)) skipped=$((skipped - unexcused))
fi
echo "$passed passed, $failed failed, $skipped skipped"
exit "$status"
