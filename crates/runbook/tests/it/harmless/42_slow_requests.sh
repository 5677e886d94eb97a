#!/usr/bin/env bash
set -euo pipefail
# p50/p95/p99 per path; the request time is the last field.
log=${1:-/var/log/nginx/access.log}

awk '{ split($7, p, "?"); print p[1], $NF }' "$log" |
  sort -k1,1 -k2,2n |
  awk '
    function flush_path() {
      if (n >= 20) printf "%7d %8.3f %8.3f %8.3f %s\n", n, v[int(n * .5) + 1], v[int(n * .95) + 1], v[int(n * .99) + 1], path
      n = 0
    }
    $1 != path { flush_path(); path = $1 }
    { v[++n] = $2 }
    END { flush_path() }' |
  sort -k3,3nr |
  sed -n '1,20p'
