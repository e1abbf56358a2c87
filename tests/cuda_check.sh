#!/usr/bin/env bash
# Builds against a CUDA wheel of torch, NCCL included, and checks what can be checked without a GPU. A check of its
# own, since the wheel and what it needs take 6 GB:
#
#   tests/cuda_check.sh [--torch VERSION]      default 2.14.1; ISNET_VENV: the environment (default build/cuda-venv)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

torch=2.14.1
if [[ ${1:-} == --torch && -n ${2:-} ]]; then torch=$2; shift 2; fi
(($# == 0)) || { sed -n '2,/^set -e/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 2; }
export ISNET_VENV=${ISNET_VENV:-$PWD/build/cuda-venv}
fail() { echo "cuda_check: $*" >&2; exit 1; }

./setup.sh --yes --torch "$torch"
cmake --preset cuda -DISNET_VENV="$ISNET_VENV" -DISNET_BUILD_TESTS=OFF
cmake --build --preset cuda
isnet=build/cuda/bin/isnet

nm -DC build/cuda/lib/libisnet_trainer.so | grep 'U c10d::ProcessGroupNCCL::ProcessGroupNCCL' > /dev/null ||
  fail "the trainer does not use ProcessGroupNCCL"
"$isnet" train --help backend | grep 'nccl' > /dev/null || fail "--backend does not know nccl"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$isnet" pack idx --images /usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz \
  --labels /usr/share/datasets/fashion-mnist/t10k-labels-idx1-ubyte.gz --classes 0,1 --limit-per-class 40 --pad-to 32 \
  --output "$work/data" --quiet > /dev/null
train=("$isnet" train --data "$work/data" --output "$work/run" --network densenet --growth-rate 4 --blocks "2,2"
  --init-features 8 --batch-size 8 --max-epochs 1 --quiet)
if command -v nvidia-smi > /dev/null && nvidia-smi > /dev/null 2>&1; then
  "${train[@]}" --device cuda
  launch/run.sh -n 1 -- "${train[@]:1}" --overwrite --device cuda --backend nccl
  echo "cuda_check: trained on a GPU"
else
  status=0
  "${train[@]}" --device cuda > "$work/log" 2>&1 || status=$?
  [[ $status == 2 ]] || { cat "$work/log" >&2; fail "--device cuda without a GPU ended with $status, not 2"; }
  grep -q 'no CUDA device' "$work/log" || { cat "$work/log" >&2; fail "the message does not say what is missing"; }
  "${train[@]}" --device auto
  echo "cuda_check: built and linked; there is no GPU here: 'auto' trained on the CPU"
fi
