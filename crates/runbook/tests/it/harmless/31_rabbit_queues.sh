#!/usr/bin/env bash
# Queues that grow, queues without a consumer, alarms.
set -euo pipefail

rabbitmq-diagnostics -q -t 10 check_running
rabbitmq-diagnostics -q -t 10 check_local_alarms || true

echo "== biggest queues"
rabbitmqctl -q -t 15 list_queues name messages_ready messages_unacknowledged consumers --no-table-headers |
  sort -t "$(printf '\t')" -k2,2nr | awk 'NR <= 15'

echo "== no consumer"
rabbitmqctl -q -t 15 list_queues name messages consumers --no-table-headers |
  awk -F'\t' '$3 == 0 && $2 > 0 { print $2, $1 }'

echo "== connections by user"
rabbitmqctl -q -t 15 list_connections user --no-table-headers | sort | uniq -c | sort -rn
