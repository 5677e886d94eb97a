#!/usr/bin/env bash
# Elasticsearch: health, unassigned shards, disk watermarks, hot threads.
set -euo pipefail
es=${ES:-http://127.0.0.1:9200}
get() { curl -fsS --connect-timeout 3 --max-time 15 "$es/$1"; }

get "_cluster/health?pretty"
echo "== unassigned shards"
get "_cat/shards?h=index,shard,prirep,state,unassigned.reason" |
  awk '$4 == "UNASSIGNED"' || true
echo "== allocation"
get "_cat/allocation?v&s=disk.percent:desc"
echo "== largest indices"
get "_cat/indices?h=index,docs.count,store.size&s=store.size:desc" | sed -n '1,15p'
echo "== pending tasks"
get "_cluster/pending_tasks" | jq '.tasks | length'
