#!/usr/bin/env bash
# Lines per minute and the most frequent messages of a service.
set -euo pipefail
unit=${1:?usage: log_rate.sh UNIT [SINCE]}
since=${2:--30min}

echo "== lines per minute"
journalctl -u "$unit" --since "$since" --no-pager -o short-iso |
  awk '$1 ~ /^[0-9]{4}-/ { c[substr($1, 1, 16)]++ } END { for (m in c) print m, c[m] }' | sort

echo "== frequent messages (numbers masked)"
journalctl -u "$unit" --since "$since" --no-pager -o cat |
  sed -E 's/[0-9a-f]{8,}/ID/g; s/[0-9]+/N/g' |
  cut -c1-120 | sort | uniq -c | sort -rn | awk 'NR <= 15'
