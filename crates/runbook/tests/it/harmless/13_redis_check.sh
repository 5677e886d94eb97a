#!/usr/bin/env bash
# Redis memory, evictions, clients and slow commands.
set -euo pipefail
host=${1:-127.0.0.1}
port=${2:-6379}

r() { timeout 5 redis-cli -h "$host" -p "$port" --no-auth-warning "$@"; }

if [[ $(r PING) != PONG ]]; then
  echo "redis at $host:$port does not answer" >&2
  exit 1
fi

echo "== memory"
r INFO memory | tr -d '\r' |
  grep -E '^(used_memory_human|used_memory_peak_human|maxmemory_human|mem_fragmentation_ratio):'
echo "== evictions and hits"
r INFO stats | tr -d '\r' |
  grep -E '^(evicted_keys|expired_keys|keyspace_hits|keyspace_misses|rejected_connections):'
echo "== replication"
r INFO replication | tr -d '\r' | grep -E '^(role|connected_slaves|master_link_status):' || true
echo "== slow log"
r SLOWLOG GET 5
