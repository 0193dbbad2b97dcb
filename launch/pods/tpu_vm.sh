#!/usr/bin/env bash
# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
# Runs a binary on all hosts of a TPU, and goes on with it when it was taken.

# shellcheck source=launch/pods/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat <<'END'
launch/pods/tpu_vm.sh --name=NAME --zone=ZONE --accelerator=v5litepod-256 \
  [--project=P] [--spot] [--dry_run] -- BINARY --workdir=gs://... FLAGS
launch/pods/tpu_vm.sh --name=NAME --zone=ZONE --delete

Makes the TPU if it is not there, copies this code to all of its hosts, installs
it, and runs `python -m launch.BINARY` on each. If the TPU was taken away, or the
binary saved and left, all of it is done again; it goes on where it was. The TPU
stays when the binary is done: --delete removes it.
END
}

name='' zone='' accelerator='' project='' spot=false delete=false
parse 'name zone accelerator project' 'spot delete' "$@"
require name zone
need gcloud
locate "$zone" "$project"
tpu=(gcloud compute tpus tpu-vm)

if "$delete"; then
  run "${tpu[@]}" delete "$name" "${place[@]}" --quiet
  exit
fi
require accelerator
check_binary
hosts=$(hosts_of "$accelerator" 8)

# Empty if there is no such TPU.
state() {
  "${tpu[@]}" describe "$name" "${place[@]}" --format='value(state)' 2>/dev/null ||
    true
}

# What is there is used; what was taken away is removed and made again.
make() {
  local found=''
  "$dry_run" || found=$(state)
  [[ $found != READY ]] || return 0
  if [[ $found == PREEMPTED || $found == TERMINATED || $found == FAILED ]]; then
    run "${tpu[@]}" delete "$name" "${place[@]}" --quiet
  fi
  local more=()
  ! "$spot" || more=(--spot)
  run "${tpu[@]}" create "$name" "${place[@]}" "--accelerator-type=$accelerator" \
    "--version=$(runtime_of "$accelerator")" "${more[@]}"
}

everywhere() {
  run "${tpu[@]}" ssh "$name" "${place[@]}" --worker=all \
    --ssh-flag=-o --ssh-flag=ServerAliveInterval=30 "--command=$1"
}

# A run whose connection was lost goes on there: it is asked to save and leave.
install() {
  everywhere "while pkill -f 'python -m launch[.]'; do sleep 5; done; true"
  pack
  run "${tpu[@]}" scp "$archive" "$name:code.tgz" "${place[@]}" --worker=all
  everywhere "mkdir -p selfexplain_jax && tar -C selfexplain_jax -xzf code.tgz \
&& $(installing selfexplain_jax)"
}

printf -v line ' %q' "${binary[@]}" "--processes=$hosts"
command="cd selfexplain_jax && ../venv/bin/python -m launch.${line# }"

while true; do
  code=0
  { make && install && everywhere "$command"; } || code=$?
  "$dry_run" && exit
  case $code in
    0 | 2) exit "$code" ;;
    "$SAVED") say 'saved after a preemption: again' ;;
    *)
      if [[ $(state) == READY ]]; then
        say "ended with $code on a TPU that is there: see the lines above"
        exit "$code"
      fi
      say 'the TPU was taken away: again'
      ;;
  esac
  sleep 30
done
