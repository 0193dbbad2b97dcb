#!/usr/bin/env bash
# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
# Queues TPUs that run a binary from their start-up script: who is given new
# ones for those that were taken away goes on by itself.

# shellcheck source=launch/pods/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat <<'END'
launch/pods/queued.sh --name=NAME --zone=ZONE --accelerator=v5litepod-256 \
  --bucket=gs://BUCKET/FOLDER [--num_slices=2] [--project=P] [--spot] \
  [--dry_run] -- BINARY --workdir=gs://... FLAGS
launch/pods/queued.sh --name=NAME --zone=ZONE --delete

Puts this code and a start-up script into BUCKET/FOLDER/NAME and queues the
TPUs. Every host runs `python -m launch.BINARY`, again while it exits with 75,
writes its log to BUCKET/FOLDER/NAME/log_HOST.txt, and its exit code to
BUCKET/FOLDER/NAME/ended_HOST when it is done, or failed five times within an
hour each: a host that starts again then does nothing. What is queued already
stays as it is.
END
}

name='' zone='' accelerator='' bucket='' project='' num_slices=1
spot=false delete=false
parse 'name zone accelerator bucket num_slices project' 'spot delete' "$@"
require name zone
need gcloud
locate "$zone" "$project"
queued=(gcloud compute tpus queued-resources)

if "$delete"; then
  run "${queued[@]}" delete "$name" "${place[@]}" --force --quiet
  exit
fi
require accelerator bucket
check_binary
[[ $bucket == gs://* ]] || die "--bucket=$bucket: expected gs://BUCKET/FOLDER"
[[ $num_slices =~ ^[1-9][0-9]*$ ]] || die "--num_slices=$num_slices: expected 1+"
hosts=$(($(hosts_of "$accelerator" 8) * num_slices))
folder=${bucket%/}/$name
printf -v line ' %q' "${binary[@]}" "--processes=$hosts"

script=$(mktemp)
trap 'rm -f "$script"' EXIT
cat >"$script" <<END
#!/bin/bash
host=\$(hostname)
cd /root
if gcloud storage ls $folder/ended_\$host; then exit; fi
gcloud storage cp $folder/code.tgz code.tgz
mkdir -p code && tar -C code -xzf code.tgz
if ! { $(installing code); } >>log.txt 2>&1; then
  # Nothing is noted as ended: a host that starts again tries again.
  gcloud storage cp log.txt $folder/log_\$host.txt
  exit 1
fi
cd code
failed=0
while true; do
  started=\$SECONDS
  ../venv/bin/python -m launch.${line# } >>../log.txt 2>&1
  ended=\$?
  gcloud storage cp ../log.txt $folder/log_\$host.txt
  if ((ended == 0 || ended == 2)); then break; fi
  # What fails again and again costs, and will not mend itself.
  ((SECONDS - started < 3600)) || failed=0
  ((ended == 75)) || failed=\$((failed + 1))
  if ((failed == 5)); then break; fi
  sleep 30
done
echo \$ended | gcloud storage cp - $folder/ended_\$host
END

if ! "$dry_run" && "${queued[@]}" describe "$name" "${place[@]}" >/dev/null 2>&1
then
  say "$name is queued already: --delete removes it"
  exit
fi
pack
run gcloud storage cp "$archive" "$folder/code.tgz"
! "$dry_run" || sed 's/^/  | /' "$script"
more=("--accelerator-type=$accelerator" "--node-id=$name")
if ((num_slices > 1)); then
  more=("--accelerator-type=$accelerator" "--node-count=$num_slices")
  more+=("--node-prefix=$name")
fi
! "$spot" || more+=(--spot)
run "${queued[@]}" create "$name" "${place[@]}" "${more[@]}" \
  "--runtime-version=$(runtime_of "$accelerator")" \
  "--metadata-from-file=startup-script=$script"
