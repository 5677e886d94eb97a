#!/usr/bin/env bash
# JVM processes: heap settings, GC counters, threads; without attaching.
set -euo pipefail

jps -l | while read -r pid main; do
  [[ $main == sun.tools.jps.Jps || $main == jdk.jcmd/sun.tools.jps.Jps ]] && continue
  echo "== $pid $main"
  tr '\0' '\n' < "/proc/$pid/cmdline" | grep -E '^-X(mx|ms|ss)|^-XX:' || true
  awk '/^(VmRSS|Threads):/ { print $1, $2, $3 }' "/proc/$pid/status"
  jstat -gcutil "$pid" 1000 3
done
