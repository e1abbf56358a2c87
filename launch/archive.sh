#!/usr/bin/env bash
# Packs a build into one file that runs on other hosts, in any folder, without the virtual environment.
set -euo pipefail

usage() {
  cat <<'EOF_USAGE'
Usage: launch/archive.sh [BUILD [FOLDER]]

Writes FOLDER/isnet-VERSION-linux-ARCH.tar.gz from the build BUILD (default: build/release, into the current
folder): the program, its libraries, those of the torch wheel and of the distribution, launch/run.sh, slurm/
and recipes/. Unpack it anywhere; bin/isnet and launch/run.sh find everything relative to themselves.

The hosts need Open MPI (Debian: openmpi-bin) of the same major version, and a C and C++ library (libc6,
libstdc++6, zlib1g) not older than here: the same release of the distribution, or a newer one. Plug-ins are
built against an installed tree (cmake --install), not against the archive.
Builds against a CUDA wheel are refused: install isnet and its virtual environment on such hosts.
EOF_USAGE
}

die() { echo "archive: $*" >&2; exit 1; }

if [[ ${1:-} == --help || ${1:-} == -h ]]; then usage; exit 0; fi
if (($# > 2)) || [[ ${1:-} == -* ]]; then usage >&2; exit 2; fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${1:-$here/build/release} folder=${2:-$PWD}
[[ -x $build/bin/isnet ]] || die "there is no program in $build: launch/build.sh release"
mkdir -p "$folder"
stage=$(mktemp -d "$folder/.archive-XXXXXX")
trap 'rm -rf "$stage"' EXIT

"${CMAKE:-cmake}" --install "$build" --prefix "$stage/installed" >"$stage/log" || { cat "$stage/log" >&2; die "cannot install $build"; }
version=$("$stage/installed/bin/isnet" --version | awk 'NR == 1 {print $2}')
name=isnet-$version-linux-$(uname -m)
tree=$stage/$name
mkdir -p "$tree/bin" "$tree/lib"
cp "$stage/installed/bin/isnet" "$tree/bin/"
for library in "$stage/installed"/lib*/libisnet_*.so.*.*; do
  [[ $library == *.so.*.*.* ]] || cp -L "$library" "$tree/lib/"  # libisnet_base.so.0.1: the name that is asked for
done

# What the loader finds for a file, as "name path", without what every system has.
needs() {
  ldd "$@" | awk '/not found/ {print "archive: " $1 " is not found" > "/dev/stderr"; exit 1} /=> \// {print $1, $3}' | sort -u |
    grep -Ev '^(libisnet_[a-z]+|ld-linux-.*|lib(c|m|dl|rt|pthread|resolv|util|anl)|libstdc\+\+|libgcc_s|libz)\.so' || true
}
mapfile -t own < <(find "$tree/lib" -name 'libisnet_*' ! -name 'libisnet_trainer.*' | sort)
# Only the trainer uses MPI, which belongs to the host. The originals are asked: copies do not find each other yet.
needs "${own[@]/#"$tree/lib"/"$stage/installed/lib"}" >"$stage/bundled"
needs "$stage/installed/lib"/libisnet_trainer.so | cut -d' ' -f1 | sort >"$stage/trainer"
if grep -q "^libtorch_cuda" "$stage/bundled"; then die "$build uses a CUDA wheel: install isnet and its virtual environment on the hosts"; fi
while read -r library path; do ln -s "$(readlink -f "$path")" "$tree/lib/$library"; done <"$stage/bundled"

# Libraries of the distribution look where the program says, if it says so with DT_RPATH: RUNPATH is for a file's own
# needs only. Paths of this machine go.
python3 - "$tree/bin/isnet" "$tree"/lib/libisnet_* <<'EOF_PYTHON'
import struct, sys
DT_STRTAB, DT_RPATH, DT_RUNPATH, PT_LOAD, PT_DYNAMIC = 5, 15, 29, 1, 2

def relocate(path, own, program):
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        assert data[:6] == b"\x7fELF\x02\x01", path
        start, = struct.unpack_from("<Q", data, 32)
        size, count = struct.unpack_from("<HH", data, 54)
        segments = [struct.unpack_from("<IIQQQQ", data, start + i * size) for i in range(count)]
        offset_of = lambda address: next(s[2] + address - s[3] for s in segments
                                         if s[0] == PT_LOAD and s[3] <= address < s[3] + s[5])
        table = next(s[2] for s in segments if s[0] == PT_DYNAMIC)
        entries = {}
        while True:
            tag, value = struct.unpack_from("<QQ", data, table)
            if tag == 0:
                break
            entries[tag] = (table, value)
            table += 16
        place, value = entries.get(DT_RUNPATH) or entries[DT_RPATH]
        text = offset_of(entries[DT_STRTAB][1]) + value
        length = data.index(b"\0", text) - text
        assert len(own) <= length, (path, data[text:text + length])
        data[text:text + length] = own.encode().ljust(length, b"\0")
        struct.pack_into("<Q", data, place, DT_RPATH if program else DT_RUNPATH)
        file.seek(0)
        file.write(data)

relocate(sys.argv[1], "$ORIGIN/../lib", True)
for library in sys.argv[2:]:
    relocate(library, "$ORIGIN", False)
EOF_PYTHON

mkdir "$tree/launch"
cp "$here/launch/run.sh" "$tree/launch/"
cp -r "$here/slurm" "$here/recipes" "$here/LICENSE" "$here/NOTICE" "$tree/"
tar --dereference --hard-dereference --owner=0 --group=0 -C "$stage" -cf - "$name" | gzip -1 >"$stage/packed"
mv "$stage/packed" "$folder/$name.tar.gz"
echo "$folder/$name.tar.gz"
echo "archive: hosts need $(comm -13 <(cut -d' ' -f1 "$stage/bundled" | sort) "$stage/trainer" | grep -m1 '^libmpi\.') and what comes with it" >&2
