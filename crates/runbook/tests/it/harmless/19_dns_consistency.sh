#!/usr/bin/env bash
# Do all authoritative servers give the same answer?
set -euo pipefail
zone=${1:-example.com}
name=${2:-www.example.com}

servers=$(dig +short +time=3 +tries=1 NS "$zone")
if [[ -z $servers ]]; then
  echo "no NS records for $zone" >&2
  exit 1
fi

while read -r ns; do
  serial=$(dig +short +time=3 +tries=1 SOA "$zone" "@$ns" | awk '{ print $3 }')
  answer=$(dig +short +time=3 +tries=1 A "$name" "@$ns" | sort | paste -sd, -)
  printf '%-30s serial=%s %s\n' "$ns" "${serial:-none}" "${answer:-none}"
done <<< "$servers"

echo "local resolver: $(getent ahostsv4 "$name" | awk '{ print $1 }' | sort -u | paste -sd, -)"
