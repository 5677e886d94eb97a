#!/usr/bin/env bash
set -euo pipefail
# Who is on the host, since when, and what do they run?
w -i
echo
loginctl list-sessions --no-legend | while read -r sid _ user _; do
  loginctl show-session "$sid" -p Name -p RemoteHost -p Timestamp -p State | paste -sd' ' -
  ps -u "$user" -o pid=,etime=,args= --sort=-etime | sed -n '1,5p'
done
echo "== sudo in the last hour"
journalctl _COMM=sudo --since -1h --no-pager -o short-iso | grep -F 'COMMAND=' | sed 's/.*sudo\[[0-9]*\]: *//' || true
echo "== audit"
ausearch -m USER_CMD -ts recent -i 2>/dev/null | tail -n 10 || true
