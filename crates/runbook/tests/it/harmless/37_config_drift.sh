#!/usr/bin/env bash
# Compare a config file across a group of hosts by checksum.
set -euo pipefail
file=${1:-/etc/nginx/nginx.conf}
hosts=(web1 web2 web3 web4)

declare -A seen=()
for h in "${hosts[@]}"; do
  sum=$(ssh -n -o BatchMode=yes -o ConnectTimeout=5 "$h" "sha256sum '$file'" 2>/dev/null | cut -d' ' -f1) || sum=""
  sum=${sum:-unreachable}
  printf '%-8s %s\n' "$h" "${sum:0:16}"
  seen[$sum]="${seen[$sum]:-} $h"
done

echo
echo "${#seen[@]} version(s):"
for s in "${!seen[@]}"; do
  printf '%s:%s\n' "${s:0:16}" "${seen[$s]}"
done
