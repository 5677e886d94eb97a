#!/usr/bin/env bash
# PostgreSQL: what is running, what is waiting, who blocks whom.
set -euo pipefail
export PGCONNECT_TIMEOUT=5
export PGOPTIONS='-c statement_timeout=10s -c default_transaction_read_only=on'
db=${1:-postgres}

echo "== by state"
psql -X -d "$db" -c "SELECT state, count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' GROUP BY state ORDER BY 2 DESC"

echo "== longest transactions"
psql -X -d "$db" -c "
  SELECT pid, usename, now() - xact_start AS age, wait_event_type, left(query, 80) AS query
    FROM pg_stat_activity
   WHERE xact_start IS NOT NULL
   ORDER BY xact_start
   LIMIT 10"

echo "== blockers"
psql -X -d "$db" -c "
  SELECT a.pid, pg_blocking_pids(a.pid) AS blocked_by, now() - a.query_start AS waiting
    FROM pg_stat_activity a
   WHERE cardinality(pg_blocking_pids(a.pid)) > 0"
