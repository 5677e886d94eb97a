#!/usr/bin/env bash
# Report status code and timing for a list of health endpoints.
set -euo pipefail

endpoints=(
  "https://api.example.com/healthz"
  "https://shop.example.com/healthz"
  "http://127.0.0.1:8080/ready"
)

rc=0
for url in "${endpoints[@]}"; do
  if out=$(curl -sS -o /dev/null --connect-timeout 3 --max-time 8 \
      -w '%{http_code} %{time_total}' "$url" 2>&1); then
    read -r code secs <<< "$out"
  else
    code=000 secs="-"
  fi
  if [[ $code == 200 ]]; then
    printf 'OK    %s %ss %s\n' "$code" "$secs" "$url"
  else
    printf 'FAIL  %s %ss %s\n' "$code" "$secs" "$url"
    rc=1
  fi
done
exit "$rc"
