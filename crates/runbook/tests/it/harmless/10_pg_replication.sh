#!/usr/bin/env bash
# Replication lag in bytes and seconds, seen from the primary and the standby.
set -euo pipefail
export PGCONNECT_TIMEOUT=5
primary=${PRIMARY:-db1.internal}
standby=${STANDBY:-db2.internal}

echo "== primary: $primary"
psql -X -h "$primary" -U monitor -d postgres -At -F ' | ' -c "
  SELECT application_name, client_addr, state, sync_state,
         pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn))
    FROM pg_stat_replication
   ORDER BY 1"

echo "== slots"
psql -X -h "$primary" -U monitor -d postgres -At -F ' | ' -c "
  SELECT slot_name, active, pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn))
    FROM pg_replication_slots"

echo "== standby: $standby"
psql -X -h "$standby" -U monitor -d postgres -At -c "
  SELECT pg_is_in_recovery(), now() - pg_last_xact_replay_timestamp()"
