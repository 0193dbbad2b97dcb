# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
# What the launchers share; they source it.
# shellcheck shell=bash

set -euo pipefail

# Exit code of a binary that saved after a preemption: it is to be run again.
# shellcheck disable=SC2034  # The launchers use it.
readonly SAVED=75

dry_run=false

# Ends with the exit code of bad input and one line.
die() {
  echo "error: $*" >&2
  exit 2
}

say() { echo "pods: $*" >&2; }

# Runs a command, or with --dry_run prints it, quoted for a shell.
run() {
  if "$dry_run"; then
    printf '+'
    printf ' %q' "$@"
    printf '\n'
  else
    "$@"
  fi
}

# Checks that a command is installed, where it will be run.
need() {
  "$dry_run" || command -v "$1" >/dev/null || die "no $1: expected it on PATH"
}

# Reads --NAME=VALUE and --NAME into variables until --, and what follows into
# `binary`. Arguments: the names that take a value, those that take none, and the
# command line.
parse() {
  local values=" $1 " marks=" $2 dry_run " flag
  shift 2
  binary=()
  while (($#)); do
    flag=${1#--}
    flag=${flag%%=*}
    case $1 in
      --) shift && binary=("$@") && return ;;
      --help) usage && exit 0 ;;
      --*=*)
        [[ $values == *" $flag "* ]] || die "no flag --$flag: see --help"
        printf -v "$flag" '%s' "${1#*=}"
        ;;
      --*)
        [[ $marks == *" $flag "* ]] || die "no flag $1: see --help"
        printf -v "$flag" true
        ;;
      *) die "unexpected argument '$1': expected flags, --, and a binary" ;;
    esac
    shift
  done
}

# Checks that flags have values.
require() {
  local flag
  for flag in "$@"; do
    [[ -n ${!flag} ]] || die "--$flag is missing: see --help"
  done
}

# Sets `place`, by which gcloud finds a TPU, from a zone and a project or ''.
locate() {
  place=("--zone=$1")
  [[ -z $2 ]] || place+=("--project=$2")
}

# Checks what is to be run: a binary of launch/ and a workdir that hosts share.
check_binary() {
  local one
  ((${#binary[@]})) || die 'no binary: expected -- NAME FLAGS, such as -- flow'
  [[ -f $top/launch/${binary[0]}.py ]] ||
    die "no binary ${binary[0]}: expected one of launch/"
  for one in "${binary[@]}"; do
    [[ $one != --workdir=gs://* ]] || return 0
  done
  die 'no --workdir=gs://...: expected storage that all hosts share'
}

# Hosts of a slice. A TPU of v5e and v6e is named by its chips, with 4 on a host,
# or up to `single` on a single one: 8 of a TPU VM, 4 of a cluster's nodes; one of
# v5p by its cores, 2 a chip, 4 chips a host. (cloud.google.com/tpu/docs: v5e, v5p,
# v6e, and plan-tpus of Kubernetes Engine.) Arguments: the TPU, and `single`.
hosts_of() {
  local count=${1##*-} single=$2
  [[ $count =~ ^[0-9]+$ ]] || die "accelerator $1: expected KIND-NUMBER"
  case $1 in
    v5litepod-* | v6e-*)
      ((count <= single)) && echo 1 || echo $((count / 4))
      ;;
    v5p-*) ((count <= 8)) && echo 1 || echo $((count / 8)) ;;
    *) die "accelerator $1: expected v5litepod-N, v5p-N or v6e-N" ;;
  esac
}

# The runtime of a kind of TPU.
runtime_of() {
  case $1 in
    v6e-*) echo v2-alpha-tpuv6e ;;
    v5p-*) echo v2-alpha-tpuv5 ;;
    *) echo v2-alpha-tpuv5-lite ;;
  esac
}

# Sets `archive` to one of the code as it is now, but for git's own.
pack() {
  archive=$(mktemp -d)/code.tgz
  run tar -C "$top" -czf "$archive" --exclude=.git --exclude=.venv .
}

# Installs the code, which is in the folder $1, into the environment `venv` beside
# it. Images have Python 3.10, which is too old, so one is fetched by uv.
# Arguments: the folder. Prints the command of a shell.
installing() {
  echo "python3 -m pip install -q --user uv && python3 -m uv venv -q --clear \
--python 3.12 venv && python3 -m uv pip install -q --python venv/bin/python \
-e './$1[tpu]'"
}

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
