#!/usr/bin/env bash
set -euo pipefail

echo "== md"
cat /proc/mdstat
for md in /dev/md[0-9]*; do
  [[ -b $md ]] || continue
  mdadm --detail "$md" | grep -E 'State :|Failed Devices|Rebuild Status|Raid Level' || true
done

echo "== LVM"
pvs --noheadings -o pv_name,vg_name,pv_size,pv_free
vgs --noheadings -o vg_name,vg_attr,vg_free
lvs --noheadings -o lv_name,vg_name,lv_attr,data_percent,lv_health_status

echo "== ZFS"
if command -v zpool >/dev/null 2>&1; then
  zpool status -x
  zpool list -o name,size,alloc,free,cap,health
fi
