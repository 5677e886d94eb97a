#!/usr/bin/env bash
# Which file systems are filling up, and with what?
set -euo pipefail
threshold=85

df -P -x tmpfs -x devtmpfs -x overlay |
  awk -v t="$threshold" 'NR > 1 { p = $5; sub(/%/, "", p); if (p + 0 >= t) print $6, p "%" }' |
  while read -r mnt pct; do
    echo "== $mnt is at $pct"
    du -xh --max-depth=2 -- "$mnt" 2>/dev/null | sort -rh | awk 'NR <= 10'
    echo "-- files over 500 MB"
    find "$mnt" -xdev -type f -size +500M -printf '%10s %p\n' 2>/dev/null | sort -rn | awk 'NR <= 10'
  done

echo "== inodes"
df -iP -x tmpfs -x devtmpfs | awk 'NR == 1 || $5 + 0 >= 80'
