#!/usr/bin/env bash
# Installs the build into a prefix, runs the installed program with nothing in the environment, and builds and runs
# examples/ as a project of its own. Leaves a data set for archive_test.sh.
set -euo pipefail

source_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${CMAKE:=cmake}" "${ISNET_BUILD:?the build to install}" "${ISNET_VERSION:?its version}" "${ISNET_TORCH:?folder of libtorch}"
work=$ISNET_BUILD/package_test
rm -rf "$work"
mkdir -p "$work"

fail() { echo "package_test: $*" >&2; exit 1; }

"$CMAKE" --install "$ISNET_BUILD" --prefix "$work/prefix" >"$work/install.log" || { cat "$work/install.log"; fail "cannot install"; }
program=$work/prefix/bin/isnet

# The installed program finds its libraries and the wheel's by its RUNPATH, not by the environment or the build.
clean() { env -i PATH=/usr/bin:/bin HOME="$work" OMP_NUM_THREADS=1 "$@"; }
version=$(clean "$program" --version)
[[ ${version%%$'\n'*} == "isnet $ISNET_VERSION" ]] || fail "the installed program says: $version"
clean "$program" train --help | grep -q densenet121 || fail "the installed program knows no networks"
for text in bash-completion/completions/isnet zsh/site-functions/_isnet man/man1/isnet.1 man/man1/isnet-train.1; do
  [[ -s $work/prefix/share/$text ]] || fail "share/$text is not installed"
done
readelf -d "$program" | grep -q "runpath: \[\$ORIGIN/../lib.*:$ISNET_TORCH\]" || fail "RUNPATH: $(readelf -d "$program" | grep -i runpath)"
loaded=$(clean ldd "$program")
grep -q "libtorch_cpu.so => $ISNET_TORCH/" <<<"$loaded" || fail "libtorch_cpu.so is not the wheel's: $loaded"
if grep -e "not found" <<<"$loaded" || grep "libisnet" <<<"$loaded" | grep -v "=> $work/prefix/"; then fail "a library is not where it belongs"; fi

mapfile -t targets < <(find "$work/prefix" -name 'isnet-targets*.cmake')
((${#targets[@]} > 0)) || fail "no targets are exported"
if grep -H -e torch_headers -e warnings -e "$ISNET_BUILD/[^p]" "${targets[@]}"; then fail "targets of the build are exported"; fi

export CCACHE_BASEDIR=$work
"$CMAKE" -S "$source_folder/examples" -B "$work/examples" -DCMAKE_PREFIX_PATH="$work/prefix" \
  ${CXX_LAUNCHER:+"-DCMAKE_CXX_COMPILER_LAUNCHER=$CXX_LAUNCHER"} >"$work/configure.log" || { cat "$work/configure.log"; fail "cannot configure examples/"; }
"$CMAKE" --build "$work/examples" -j 2 >"$work/build.log" 2>&1 || { cat "$work/build.log"; fail "cannot build examples/"; }

export OMP_NUM_THREADS=1
ranks=(mpirun -n 2 --oversubscribe --bind-to none)
if ((EUID == 0)); then ranks+=(--allow-run-as-root); fi

# Include paths of installed headers begin with isnet/: nothing else of ours is found.
if grep -rnE '#include "(base|distributed|data|import|model|trainer|evaluation|run|cli)/' "$work/prefix/include"; then fail "a header includes another without isnet/"; fi

# ddp: each rank says which samples it has; the loss of the last step is a small part of the first one's.
for count in 1 2; do
  if ((count == 1)); then answer=$("$work/examples/ddp"); else answer=$("${ranks[@]}" "$work/examples/ddp"); fi
  echo "$answer"
  share=$((1024 / count))
  for ((rank = 0; rank < count; ++rank)); do
    grep -qx "rank $rank of $count: samples $((share * rank)) to $((share * (rank + 1) - 1))" <<<"$answer" ||
      fail "ddp: rank $rank of $count does not name its samples"
  done
  awk '$1 == "step" && $2 == "0:" {first = $4} $1 == "step" && $2 == "200:" {last = $4}
       END {exit !(first > 5 && last < first / 100)}' <<<"$answer" || fail "ddp did not learn"
done

# own_network: learns the object, although the background gives the class away and relevance there is penalised. Judged by
# accuracy on the objects, which is 1 for every seed, with a margin for other processors' rounding.
answer=$("${ranks[@]}" "$work/examples/own_network" "$work/data")
echo "$answer"
awk '$1 == "epoch" && !first {for (i = 1; i < NF; ++i) if ($i == "loss_heatmap") first = $(i + 1)}
     $2 == "loss_heatmap" {heatmap = $3} $2 == "accuracy" {accuracy = $3}
     END {exit !(heatmap < first / 2 && accuracy > 0.85)}' <<<"$answer" || fail "own_network did not learn"

# own_objective: the installed program trains with it, in a clean environment.
clean "$program" train --plugin "$work/examples/own_objective.so" --objective mine --mine-weight 2 --data "$work/data" \
  --output "$work/run" --network densenet --blocks 2 --growth-rate 4 --init-features 4 --max-epochs 2 --batch-size 16 --quiet 1
head -1 "$work/run/metrics.csv" | grep -q loss_outside || fail "metrics.csv knows no loss_outside: $(head -1 "$work/run/metrics.csv")"
rm -rf "$work/prefix" "$work/examples" "$work/run"
