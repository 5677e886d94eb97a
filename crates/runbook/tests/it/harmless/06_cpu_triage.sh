#!/usr/bin/env bash
# Is it user time, system time, steal or I/O wait?
set -euo pipefail

printf 'host %s, %s CPUs, load %s\n' "$(hostname)" "$(nproc)" "$(cut -d' ' -f1-3 /proc/loadavg)"

echo "== vmstat (5 samples)"
vmstat -w 1 5

echo "== per-core"
mpstat -P ALL 1 1 | awk '/^Average/ || NR == 3'

echo "== busiest threads"
top -b -H -n 1 -w 160 | sed -n '7,20p'

echo "== blocked tasks"
ps -eo state,pid,wchan:32,comm | awk '$1 == "D"'
