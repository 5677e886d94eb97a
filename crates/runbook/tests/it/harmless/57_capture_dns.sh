#!/usr/bin/env bash
# Twenty seconds of DNS on the wire, summed up; nothing is stored.
set -euo pipefail
dev=${1:-any}

timeout 20 tcpdump -i "$dev" -nn -l -c 500 'udp port 53' 2>/dev/null |
  awk '
    / A\? | AAAA\? / { q++; for (i = 1; i < NF; i++) if ($i ~ /^A+\?$/) name[$(i + 1)]++ }
    /NXDomain/ { nx++ }
    /ServFail/ { sf++ }
    END {
      printf "queries=%d nxdomain=%d servfail=%d\n", q, nx, sf
      for (n in name) print name[n], n
    }' || true

resolvectl statistics
cat /etc/resolv.conf
