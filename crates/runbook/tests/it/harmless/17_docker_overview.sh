#!/usr/bin/env bash
# Containers which are down, unhealthy, or were killed for memory.
set -euo pipefail

docker ps -a --format 'table {{.Names}}\t{{.Image}}\t{{.Status}}'
echo
echo "== restart counts and OOM"
docker ps -aq | while read -r id; do
  docker inspect --format '{{.Name}} restarts={{.RestartCount}} oom={{.State.OOMKilled}} exit={{.State.ExitCode}}' "$id"
done
echo
echo "== usage"
docker stats --no-stream --format 'table {{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.PIDs}}'
echo
echo "== disk"
docker system df
echo
echo "== largest json logs"
find /var/lib/docker/containers -name '*-json.log' -size +100M -printf '%s %p\n' 2>/dev/null | sort -rn
