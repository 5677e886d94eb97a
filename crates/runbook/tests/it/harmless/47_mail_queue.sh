#!/usr/bin/env bash
set -euo pipefail
# Postfix: how long is the queue, who sends, and why is it deferred?

postqueue -p | tail -n 1

postqueue -j 2>/dev/null | jq -r '.queue_name' | sort | uniq -c

echo "== senders"
postqueue -j | jq -r '.sender' | sort | uniq -c | sort -rn | awk 'NR <= 10'

echo "== reasons"
postqueue -j | jq -r '.recipients[].delay_reason // empty' |
  sed -E 's/\[[0-9.]+\]/[IP]/g' | sort | uniq -c | sort -rn | awk 'NR <= 10'

echo "== last rejects"
journalctl -u postfix --since -1h --no-pager | grep -F 'reject:' | tail -n 10 || true
