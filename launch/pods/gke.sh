#!/usr/bin/env bash
# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
# Runs a binary as a workload of a cluster that xpk made; restarts are set.

# shellcheck source=launch/pods/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat <<'END'
launch/pods/gke.sh --name=NAME --cluster=CLUSTER --zone=ZONE \
  --tpu_type=v5litepod-256 [--num_slices=2] [--project=P] [--restarts=100] \
  [--base_image=python:3.11] [--dry_run] -- BINARY --workdir=gs://... FLAGS
launch/pods/gke.sh --name=NAME --cluster=CLUSTER --zone=ZONE --delete

xpk builds an image of this folder over the base image and makes a JobSet of it.
Without restarts, which xpk sets to 0, one lost host would end it all. A workload
of this name stays as it is.
END
}

name='' cluster='' zone='' tpu_type='' num_slices=1 project='' restarts=100
base_image=python:3.11 delete=false
parse 'name cluster zone tpu_type num_slices project restarts base_image' \
  'delete' "$@"
require name cluster zone
need xpk

place=("--cluster=$cluster" "--zone=$zone")
[[ -z $project ]] || place+=("--project=$project")

if "$delete"; then
  run xpk workload delete "--workload=$name" "${place[@]}" --force
  exit
fi
require tpu_type
check_binary
[[ $num_slices =~ ^[1-9][0-9]*$ ]] || die "--num_slices=$num_slices: expected 1+"
[[ $restarts =~ ^[1-9][0-9]*$ ]] || die "--restarts=$restarts: expected 1+"
hosts=$(($(hosts_of "$tpu_type" 4) * num_slices))

# The list has names in its first or, with numbers of rows, second column.
is_there() {
  xpk workload list "${place[@]}" 2>/dev/null |
    awk -v name="$name" '$1 == name || $2 == name { n = 1 } END { exit !n }'
}

if ! "$dry_run" && is_there; then
  say "$name is there already: --delete removes it"
  exit
fi
printf -v line ' %q' "${binary[@]}" "--processes=$hosts"
run xpk workload create "--workload=$name" "${place[@]}" \
  "--tpu-type=$tpu_type" "--num-slices=$num_slices" \
  "--max-restarts=$restarts" "--base-docker-image=$base_image" \
  "--script-dir=$top" \
  "--command=pip install -q -e '.[tpu]' && python -m launch.${line# }"
