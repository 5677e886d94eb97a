#!/usr/bin/env bash
set -euo pipefail
# Tables with many dead rows, old statistics, or a near wraparound.
: "${DB:?set DB to the database name}"
export PGCONNECT_TIMEOUT=5

psql -X -d "$DB" <<'SQL'
\pset pager off
\echo dead rows
SELECT relname, n_live_tup, n_dead_tup,
       round(100.0 * n_dead_tup / nullif(n_live_tup + n_dead_tup, 0), 1) AS pct,
       last_autovacuum
  FROM pg_stat_user_tables
 ORDER BY n_dead_tup DESC
 LIMIT 15;

\echo transaction age
SELECT datname, age(datfrozenxid) FROM pg_database ORDER BY 2 DESC;

\echo unused indexes
SELECT relname, indexrelname, pg_size_pretty(pg_relation_size(indexrelid)) AS size
  FROM pg_stat_user_indexes
 WHERE idx_scan = 0
 ORDER BY pg_relation_size(indexrelid) DESC
 LIMIT 10;
SQL
