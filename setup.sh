#!/usr/bin/env bash
# Installs what isnet needs to be built: packages of the distribution, and a virtual environment with the torch wheel,
# whose LibTorch isnet links against. Installs only what is missing.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly default_torch=2.13.0

readonly build_packages=(
  g++ cmake ninja-build ccache mold
  openmpi-bin libopenmpi-dev libhdf5-dev libboost-dev libboost-program-options-dev
  libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev libdcmtk-dev libjpeg-dev libtiff-dev
  libopenjp2-7-dev
  libpng-dev libutf8proc-dev libonnx-dev libprotobuf-dev node-d3
  nlohmann-json3-dev zlib1g-dev libdeflate-dev libssl-dev libspdlog-dev
  libgtest-dev libgmock-dev libgloo-dev
  python3 python3-venv ca-certificates dataset-fashion-mnist)
readonly test_packages=(
  git procps shellcheck iproute2 util-linux nftables slurm-wlm munge tmux zsh groff mandoc python3-pydicom cimg-examples
  python3-skimage mricron-data chromium)
readonly test_wheels=(numpy h5py safetensors tensorboard)

usage() {
  cat <<EOF_USAGE
Usage: ./setup.sh [--yes] [--with-tests] [--torch VERSION] [--skip-packages] [--check]

Installs what isnet needs, and only what is missing:
  - packages of Debian 12 or Ubuntu 24.04 (apt-get; asks before it uses sudo)
  - .venv, a Python virtual environment with the torch wheel (LibTorch)

  --yes            do not ask for confirmation
  --with-tests     also what only the tests need (a small Slurm, network tools, h5py, ...)
  --torch VERSION  this release of torch (default $default_torch, or the one that is there)
  --skip-packages  leave the packages of the distribution alone
  --check          install nothing; status 1 and a list when something is missing
  --help

Environment: ISNET_VENV    the virtual environment (default: .venv in this folder)
             ISNET_PYTHON  the Python that creates it (default: python3)
pip's configuration on this machine decides whether a CPU or a CUDA build of torch is installed.
EOF_USAGE
}

say() { echo "setup: $*"; }
die() {  # die WHAT REMEDY...
  echo "setup: $1" >&2
  local line
  for line in "${@:2}"; do echo "       $line" >&2; done
  exit 1
}

yes=false with_tests=false skip_packages=false check=false torch=
while (($#)); do
  case $1 in
    --yes | -y) yes=true ;;
    --with-tests) with_tests=true ;;
    --skip-packages) skip_packages=true ;;
    --check) check=true ;;
    --torch)
      [[ ${2:-} =~ ^[0-9]+\.[0-9]+\.[0-9]+([+.a-z0-9]*)$ ]] ||
        { echo "setup: --torch needs a release such as $default_torch, got '${2:-}'" >&2; exit 2; }
      torch=$2
      shift ;;
    --help | -h) usage; exit 0 ;;
    *) echo "setup: unknown option '$1' (see ./setup.sh --help)" >&2; exit 2 ;;
  esac
  shift
done
readonly venv=${ISNET_VENV:-$here/.venv}

# --- packages of the distribution -----------------------------------------------------------------------

wanted_packages() {
  printf '%s\n' "${build_packages[@]}"
  if $with_tests; then printf '%s\n' "${test_packages[@]}"; fi
}

missing_packages() {  # one name a line
  local wanted installed
  wanted=$(wanted_packages)
  # dpkg-query ends with 1 when it does not know a package: that one is missing, and nothing else is wrong
  # shellcheck disable=SC2086  # names without blanks
  installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' $wanted 2>/dev/null | sed -n 's/^installed //p') || true
  comm -23 <(sort -u <<< "$wanted") <(sort -u <<< "$installed")
}

