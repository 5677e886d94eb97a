#!/usr/bin/env bash
set -euo pipefail
bootstrap=${BOOTSTRAP:-kafka1.internal:9092}

echo "== under-replicated partitions"
timeout 30 kafka-topics.sh --bootstrap-server "$bootstrap" --describe --under-replicated-partitions

echo "== consumer groups with lag over 1000"
timeout 30 kafka-consumer-groups.sh --bootstrap-server "$bootstrap" --list |
  while read -r group; do
    timeout 30 kafka-consumer-groups.sh --bootstrap-server "$bootstrap" --describe --group "$group" 2>/dev/null |
      awk -v g="$group" '$6 ~ /^[0-9]+$/ { lag += $6 } END { if (lag > 1000) print lag, g }'
  done | sort -rn
