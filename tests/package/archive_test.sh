#!/usr/bin/env bash
# Packs the build, unpacks it elsewhere and trains with it on two ranks, where virtual environment and build are hidden
# by a mount namespace. Needs root, and the data set that package_test.sh leaves; 77: skipped.
set -euo pipefail

source_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${ISNET_BUILD:?the build to pack}" "${ISNET_VERSION:?its version}" "${ISNET_TORCH:?folder of libtorch}"
if ! unshare --mount true 2>/dev/null; then echo "skipped: needs root for a mount namespace"; exit 77; fi
if [[ -e $ISNET_TORCH/libtorch_cuda.so ]]; then echo "skipped: archives are for CPU wheels"; exit 77; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() { echo "archive_test: $*" >&2; exit 1; }

"$source_folder/launch/archive.sh" "$ISNET_BUILD" "$work"
archive=$work/isnet-$ISNET_VERSION-linux-$(uname -m).tar.gz
[[ -f $archive ]] || fail "there is no $archive"
mkdir "$work/elsewhere"
tar -C "$work/elsewhere" -xzf "$archive"
rm "$archive"
tree=$work/elsewhere/moved
mv "$work/elsewhere/isnet-$ISNET_VERSION-linux-$(uname -m)" "$tree"
[[ -z $(find "$tree" -type l) ]] || fail "links in the archive: $(find "$tree" -type l)"
if grep -c -e "$source_folder" -e "$ISNET_BUILD" "$tree/bin/isnet" "$tree"/lib/libisnet_* | grep -v ':0$'; then fail "paths of this machine in the archive"; fi
cp -r "$ISNET_BUILD/package_test/data" "$work/data"

cat >"$work/inside.sh" <<'EOF_INSIDE'
set -euo pipefail
mount -t tmpfs none "$(readlink -f "$ISNET_TORCH/../../../../..")"  # the virtual environment
mount -t tmpfs none "$ISNET_BUILD"
[[ ! -e $ISNET_TORCH && ! -e $ISNET_BUILD/bin ]]
clean() { env -i PATH=/usr/bin:/bin HOME="$work" OMP_NUM_THREADS=1 "$@"; }
cd /
clean "$tree/bin/isnet" --version
# From the system come the C and C++ libraries and MPI, and nothing else.
others=$(clean ldd "$tree/bin/isnet" | awk -v own="$tree/" '/=>/ && index($3, own) != 1 {print $1}' |
  grep -Ev '^lib(c|m|dl|rt|pthread|resolv|stdc\+\+|gcc_s|z|mpi|open-rte|open-pal|pmix|hwloc|udev|cap|event_[a-z0-9.-]+)\.so' | grep -v '^libevent_' || true)
[[ -z $others ]] || { echo "archive_test: not in the archive: $others" >&2; exit 1; }
clean "$tree/launch/run.sh" -n 2 -- train --data "$work/data" --output "$work/run" --network densenet --growth-rate 4 \
  --blocks 2 --init-features 4 --batch-size 8 --max-epochs 1 --limit-train-batches 4 --quiet 1
[[ -f $work/run/weights.safetensors ]]
EOF_INSIDE
export ISNET_BUILD ISNET_TORCH work tree
unshare --mount --propagation private bash "$work/inside.sh" || fail "the archive does not run"
