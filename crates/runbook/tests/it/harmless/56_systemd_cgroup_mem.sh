#!/usr/bin/env bash
# Memory of each service against its limit (cgroup v2).
set -euo pipefail
base=/sys/fs/cgroup/system.slice

for d in "$base"/*.service; do
  [[ -r $d/memory.current ]] || continue
  cur=$(< "$d/memory.current")
  max=$(< "$d/memory.max")
  oom=$(awk '$1 == "oom_kill" { print $2 }' "$d/memory.events")
  if [[ $max == max ]]; then
    pct="-"
  else
    pct=$(( cur * 100 / max ))%
  fi
  printf '%12d %8s oom_kill=%s %s\n' "$cur" "$pct" "${oom:-0}" "${d##*/}"
done | sort -rn | awk 'NR <= 20'
