//! Owns the catalogue of the kinds of findings: the names under which facts are known, and the values they have.

/// A known kind of finding. Others are kept as well; no rule reads them, but a condition may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its name: lower case, with `_`.
    pub name: &'static str,
    /// What the subject of such a finding is.
    pub subject: &'static str,
    /// What its value is.
    pub value: &'static str,
    /// What it says.
    pub means: &'static str,
}

// === impl Kind ===

impl Kind {
    /// Finds the kind of a name.
    pub fn of_name(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }
}

/// Writes a constant for each kind and the table of all of them from one list.
macro_rules! kinds {
    ($($constant:ident $name:literal $subject:literal $value:literal $means:literal)*) => {
        $(#[doc = $means]
        pub const $constant: Kind = Kind { name: $name, subject: $subject, value: $value, means: $means };)*

        /// Every known kind, in the order of the catalogue.
        pub const KINDS: &[Kind] = &[$($constant),*];
    };
}

kinds! {
    PROCESS_EXIT "process_exit" "server" "`SIGKILL` and the like, or `code 1`"
        "Its process ended, and how."
    START_FAILED "start_failed" "server" "`not_found`, `permission`, `address_in_use`"
        "It could not be started."
    EXIT_SOON "exit_soon" "server" "seconds since the start"
        "Its process ended before or soon after it was ready."
    RESTARTS "restarts" "server" "number"
        "How often it was started again within the last hour."
    OPERATOR_STOP "operator_stop" "server" "who, or none"
        "A person stopped it."
    SIGNAL "signal" "server" "`SIGKILL` and the like"
        "Somebody sent it this signal; the message says who."
    PROCESS_STATE "process_state" "server" "`running`, `stopped`, `traced`, `zombie`"
        "Its process as the kernel sees it; one that sleeps or waits is `running`."
    ZOMBIE_CHILDREN "zombie_children" "server" "number"
        "Processes below it that have ended a second ago or more, and that nobody has asked for their end."
    BLOCKED_TASKS "blocked_tasks" "server" "number"
        "Threads that have waited inside the kernel for a whole second, and take no signal meanwhile."
    UNREAD_WRITES "unread_writes" "server" "number"
        "Threads that have waited for a whole second until somebody reads what they write to a pipe or a socket."
    THREADS "threads" "server" "number"
        "How many threads it has, of those that were looked at; the message says how many wait where in the kernel."
    EVENT_LOOP_BUSY_PERCENT "event_loop_busy_percent" "server" "percent of one processor"
        "How much of a second the thread computed in which Node answers, or the threads that share Python's lock; absent \
         where none of them did at the first look."
    RUNTIME "runtime" "server" "`node`, `python`, `jvm`"
        "What its program runs in, by the symbols of its executable or of a library that it has mapped."
    CONTAINER "container" "server" "its number or name"
        "It lives in this container, by its control group."
    STACK "stack" "server" "a function, with file and line"
        "Where its first thread is; the message has the other threads, and who called whom."
    HEAP_USED_PERCENT "heap_used_percent" "server" "percent"
        "How much of the heap of its runtime is in use."
    DEADLOCK "deadlock" "server" "number, or false"
        "Threads of it wait for each other, as its runtime says itself."
    DESCRIPTORS_USED_PERCENT "descriptors_used_percent" "server" "percent"
        "How many descriptors one of its processes has open, of those that it may."
    DESCRIPTORS_GROWTH_PER_HOUR "descriptors_growth_per_hour" "server" "number in an hour"
        "How fast its open descriptors become more, where they do so all the time."
    TASKS_USED_PERCENT "tasks_used_percent" "server" "percent"
        "How many processes and threads its control group or its user has, of those that it may."
    CPU_THROTTLED_PERCENT "cpu_throttled_percent" "server" "percent"
        "In how many of the last periods the quota of its control group was used up before their end."
    WORK_FOLDER "work_folder" "server" "`deleted`"
        "The folder in which a process of it works was deleted."
    ACCEPT_QUEUE "accept_queue" "server" "number"
        "Connections to its port that it has not accepted yet."
    UNIT_RESULT "unit_result" "server" "`success`, `exit-code`, `oom-kill` and the like"
        "How systemd says that its unit has ended."
    FILE_PERMISSION "file_permission" "path" "`read`, `write`, `search` or `execute`, or false"
        "What the user of the server may not do there, and has to."
    LIVENESS "liveness" "server" "`ok`, `timeout`, `refused`, or other words"
        "Whether the server itself answers."
    TOOL_CALL "tool_call" "server" "`ok`, `failed`, `timeout`, or `unknown` where nothing could be called"
        "What came of one real call of a tool that only reads."
    TOOL_CALL_SECONDS "tool_call_seconds" "server" "seconds"
        "How long that call took; the message has the time of each phase."
    READINESS "readiness" "server" "`ok`, or why not"
        "Whether it answers and has what it needs."
    PORT_OWNER "port_owner" "port" "the process that holds it, or false"
        "Another process holds the port of the server."
    LOG_ERROR "log_error" "server"
        "`no_space`, `out_of_memory`, `address_in_use`, `descriptors`, `tasks`, `missing_module`, `permission`, `connection`, \
         `configuration`, `unhandled`"
        "What the last errors in its log or on its standard error are about."
    OOM_KILL "oom_kill" "whose process it was: a server, or a process of no server" "number, or none"
        "The kernel ended a process for want of memory."
    OOM_KILL_AT_LIMIT "oom_kill_at_limit" "control group" "number, or none"
        "The kernel ended a process of somebody else at the memory limit of its own control group."
    MEMORY_LIMIT_USED_PERCENT "memory_limit_used_percent" "server" "percent"
        "How much it has in use, without files that can be given back, of what its control group may."
    ADDRESS_SPACE_USED_PERCENT "address_space_used_percent" "server" "percent"
        "How much address space a process of it has mapped, of what it may (`RLIMIT_AS`); absent without a limit."
    MEMORY_AVAILABLE_PERCENT "memory_available_percent" "machine" "percent"
        "What the machine can still give, of all its memory."
    MEMORY_PRESSURE_AVG60 "memory_pressure_avg60" "machine" "percent"
        "Part of the last minute in which something waited for memory."
    CPU_PRESSURE_AVG60 "cpu_pressure_avg60" "machine" "percent"
        "Part of the last minute in which something waited for a processor."
    IO_PRESSURE_AVG60 "io_pressure_avg60" "machine" "percent"
        "Part of the last minute in which something waited for a disk."
    RSS_BYTES "rss_bytes" "server" "bytes"
        "Resident memory of all its processes."
    RSS_GROWTH_BYTES_PER_HOUR "rss_growth_bytes_per_hour" "server" "bytes in an hour"
        "How fast that grows, where it grows all the time; 0 where it does not."
    CACHE_BYTES_GROWTH "cache_bytes_growth" "server" "bytes in an hour"
        "How fast its cache grows."
    SERVER_MOUNT "server_mount" "mount point" "what is there, such as `data` or `log`, or none"
        "The server writes to this file system. One of these means that all of them are known."
    DISK_USED_PERCENT "disk_used_percent" "mount point" "percent, as `df` counts"
        "How full a file system is."
    INODES_USED_PERCENT "inodes_used_percent" "mount point" "percent"
        "How many of its inodes are used."
    READ_ONLY_MOUNT "read_only_mount" "mount point" "none, or false"
        "It has become read-only."
    MOUNT_MISSING "mount_missing" "mount point" "what should be there, or false"
        "It stands in /etc/fstab, something of the server lies there, and nothing is mounted."
    MOUNT_SILENT "mount_silent" "mount point" "kind of file system, or false"
        "Asked twice within some seconds, it does not say how full it is: whoever uses it waits in the kernel."
    DELETED_OPEN_BYTES "deleted_open_bytes" "mount point" "bytes"
        "What files take that are deleted and still open: it is given back when their process closes them or ends."
    DEPENDENCY "dependency" "dependency"
        "`ok`, `refused`, `timeout`, `unreachable`, `dns`, `certificate`, `unauthorized`, `rate_limited`, `server_error`, \
         `no_connections`, `locked`, `missing`"
        "How it answered. The severity is `critical` where the server can not do without it."
    DEPENDENCY_KIND "dependency_kind" "dependency" "`tcp`, `http`, `postgres`, `file`, `process`, `env`"
        "What it is."
    QUERY_SECONDS "query_seconds" "database" "seconds"
        "How long the longest of its queries has run so far; the message has its shape, without data."
    STATEMENT_SECONDS "statement_seconds" "database" "seconds"
        "How long the statement takes on which it spends most of its time, where pg_stat_statements is there."
    CACHE_HIT_PERCENT "cache_hit_percent" "database" "percent"
        "How many of the blocks that it was asked for it had in memory."
    CONNECTIONS_USED_PERCENT "connections_used_percent" "database" "percent"
        "How many of the connections for clients are taken."
    CERTIFICATE "certificate" "dependency" "`ok`, `expired`, `not_yet_valid`, `wrong_name`, `unknown_issuer`, `invalid`"
        "Whether the certificate that it shows is good."
    ADDRESS_FAMILY "address_family" "dependency" "`ipv4` or `ipv6`, or false"
        "It is not reached at its addresses of this family, and it is at those of the other one."
    NAME_FAMILY "name_family" "dependency" "`ipv4` or `ipv6`, or false"
        "The name service does not say which addresses of this family it has, and says those of the other one."
    TOKEN_SECONDS_LEFT "token_seconds_left" "dependency" "seconds, below 0 where it is over"
        "How long the token in this variable is still good for, by its own word."
    RETRY_AFTER_SECONDS "retry_after_seconds" "dependency" "seconds"
        "How long it wants to be left alone."
    CLOCK_OFFSET_SECONDS "clock_offset_seconds" "dependency" "seconds"
        "How far its clock is from the one of this machine; above 0 where ours is behind."
    ERRORS_AFTER_RECOVERY "errors_after_recovery" "dependency" "number, or none"
        "It is back, and the server still logs errors about it."
    NETWORK_ROUTE "network_route" "machine" "`present`, `missing`"
        "Whether there is a default route."
    RESOLVER "resolver" "machine" "`ok`, `missing`, `failing`"
        "Whether names can be looked up."
    CONCURRENT_OPERATIONS "concurrent_operations" "server" "number"
        "Requests that it works on at this moment."
    OLDEST_OPERATION_SECONDS "oldest_operation_seconds" "server" "seconds"
        "How long the oldest of them has taken so far."
    P95_SECONDS "p95_seconds" "server" "seconds"
        "95 of 100 requests took no longer."
    CPU_BUSY_PERCENT "cpu_busy_percent" "machine" "percent of all processors"
        "How busy the processors were between two looks."
    CPU_USED_PERCENT "cpu_used_percent" "server" "percent of one processor"
        "How much of the processors the server took between two looks."
    DISK_BUSY_PERCENT "disk_busy_percent" "device" "percent"
        "Part of the time between two looks in which the device had something to do."
    FIRST_BYTE_SECONDS "first_byte_seconds" "server or dependency" "seconds"
        "From the question to the first byte of its answer; the message has the time of each phase before it."
    INTEGRITY "integrity" "set of data" "`ok`, `failed`"
        "Whether data are what they were."
    DATA_DAMAGED "data_damaged" "file" "`rotten`, `broken`, `truncated` and the like"
        "A file of the server's data is damaged; the message says which tables and rows, of a database."
    DATA_SINCE "data_since" "server" "the time of the last check that found nothing, or `unknown`"
        "Since when its data are damaged: the message says between which two checks."
    DATA_LOSS "data_loss" "server" "the backup, or `unknown`"
        "What is in its data now and not in the backup that would be put back, or was."
    DATA_RESTORED "data_restored" "server" "the backup"
        "Its data are those of a backup; the message says where those from before are kept."
    INTRUSION_SIGN "intrusion_sign" "server" "`stolen_access`, `foreign_process`, `persistence` and the like"
        "Something of a server or its machine that its baseline does not have, and that operators do too; the message has what shows it."
    SECURITY_EVENT "security_event" "server" "`blocked`, `confirmed`"
        "An attack that was blocked, or one that came through."
}

#[cfg(test)]
mod tests {
    use super::{KINDS, Kind};

    #[test]
    fn names_are_names_and_unique() {
        for (at, kind) in KINDS.iter().enumerate() {
            assert!(crate::finding::is_name(kind.name) && kind.means.ends_with('.'), "{}", kind.name);
            assert_eq!(KINDS.iter().position(|other| other.name == kind.name), Some(at));
            assert_eq!(Kind::of_name(kind.name), Some(kind));
        }
        assert_eq!(Kind::of_name("weather"), None);
    }
}
