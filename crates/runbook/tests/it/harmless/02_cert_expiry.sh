#!/usr/bin/env bash
# Days until the TLS certificate of each host expires.
set -euo pipefail

warn_days=${WARN_DAYS:-21}
hosts=("$@")
[[ ${#hosts[@]} -gt 0 ]] || hosts=(api.example.com shop.example.com)

now=$(date +%s)
for h in "${hosts[@]}"; do
  enddate=$(timeout 10 openssl s_client -connect "${h}:443" -servername "$h" </dev/null 2>/dev/null |
    openssl x509 -noout -enddate 2>/dev/null | cut -d= -f2) || enddate=""
  if [[ -z $enddate ]]; then
    printf '%-30s no certificate\n' "$h"
    continue
  fi
  end=$(date -d "$enddate" +%s)
  days=$(( (end - now) / 86400 ))
  if (( days < warn_days )); then
    printf '%-30s %4d days  WARN\n' "$h" "$days"
  else
    printf '%-30s %4d days\n' "$h" "$days"
  fi
done
