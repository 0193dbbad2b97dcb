#!/usr/bin/env bash
# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
# Submits a binary to Slurm: a process for each node, which takes its GPUs.

# shellcheck source=launch/pods/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat <<'END'
launch/pods/slurm.sh --name=NAME --nodes=2 --gpus=8 [--time=24:00:00] \
  [--partition=P] [--venv=.venv] [--dry_run] -- BINARY --workdir=DIR FLAGS

Two minutes before its time is up, or when it is preempted, the binary gets
SIGTERM, saves and leaves, and the job is queued again; it goes on where it was.
A job of this name that waits or runs stays as it is. DIR has to be on storage
that all nodes share.
END
}

name='' nodes='' gpus='' time=24:00:00 partition='' venv=.venv
parse 'name nodes gpus time partition venv' '' "$@"
require name nodes gpus
for number in nodes gpus; do
  [[ ${!number} =~ ^[1-9][0-9]*$ ]] || die "--$number=${!number}: expected 1+"
done
need sbatch
((${#binary[@]})) || die 'no binary: expected -- NAME FLAGS, such as -- flow'
[[ -f $top/launch/${binary[0]}.py ]] ||
  die "no binary ${binary[0]}: expected one of launch/"

if ! "$dry_run" && [[ -n $(squeue --me --noheader "--name=$name") ]]; then
  say "$name waits or runs already: scancel --name=$name removes it"
  exit
fi
printf -v line ' %q' "${binary[@]}" "--processes=$nodes"
script=$(mktemp)
trap 'rm -f "$script"' EXIT
cat >"$script" <<END
#!/bin/bash
cd $top
# The shell gets the signal; srun passes it to every process.
trap 'kill -TERM \$step' TERM
# JAX takes one device for each process of Slurm, if it is not told.
export JAX_LOCAL_DEVICE_IDS=$(seq -s, 0 $((gpus - 1)))
srun --ntasks-per-node=1 $venv/bin/python -m launch.${line# } &
step=\$!
wait \$step
ended=\$?
# Interrupted by the signal, it has yet to end.
if ((ended > 128)); then wait \$step; ended=\$?; fi
if ((ended == $SAVED)); then scontrol requeue \$SLURM_JOB_ID; fi
exit \$ended
END
! "$dry_run" || sed 's/^/  | /' "$script"
more=()
[[ -z $partition ]] || more=("--partition=$partition")
run sbatch "--job-name=$name" "--nodes=$nodes" --ntasks-per-node=1 \
  "--gpus-per-node=$gpus" "--time=$time" --requeue --open-mode=append \
  --signal=B:TERM@120 "--output=$name.log" "${more[@]}" "$script"
