#!/usr/bin/env bash
# What changed in a deployment, and did the rollout finish?
set -euo pipefail
if [[ $# -ne 2 ]]; then
  echo "usage: $0 NAMESPACE DEPLOYMENT" >&2
  exit 64
fi
ns=$1
deploy=$2
k() { kubectl --request-timeout=10s -n "$ns" "$@"; }

k get deploy "$deploy" -o wide
k rollout history "deploy/$deploy"
k rollout status "deploy/$deploy" --watch=false
k get rs -l "app=$deploy" \
  -o custom-columns='NAME:.metadata.name,WANT:.spec.replicas,READY:.status.readyReplicas,AGE:.metadata.creationTimestamp'
k logs "deploy/$deploy" --since=10m --tail=100 | grep -iE 'error|panic|fatal' || echo "no errors in the log"
