#!/usr/bin/env bash
# SMART health and the attributes that announce a failure.
set -uo pipefail

lsblk -dno NAME,TYPE,MODEL | while read -r name type model; do
  [[ $type == disk ]] || continue
  dev=/dev/$name
  health=$(smartctl -H "$dev" 2>/dev/null | awk -F': *' '/overall-health|SMART Health Status/ { print $2 }')
  printf '%-14s %-30s %s\n' "$dev" "$model" "${health:-unknown}"
  smartctl -A "$dev" 2>/dev/null |
    awk '$2 ~ /Reallocated_Sector_Ct|Current_Pending_Sector|Offline_Uncorrectable|UDMA_CRC_Error_Count/ && $10 > 0 { print "    " $2, $10 }'
done

echo "== kernel messages"
dmesg -T --level=err,warn 2>/dev/null | grep -E 'I/O error|ata[0-9]+|nvme[0-9]+|blk_update_request' | tail -n 20
