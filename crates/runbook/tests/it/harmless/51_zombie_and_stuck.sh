#!/usr/bin/env bash
set -euo pipefail

echo "== zombies with their parents"
ps -eo stat=,pid=,ppid=,comm= | awk '$1 ~ /^Z/ { print $2, $3, $4 }' |
  while read -r pid ppid comm; do
    printf '%s (%s) parent %s %s\n' "$pid" "$comm" "$ppid" "$(ps -o comm= -p "$ppid")"
  done

echo "== uninterruptible for three samples in a row"
sample() { ps -eo pid=,stat= | awk '$2 ~ /^D/ { print $1 }' | sort; }
a=$(sample); sleep 2
b=$(sample); sleep 2
c=$(sample)
comm -12 <(comm -12 <(echo "$a") <(echo "$b")) <(echo "$c") |
  while read -r pid; do
    [[ -n $pid ]] || continue
    ps -o pid=,etime=,wchan:32=,args= -p "$pid" || true
    cat "/proc/$pid/stack" 2>/dev/null || true
  done
