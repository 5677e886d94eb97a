#!/usr/bin/env bash
# Failed SSH logins of the last day, by source and by user.
set -euo pipefail
since=${1:-"24 hours ago"}

log=$(journalctl -u ssh -u sshd --since "$since" --no-pager -o cat)

echo "== by address"
grep -F 'Failed password' <<< "$log" | grep -oE 'from [0-9a-f.:]+' | sort | uniq -c | sort -rn | awk 'NR <= 10' || true

echo "== by user"
grep -F 'Failed password' <<< "$log" | sed -E 's/.*for (invalid user )?([^ ]+) from.*/\2/' | sort | uniq -c | sort -rn | awk 'NR <= 10' || true

echo "== accepted"
grep -F 'Accepted' <<< "$log" | awk '{ print $2, $4, $6 }' | sort | uniq -c || true

echo "== now logged in"
who -H
