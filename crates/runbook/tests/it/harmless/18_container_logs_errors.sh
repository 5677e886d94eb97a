#!/usr/bin/env bash
set -euo pipefail
since=${SINCE:-15m}
pattern='error|exception|panic|fatal'

mapfile -t names < <(docker ps --format '{{.Names}}')
for n in "${names[@]}"; do
  count=$(docker logs --since "$since" "$n" 2>&1 | grep -icE "$pattern" || true)
  if (( count > 0 )); then
    printf '%6d %s\n' "$count" "$n"
    docker logs --since "$since" "$n" 2>&1 | grep -iE "$pattern" | tail -n 3 | sed 's/^/         /'
  fi
done
