#!/usr/bin/env bash
# Who reads and writes? Two snapshots of /proc/PID/io, five seconds apart.
set -euo pipefail

snapshot() {
  local f pid
  for f in /proc/[0-9]*/io; do
    pid=${f#/proc/}
    pid=${pid%/io}
    awk -v p="$pid" '/^read_bytes/ { r = $2 } /^write_bytes/ { w = $2 } END { if (r + w > 0) print p, r, w }' "$f" 2>/dev/null || true
  done
}

before=$(snapshot)
sleep 5
after=$(snapshot)

awk 'NR == FNR { r[$1] = $2; w[$1] = $3; next }
     ($1 in r) { d = ($2 - r[$1]) + ($3 - w[$1]); if (d > 0) print d, $1 }' \
  <(printf '%s\n' "$before") <(printf '%s\n' "$after") |
  sort -rn | awk 'NR <= 10' |
  while read -r bytes pid; do
    printf '%12d B  %7d  %s\n' "$bytes" "$pid" "$(cat "/proc/$pid/comm" 2>/dev/null || echo gone)"
  done
