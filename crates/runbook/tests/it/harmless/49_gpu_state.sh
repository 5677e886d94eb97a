#!/usr/bin/env bash
set -euo pipefail

nvidia-smi --query-gpu=index,name,temperature.gpu,utilization.gpu,memory.used,memory.total --format=csv
echo "== processes"
nvidia-smi --query-compute-apps=pid,used_memory --format=csv,noheader,nounits |
  while IFS=', ' read -r pid mem; do
    printf '%7d %6d MiB %s\n' "$pid" "$mem" "$(ps -o user=,comm= -p "$pid")"
  done
echo "== ECC and Xid"
nvidia-smi -q -d ECC | grep -E 'Uncorrectable|Aggregate' || true
dmesg -T | grep -F 'NVRM: Xid' | tail -n 10 || echo "no Xid messages"
