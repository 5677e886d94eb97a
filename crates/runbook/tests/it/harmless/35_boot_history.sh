#!/usr/bin/env bash
# When and why did this host reboot?
set -euo pipefail

echo "up since: $(uptime -s)"
echo "== boots"
journalctl --list-boots --no-pager | tail -n 10
echo "== reboots and shutdowns in wtmp"
last -x -F reboot shutdown | sed -n '1,10p'
echo "== last lines of the boot before"
journalctl -b -1 --no-pager -n 30 -o short-precise || echo "no earlier boot in the journal"
echo "== crash dumps"
ls -l --time-style=long-iso /var/crash 2>/dev/null || true
coredumpctl list --no-pager --since -7d 2>/dev/null || echo "no core dumps"
