#!/usr/bin/env bash
# Is there a backup younger than a day, and is it plausible in size?
set -euo pipefail
dir=${1:-/srv/backups/postgres}
max_age_h=26

latest=$(find "$dir" -maxdepth 1 -type f -name '*.dump' -printf '%T@ %s %p\n' | sort -rn | awk 'NR == 1')
if [[ -z $latest ]]; then
  echo "no backup in $dir" >&2
  exit 2
fi
read -r mtime size path <<< "$latest"
age_h=$(( ($(date +%s) - ${mtime%.*}) / 3600 ))
printf '%s: %d h old, %s\n' "$path" "$age_h" "$(numfmt --to=iec "$size")"
pg_restore -l "$path" | grep -c 'TABLE DATA'
(( age_h <= max_age_h )) || { echo "too old" >&2; exit 1; }

restic -r /srv/restic --no-lock snapshots --latest 3
aws s3 ls s3://acme-backups/postgres/ --human-readable | tail -n 3
