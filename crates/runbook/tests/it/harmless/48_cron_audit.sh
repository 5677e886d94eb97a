#!/usr/bin/env bash
# All scheduled jobs on this host, and the timers that are due next.
set -euo pipefail

echo "== /etc/crontab and /etc/cron.d"
grep -hvE '^[[:space:]]*(#|$)' /etc/crontab /etc/cron.d/* 2>/dev/null || true

echo "== user crontabs"
while IFS=: read -r user _; do
  if jobs=$(crontab -l -u "$user" 2>/dev/null); then
    grep -vE '^[[:space:]]*(#|$)' <<< "$jobs" | sed "s|^|$user: |" || true
  fi
done < /etc/passwd

echo "== run-parts"
for d in hourly daily weekly monthly; do
  run-parts --test "/etc/cron.$d" 2>/dev/null || true
done

echo "== timers"
systemctl list-timers --all --no-pager
