#!/usr/bin/env bash
# Installs the build into a prefix, runs the installed program, and builds and runs the project consumer/ against it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${CMAKE:=cmake}" "${ISNET_BUILD:?the build to install}" "${ISNET_VERSION:?its version}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() { echo "package_test: $*" >&2; exit 1; }

"$CMAKE" --install "$ISNET_BUILD" --prefix "$work/prefix" >"$work/install.log" || { cat "$work/install.log"; fail "cannot install"; }
version=$("$work/prefix/bin/isnet" --version)
[[ ${version%%$'\n'*} == "isnet $ISNET_VERSION" ]] || fail "the installed program says: $version"
"$work/prefix/bin/isnet" train --help | grep -q densenet121 || fail "the installed program knows no networks"
mapfile -t targets < <(find "$work/prefix" -name 'isnet-targets*.cmake')
((${#targets[@]} > 0)) || fail "no targets are exported"
if grep -H -e torch_headers -e warnings -e "$ISNET_BUILD" "${targets[@]}"; then fail "targets of the build are exported"; fi

"$CMAKE" -S "$here/consumer" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_BUILD_TYPE=Debug
"$CMAKE" --build "$work/build"
answer=$("$work/build/consumer")
[[ $answer == "1 rank, loss falls, accuracy 0.5" ]] || fail "the other project says: $answer"
echo "$answer"
