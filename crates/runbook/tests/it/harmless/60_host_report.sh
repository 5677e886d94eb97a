#!/usr/bin/env bash
# One page about this host, to paste into the incident channel.
set -uo pipefail

section() { printf '\n=== %s ===\n' "$1"; }

cat <<EOF
host:    $(hostname -f)
time:    $(date -u '+%F %T') UTC
kernel:  $(uname -r)
uptime: $(uptime -p)
EOF

section "load"
cat /proc/loadavg
section "memory"
free -h
section "disk"
df -hT -x tmpfs -x devtmpfs | awk 'NR == 1 || $6 + 0 >= 70'
section "failed units"
systemctl --failed --no-legend --plain || true
section "errors since boot"
journalctl -b -p err --no-pager -o cat | sort | uniq -c | sort -rn | sed -n '1,10p'
section "listening"
ss -Hltnp | awk '{ print $4, $6 }' | column -t
