#!/usr/bin/env bash
# Rules in force, with the counters that show what is dropped.
set -euo pipefail

if command -v nft >/dev/null 2>&1; then
  nft list ruleset | grep -nE 'drop|reject' || echo "nft: no drop rules"
fi
if command -v iptables >/dev/null 2>&1; then
  iptables -L -n -v -x --line-numbers | awk '/^Chain/ || ($4 == "DROP" || $4 == "REJECT") && $2 > 0'
  iptables -t nat -L -n --line-numbers
fi
if command -v fail2ban-client >/dev/null 2>&1; then
  fail2ban-client status | awk -F: '/Jail list/ { gsub(/[ \t]/, "", $2); print $2 }' | tr ',' '\n' |
    while read -r jail; do
      [[ -n $jail ]] && fail2ban-client status "$jail" | grep -E 'Currently banned|Banned IP'
    done
fi
