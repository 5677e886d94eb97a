#!/usr/bin/env bash
# Kernel settings that matter for a busy web server.
set -euo pipefail

keys=(
  net.core.somaxconn
  net.ipv4.tcp_max_syn_backlog
  net.ipv4.ip_local_port_range
  net.ipv4.tcp_tw_reuse
  vm.swappiness
  vm.overcommit_memory
  fs.file-max
  kernel.pid_max
)
for k in "${keys[@]}"; do
  printf '%-32s %s\n' "$k" "$(sysctl -n "$k" 2>/dev/null || echo n/a)"
done

echo "== drops"
nstat -asz TcpExtListenDrops TcpExtListenOverflows TcpExtTCPReqQFullDrop
echo "== differing from the files"
grep -rhE '^[a-z]' /etc/sysctl.conf /etc/sysctl.d 2>/dev/null |
  while IFS='=' read -r k v; do
    k=${k//[[:space:]]/}
    now=$(sysctl -n "$k" 2>/dev/null | tr -s '\t ' ' ') || continue
    v=$(xargs <<< "$v")
    [[ $now == "$v" ]] || echo "$k: file '$v', now '$now'"
  done
