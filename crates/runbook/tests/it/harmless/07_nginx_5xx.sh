#!/usr/bin/env bash
# Where do the 5xx answers of the last N lines come from?
set -euo pipefail

log=${1:-/var/log/nginx/access.log}
lines=${2:-20000}

if [[ ! -r $log ]]; then
  echo "cannot read $log" >&2
  exit 2
fi

echo "== by status"
tail -n "$lines" -- "$log" | awk '{ c[$9]++ } END { for (s in c) print c[s], s }' | sort -rn

echo "== 5xx by path"
tail -n "$lines" -- "$log" |
  awk '$9 >= 500 && $9 <= 599 { split($7, p, "?"); c[p[1]]++ } END { for (u in c) print c[u], u }' |
  sort -rn | awk 'NR <= 15'

echo "== 5xx by minute"
tail -n "$lines" -- "$log" |
  awk '$9 >= 500 && $9 <= 599 { print substr($4, 2, 17) }' | sort | uniq -c | tail -n 15
