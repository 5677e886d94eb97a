#!/usr/bin/env bash
# Processes that use more than 70 % of their open-file limit.
set -euo pipefail

for d in /proc/[0-9]*; do
  pid=${d#/proc/}
  limit=$(awk '/^Max open files/ { print $4 }' "$d/limits" 2>/dev/null) || continue
  [[ $limit =~ ^[0-9]+$ ]] || continue
  used=$(find "$d/fd" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l) || continue
  if (( used * 100 > limit * 70 )); then
    printf '%7d %-20s %6d of %6d\n' "$pid" "$(cat "$d/comm" 2>/dev/null)" "$used" "$limit"
  fi
done

echo "system-wide: $(cut -f1 /proc/sys/fs/file-nr) of $(cut -f3 /proc/sys/fs/file-nr)"
