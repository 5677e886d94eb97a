#!/usr/bin/env bash
# Can this host reach its dependencies?
set -euo pipefail

targets=(
  db1.internal:5432
  cache1.internal:6379
  kafka1.internal:9092
  vault.internal:8200
)

failed=0
for t in "${targets[@]}"; do
  host=${t%:*}
  port=${t##*:}
  if ! getent hosts "$host" >/dev/null; then
    echo "$t: name does not resolve"
    failed=$((failed + 1))
  elif nc -z -w 3 "$host" "$port" 2>/dev/null; then
    echo "$t: open"
  else
    echo "$t: closed or filtered"
    failed=$((failed + 1))
  fi
done
echo "failed: $failed"
[[ $failed -eq 0 ]]
