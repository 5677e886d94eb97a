#!/usr/bin/env bash
# Pods that are not ready, restart a lot, or were OOM-killed.
set -euo pipefail
ns=${1:-default}

kubectl --request-timeout=10s -n "$ns" get pods -o json |
  jq -r '
    .items[]
    | . as $p
    | (.status.containerStatuses // [])[]
    | select((.ready | not) or .restartCount > 3)
    | [$p.metadata.name, .name, (.restartCount | tostring),
       (.state | keys[0]),
       (.lastState.terminated.reason // "-")]
    | @tsv' |
  column -t

echo
echo "recent warnings:"
kubectl --request-timeout=10s -n "$ns" get events \
  --field-selector type=Warning --sort-by=.lastTimestamp | tail -n 15
