#!/usr/bin/env bash
# Units which systemd has restarted, and the reason for the last exit.
set -euo pipefail

systemctl list-units --type=service --all --no-legend --plain |
  awk '{ print $1 }' |
  while read -r unit; do
    n=$(systemctl show -p NRestarts --value -- "$unit")
    if [[ ${n:-0} -gt 0 ]]; then
      result=$(systemctl show -p Result --value -- "$unit")
      code=$(systemctl show -p ExecMainStatus --value -- "$unit")
      printf '%-40s restarts=%s result=%s status=%s\n' "$unit" "$n" "$result" "$code"
    fi
  done

echo
echo "failed units:"
systemctl --failed --no-legend --plain
