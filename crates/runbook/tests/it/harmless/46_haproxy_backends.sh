#!/usr/bin/env bash
# Which servers are down, and how long are the queues?
set -euo pipefail
stats=${STATS:-http://127.0.0.1:8404/stats;csv}

csv=$(curl -fsS --max-time 5 "$stats")

echo "== servers not UP"
awk -F, 'NR > 1 && $2 != "FRONTEND" && $2 != "BACKEND" && $18 !~ /^(UP|no check)/ { print $1 "/" $2, $18, "since " $24 " s" }' <<< "$csv"

echo "== backends with a queue"
awk -F, '$2 == "BACKEND" && $3 > 0 { print $1, "queue=" $3, "max=" $4 }' <<< "$csv"

echo "== 5xx per backend"
awk -F, '$2 == "BACKEND" && $44 > 0 { print $44, $1 }' <<< "$csv" | sort -rn

haproxy -c -q -f /etc/haproxy/haproxy.cfg && echo "config is valid"
