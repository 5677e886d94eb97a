#!/usr/bin/env bash
# File systems that the kernel has turned read-only, and stale NFS mounts.
set -euo pipefail

echo "== read-only although fstab says rw"
findmnt -rno TARGET,FSTYPE,OPTIONS |
  awk '$2 ~ /^(ext4|xfs|btrfs)$/ && $3 ~ /^ro(,|$)/ { print $1, $2 }'

echo "== NFS mounts that do not answer within 3 s"
findmnt -rno TARGET -t nfs,nfs4 | while read -r m; do
  if timeout 3 stat -t -- "$m" >/dev/null 2>&1; then
    echo "ok    $m"
  else
    echo "STALE $m"
  fi
done

echo "== errors in the kernel log"
journalctl -k -b --no-pager -p warning | grep -E 'EXT4-fs|XFS|nfs: server' | tail -n 20 || true
