#!/usr/bin/env bash
set -euo pipefail
export ETCDCTL_API=3
pki=/etc/kubernetes/pki/etcd
args=(--endpoints=https://127.0.0.1:2379 --dial-timeout=3s --command-timeout=10s
  --cacert="$pki/ca.crt" --cert="$pki/server.crt" --key="$pki/server.key")

etcdctl "${args[@]}" endpoint health --cluster
etcdctl "${args[@]}" endpoint status --cluster -w table
etcdctl "${args[@]}" member list -w table
etcdctl "${args[@]}" alarm list

echo "== database size on disk"
du -sh /var/lib/etcd/member/snap/db
echo "== slow applies in the last hour"
journalctl -u etcd --since -1h --no-pager | grep -c 'took too long' || true
