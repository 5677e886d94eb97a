#!/usr/bin/env bash
# What was installed or upgraded in the last days?
set -euo pipefail
days=${1:-3}
since=$(date -d "$days days ago" +%F)

if command -v dpkg-query >/dev/null 2>&1; then
  {
    zcat -f /var/log/dpkg.log.1 2>/dev/null || true
    cat /var/log/dpkg.log
  } | awk -v s="$since" '$1 >= s && ($3 == "install" || $3 == "upgrade" || $3 == "remove") { print $1, $2, $3, $4, $5, "->", $6 }'
elif command -v rpm >/dev/null 2>&1; then
  rpm -qa --queryformat '%{INSTALLTIME} %{NAME}-%{VERSION}-%{RELEASE}\n' |
    awk -v s="$(date -d "$since" +%s)" '$1 >= s' | sort -rn |
    while read -r ts pkg; do
      printf '%s %s\n' "$(date -d "@$ts" '+%F %T')" "$pkg"
    done
fi

echo "== running kernel: $(uname -r)"
[[ -f /var/run/reboot-required ]] && cat /var/run/reboot-required || echo "no reboot pending"