install_packages() {
  local missing=() sudo=() answer
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    die "this distribution has no apt-get: install the packages with its own tool, then run ./setup.sh --skip-packages" \
      "Needed (Debian's names):" "$(wanted_packages | paste -sd' ')"
  fi
  mapfile -t missing < <(missing_packages)
  if ((${#missing[@]} == 0)); then return 0; fi
  if $check; then
    say "missing packages: ${missing[*]}"
    complete=false
    return 0
  fi

  say "missing packages: ${missing[*]}"
  if ((EUID != 0)); then
    command -v sudo >/dev/null ||
      die "neither root nor sudo: ask an administrator to install these packages" \
        "apt-get install --no-install-recommends ${missing[*]}"
    sudo=(sudo)
    if ! $yes; then
      [[ -t 0 ]] || die "sudo is needed, but there is no terminal to ask on: run it with --yes, or install the packages yourself"
      read -r -p "setup: install them with sudo apt-get? [Y/n] " answer
      [[ ${answer:-y} == [yY]* ]] || die "nothing was installed"
    fi
  fi
  say "apt-get update, apt-get install (a few minutes on a bare machine)"
  "${sudo[@]}" apt-get update -q ||
    die "apt-get update failed (see above)" "Check the network, and the sources in /etc/apt; then run ./setup.sh again."
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" </dev/null ||
    die "apt-get install failed (see above)" \
      "'Unable to locate package': this release lacks it (Debian 12 and Ubuntu 24.04 with 'universe' have all)." \
      "'Failed to fetch': the network. 'No space left': the packages take 1.5 GB. 'Could not get lock': another apt runs; wait for it."
}

# --- virtual environment --------------------------------------------------------------------------------

site_packages() {  # of the virtual environment; empty when there is none yet
  local folder
  for folder in "$venv"/lib/python3*/site-packages; do
    if [[ -d $folder ]]; then echo "$folder"; return 0; fi
  done
}

installed_torch() {  # its version, such as 2.13.0+cpu; empty when there is none
  local site
  site=$(site_packages)
  if [[ -n $site && -f $site/torch/version.py && -d $site/torch/include ]]; then
    sed -n "s/^__version__ = '\(.*\)'.*/\1/p" "$site/torch/version.py"
  fi
}

pip_install() {  # pip_install WHAT-FOR REQUIREMENT...
  say "pip install ${*:2} (into $venv)"
  "$venv/bin/python" -m pip install --disable-pip-version-check --no-input -q "${@:2}" ||
    die "pip could not install $1 (see above)" \
      "'No matching distribution': the package index cannot be reached (network, pip config list), or it has no" \
      "  wheel for $("$venv/bin/python" -V 2>&1): remove $venv and name another Python with ISNET_PYTHON," \
      "  or another release with --torch." \
      "'No space left': a CPU build of torch takes 1 GB, a CUDA build 7 GB."
}

create_venv() {
  local python=${ISNET_PYTHON:-python3}
  command -v "$python" >/dev/null || die "no $python here" "Install Python 3.10 or newer, or name one with ISNET_PYTHON."
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    die "$python is $("$python" -V 2>&1), torch $default_torch needs Python 3.10 or newer" "Name another with ISNET_PYTHON."
  say "creating $venv with $("$python" -V 2>&1)"
  "$python" -m venv "$venv" ||
    { rm -rf "$venv"; die "cannot create the virtual environment $venv" "On Debian and Ubuntu: apt-get install python3-venv"; }
}

install_wheels() {
  local present site wheel missing=()
  present=$(installed_torch)
  if [[ -z $present || (-n $torch && $present != "$torch" && ${present%%+*} != "$torch") ]]; then
    if $check; then
      say "torch ${torch:-$default_torch} is missing in $venv${present:+ (there is $present)}"
      complete=false
      return 0
    fi
    # The link may lead to an environment that others use.
    if [[ -L $venv && -n $present ]]; then
      die "$venv is a link to an environment with torch $present: not changed" \
        "Name another environment (ISNET_VENV), or remove the link."
    fi
    [[ -x $venv/bin/python ]] || create_venv
    pip_install "torch" "torch==${torch:-$default_torch}"
    present=$(installed_torch)
    [[ -n $present ]] || die "pip is done, but there is no torch with headers in $venv" "Remove $venv and run ./setup.sh again."
  fi

  site=$(site_packages)
  # Headers that torch's headers include, but that its wheel does not require.
  if [[ -e $site/torch/lib/libtorch_cuda.so ]]; then
    local cuda
    cuda=$(sed -n "s/^cuda.*= '\(.*\)'.*/\1/p" "$site/torch/version.py")
    compgen -G "$site/nvidia/*/include/crt" >/dev/null || missing+=("nvidia-cuda-crt==$cuda.*")
    compgen -G "$site/nvidia/*/include/nv/target" >/dev/null || missing+=("nvidia-cuda-cccl==$cuda.*")
  fi
  if $with_tests; then
    for wheel in "${test_wheels[@]}"; do
      [[ -d $site/$wheel ]] || missing+=("$wheel")
    done
  fi
  if ((${#missing[@]})); then
    if $check; then
      say "missing in $venv: ${missing[*]}"
      complete=false
    else
      pip_install "${missing[*]}" "${missing[@]}"
    fi
  fi
}

complete=true
$skip_packages || install_packages
install_wheels
$complete || die "something is missing (see above)" "Run ./setup.sh"
say "nothing is missing: torch $(installed_torch) in $venv"
