#!/usr/bin/env bash
# Link state, errors and drops of all physical interfaces.
set -euo pipefail

ip -br link
echo
for dev in /sys/class/net/*; do
  [[ -e $dev/device ]] || continue
  name=${dev##*/}
  state=$(< "$dev/operstate")
  rx_err=$(< "$dev/statistics/rx_errors")
  tx_err=$(< "$dev/statistics/tx_errors")
  rx_drop=$(< "$dev/statistics/rx_dropped")
  speed=$(cat "$dev/speed" 2>/dev/null || echo "?")
  printf '%-10s %-8s speed=%s rx_err=%s tx_err=%s rx_drop=%s\n' \
    "$name" "$state" "$speed" "$rx_err" "$tx_err" "$rx_drop"
  ethtool -S "$name" 2>/dev/null | awk '/(err|drop|miss|crc)/ && $2 > 0' || true
done
