#!/usr/bin/env bash
# MySQL threads, slow statements, lock waits, replication.
set -euo pipefail

echo "== threads"
mysql --connect-timeout=5 -t -e "SHOW GLOBAL STATUS WHERE Variable_name IN ('Threads_connected','Threads_running','Max_used_connections','Aborted_connects')"

echo "== running for more than 5 s"
mysql --connect-timeout=5 -t -e "
  SELECT id, user, host, db, time, state, LEFT(info, 80) AS stmt
    FROM information_schema.processlist
   WHERE command <> 'Sleep' AND time > 5
   ORDER BY time DESC
   LIMIT 20"

echo "== InnoDB"
mysql --connect-timeout=5 -NBe 'SHOW ENGINE INNODB STATUS' | grep -E 'History list length|queries inside' || true

echo "== replication"
mysql --connect-timeout=5 -e 'SHOW REPLICA STATUS\G' |
  awk -F': ' '/Replica_(IO|SQL)_Running:|Seconds_Behind_Source|Last_Error/ { print $1 ": " $2 }'
