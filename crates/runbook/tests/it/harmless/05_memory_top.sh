#!/usr/bin/env bash
# Memory at a glance: totals, top processes, swap users, recent OOM kills.
set -euo pipefail

echo "== totals"
free -m
awk '/^(MemAvailable|Slab|SReclaimable|Dirty|AnonPages|Shmem):/ { printf "%-15s %8.1f MiB\n", $1, $2 / 1024 }' /proc/meminfo

echo "== pressure"
if [[ -r /proc/pressure/memory ]]; then
  cat /proc/pressure/memory
fi

echo "== top 10 by RSS"
ps -eo pid,user,rss,comm --sort=-rss | awk 'NR <= 11'

echo "== swap per process (kB)"
for s in /proc/[0-9]*/status; do
  awk '/^Name:/ { n = $2 } /^VmSwap:/ { if ($2 > 0) print $2, n }' "$s" 2>/dev/null || true
done | sort -rn | awk 'NR <= 10'

echo "== OOM kills in the last day"
journalctl -k --since "24 hours ago" --no-pager | grep -F 'Out of memory' || echo "none"
