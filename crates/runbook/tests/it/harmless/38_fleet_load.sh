#!/usr/bin/env bash
set -euo pipefail
# Load, memory and disk of all hosts in a list, worst first.
list=${1:-hosts.txt}

while IFS= read -r h; do
  [[ -z $h || $h == \#* ]] && continue
  line=$(ssh -n -o BatchMode=yes -o ConnectTimeout=4 "$h" \
    'echo "$(cut -d" " -f1 /proc/loadavg) $(free -m | awk "/^Mem:/ {print \$7}") $(df -P / | awk "NR==2 {print \$5}")"' 2>/dev/null) || line="- - -"
  read -r load avail disk <<< "$line"
  printf '%-20s load=%s avail=%sM root=%s\n' "$h" "$load" "$avail" "$disk"
done < "$list" | sort -t= -k2,2 -rn
