#!/usr/bin/env bash
set -euo pipefail
# Which image does each deployment run, and does the registry still have it?
ns=${1:-shop}

kubectl --request-timeout=10s -n "$ns" get deploy \
  -o jsonpath='{range .items[*]}{.metadata.name}{" "}{.spec.template.spec.containers[0].image}{"\n"}{end}' |
  while read -r name image; do
    if digest=$(timeout 15 skopeo inspect --format '{{.Digest}}' "docker://$image" 2>/dev/null); then
      printf '%-20s %-50s %s\n' "$name" "$image" "${digest:7:12}"
    else
      printf '%-20s %-50s MISSING\n' "$name" "$image"
    fi
  done

helm -n "$ns" list -o json | jq -r '.[] | "\(.name) rev=\(.revision) \(.status) \(.updated)"'
