#!/usr/bin/env bash
set -euo pipefail
# Packet loss and latency to a peer, with the path MTU.
peer=${1:?usage: path_latency.sh HOST}

ping -c 10 -i 0.2 -W 2 -q "$peer" || true
echo
mtr --report --report-cycles 10 --no-dns "$peer"
echo
for size in 1472 1452 1412 1372; do
  if ping -c 1 -W 2 -M "do" -s "$size" "$peer" >/dev/null 2>&1; then
    echo "path MTU is at least $((size + 28))"
    break
  fi
done
ip route get "$(getent ahostsv4 "$peer" | awk 'NR == 1 { print $1 }')"
