#!/usr/bin/env bash
# Node conditions, pressure and allocation.
set -euo pipefail

kubectl --request-timeout=10s get nodes -o wide
echo
kubectl --request-timeout=10s get nodes -o json |
  jq -r '.items[]
         | .metadata.name as $n
         | .status.conditions[]
         | select((.type == "Ready" and .status != "True") or (.type != "Ready" and .status == "True"))
         | "\($n)\t\(.type)\t\(.reason)\t\(.message)"'
echo
for node in $(kubectl --request-timeout=10s get nodes -o name); do
  echo "== ${node#node/}"
  kubectl --request-timeout=10s describe "$node" | sed -n '/^Allocated resources:/,/^Events:/p' | sed '$d'
done
kubectl --request-timeout=10s top nodes
