#!/usr/bin/env bash
# Configures and builds a preset, with as many compilers at a time as cores and memory allow.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if (($# < 1 || $# > 2)) || [[ $1 == -* || ! ${2:-1} =~ ^[1-9][0-9]*$ ]]; then
  echo "Usage: launch/build.sh PRESET [JOBS]      PRESET: release, dev, asan, tsan, coverage, cuda" >&2
  exit 2
fi
preset=$1 cores=$(nproc)
# A file that includes torch takes up to 3 GB to compile.
by_memory=$(awk '/^MemAvailable/ {n = int($2 / 3 / 1024 / 1024); print n < 1 ? 1 : n}' /proc/meminfo)
jobs=${2:-$((cores < by_memory ? cores : by_memory))}

cd "$here"
started=$SECONDS
cmake --preset "$preset" ${ISNET_VENV:+"-DISNET_VENV=$ISNET_VENV"} ||
  { echo "build: cmake could not configure preset $preset (see above); ./setup.sh installs what it needs" >&2; exit 1; }
cmake --build --preset "$preset" -j "$jobs" ||
  { echo "build: preset $preset failed (see above)" >&2; exit 1; }
echo "build: preset $preset built in $((SECONDS - started)) s, $jobs at a time"
