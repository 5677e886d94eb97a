#!/usr/bin/env bash
# Wait (at most two minutes) until the service says it is ready.
set -euo pipefail
url=${1:-http://127.0.0.1:8080/ready}
deadline=$(( SECONDS + 120 ))
n=0

until code=$(curl -s -o /dev/null --max-time 3 -w '%{http_code}' "$url") && [[ $code == 200 ]]; do
  n=$(( n + 1 ))
  if (( SECONDS >= deadline )); then
    echo "not ready after $n attempts, last status ${code:-none}" >&2
    journalctl -u app.service -n 30 --no-pager >&2
    exit 1
  fi
  printf 'attempt %d: %s\n' "$n" "${code:-none}"
  sleep 3
done
echo "ready after $SECONDS s"
