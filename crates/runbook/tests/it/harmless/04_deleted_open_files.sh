#!/usr/bin/env bash
# Space that is held by deleted but still open files.
set -euo pipefail

if ! command -v lsof >/dev/null 2>&1; then
  echo "lsof is not installed" >&2
  exit 1
fi

lsof -nP +L1 2>/dev/null |
  awk 'NR > 1 && $7 ~ /^[0-9]+$/ {
         bytes[$1 " " $2] += $7
         total += $7
       }
       END {
         for (k in bytes) printf "%12d %s\n", bytes[k], k
         printf "%12d TOTAL\n", total
       }' |
  sort -rn |
  awk 'NR <= 15'
