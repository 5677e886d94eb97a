#!/usr/bin/env bash
# Count sockets by state and by peer; compare with the limits.
set -euo pipefail

echo "== states"
ss -Htan | awk '{ c[$1]++ } END { for (s in c) printf "%7d %s\n", c[s], s }' | sort -rn

echo "== top peers, established"
ss -Htn state established | awk '{ sub(/:[0-9]+$/, "", $4); c[$4]++ } END { for (p in c) print c[p], p }' | sort -rn | awk 'NR <= 10'

echo "== listen queues that are not empty"
ss -Hltn | awk '$2 > 0 { print "recv-q=" $2, "backlog=" $3, $4 }'

echo "== ephemeral ports"
read -r lo hi < /proc/sys/net/ipv4/ip_local_port_range
echo "range: $((hi - lo + 1)) ports"

echo "== conntrack"
if [[ -r /proc/sys/net/netfilter/nf_conntrack_count ]]; then
  echo "$(< /proc/sys/net/netfilter/nf_conntrack_count) of $(< /proc/sys/net/netfilter/nf_conntrack_max)"
fi
