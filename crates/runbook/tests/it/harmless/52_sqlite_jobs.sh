#!/usr/bin/env bash
# The job queue of the agent lives in SQLite; read it only.
set -euo pipefail
db=${1:-/var/lib/agent/state.db}
[[ -r $db ]] || { echo "cannot read $db" >&2; exit 1; }

sqlite3 -readonly "$db" 'PRAGMA integrity_check;'
sqlite3 -readonly -header -column "$db" "
  SELECT state, count(*) AS jobs, min(created_at) AS oldest
    FROM jobs
   GROUP BY state;"
sqlite3 -readonly "$db" "
  SELECT id, attempts, last_error
    FROM jobs
   WHERE state = 'failed'
   ORDER BY id DESC
   LIMIT 10;"
stat -c '%n %s bytes, changed %y' "$db" "$db-wal" 2>/dev/null || true
