#!/usr/bin/env bash
set -euo pipefail
prom=${PROM:-http://prometheus.internal:9090}

echo "== targets that are down"
curl -fsS --connect-timeout 3 --max-time 15 "$prom/api/v1/targets?state=active" |
  jq -r '.data.activeTargets[] | select(.health != "up") | [.labels.job, .labels.instance, .lastError] | @tsv'

echo "== firing alerts"
curl -fsS --connect-timeout 3 --max-time 15 "$prom/api/v1/alerts" |
  jq -r '.data.alerts[] | select(.state == "firing") | "\(.labels.severity // "-") \(.labels.alertname) \(.activeAt)"' | sort

echo "== error ratio by service"
curl -fsS --connect-timeout 3 --max-time 15 -G "$prom/api/v1/query" \
  --data-urlencode 'query=sum by (service) (rate(http_requests_total{code=~"5.."}[5m])) / sum by (service) (rate(http_requests_total[5m]))' |
  jq -r '.data.result[] | "\(.metric.service) \(.value[1])"'
