//! Owns the rules: which findings speak for which cause, how loudly, and what makes them fall silent.
//!
//! Weights are points of 100 and follow one order. What a person or an intruder did has 95. What names the cause
//! itself has 70 to 85: an exit, an error of the start, a failed check, an answer of a dependency. What makes a
//! cause likely has 50 to 65. What many causes bring about has 45 at most, and never wins against one that
//! explains it. What is only a hint has less than a cause needs: it is shown, and not acted upon. Two causes of
//! which one explains the other are at least the margin of `named` apart.

mod patterns;
#[cfg(test)]
mod tests;

use crate::cause::Cause;
use crate::pattern::Pattern;

/// When a cause is likely.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The cause.
    pub cause: Cause,
    /// The points, of 100, that it has when all of `needs` is there.
    pub weight: u32,
    /// Without all of this the rule says nothing.
    pub needs: &'static [Pattern],
    /// What adds to it, with the points.
    pub strengthened_by: &'static [(Pattern, u32)],
    /// Any of this takes all its points.
    pub ruled_out_by: &'static [Pattern],
}

/// Writes [`RULES`] from sentences about the patterns.
macro_rules! rules {
    ($($cause:ident $weight:literal if $($need:ident)and+
        $(, plus $points:literal if $more:ident)* $(, unless $($out:ident)or+)?;)*
    ) => {
        /// Every rule, in the order of the catalogue of causes.
        pub const RULES: &[Rule] = &[$(Rule {
            cause: Cause::$cause,
            weight: $weight,
            needs: &[$(patterns::$need),+],
            strengthened_by: &[$((patterns::$more, $points)),*],
            ruled_out_by: &[$($(patterns::$out),+)?],
        }),*];
    };
}

rules! {
    DiskFull 70 if FULL, plus 15 if LOG_NO_SPACE;
    DiskFull 70 if NO_INODES, plus 15 if LOG_NO_SPACE;
    DiskFull 55 if LOG_NO_SPACE;
    DiskFull 30 if SOME_FULL, plus 45 if LOG_NO_SPACE, unless MOUNTS_KNOWN;

    OutOfMemory 80 if OOM_ENDED, plus 5 if KILLED, unless STOPPED;
    OutOfMemory 75 if UNIT_OUT_OF_MEMORY, unless STOPPED;
    OutOfMemory 65 if OOM_OURS, unless STOPPED;
    OutOfMemory 35 if KILLED, plus 25 if MEMORY_LOW, plus 25 if MEMORY_AWAITED,
        unless STOPPED or KILLED_BY_SOMEBODY or MEMORY_PLENTY;
    OutOfMemory 60 if KILLED and LIMIT_NEAR, unless STOPPED or KILLED_BY_SOMEBODY;

    MemoryPressure 50 if MEMORY_LOW, plus 10 if MEMORY_AWAITED;
    MemoryPressure 50 if MEMORY_AWAITED, plus 10 if MEMORY_LOW, unless MEMORY_PLENTY;
    MemoryPressure 50 if LIMIT_NEAR, plus 10 if MEMORY_AWAITED;
    MemoryPressure 50 if ADDRESS_SPACE_NEAR, plus 20 if LOG_OUT_OF_MEMORY;
    MemoryPressure 45 if OOM_SOMEWHERE;

    MemoryLeak 70 if CRASHED and LOG_OUT_OF_MEMORY, plus 5 if GROWS;
    MemoryLeak 55 if GROWS, plus 5 if LARGE, plus 10 if MEMORY_LOW, plus 5 if MEMORY_AWAITED,
        unless CACHE_GROWS or MANY_OPERATIONS;

    CacheGrowth 60 if CACHE_GROWS, plus 15 if GROWS;

    DescriptorsExhausted 75 if DESCRIPTORS_FEW, plus 5 if LOG_DESCRIPTORS, plus 5 if DESCRIPTORS_GROW;
    DescriptorsExhausted 70 if LOG_DESCRIPTORS, plus 5 if DESCRIPTORS_GROW;
    DescriptorsExhausted 55 if DESCRIPTORS_GROW;

    TasksExhausted 75 if TASKS_FEW, plus 5 if LOG_TASKS;
    TasksExhausted 70 if LOG_TASKS;

    UnreapedChildren 40 if ZOMBIES;
    UnreapedChildren 65 if MANY_ZOMBIES;

    BlockedInKernel 75 if BLOCKED_TASK, plus 5 if NO_ANSWER, plus 5 if NOT_ACCEPTED;
    BlockedInKernel 70 if SILENT_MOUNT, plus 5 if BLOCKED_TASK, plus 5 if NO_ANSWER, plus 5 if NOT_ACCEPTED;

    StuckRequests 60 if OPERATION_STUCK, plus 10 if ANSWERS, plus 5 if CALL_SILENT, unless NO_ANSWER or MANY_OPERATIONS or NEEDED_DOWN;
    StuckRequests 35 if CALL_SILENT and ANSWERS, unless MANY_OPERATIONS or NEEDED_DOWN;

    Overload 60 if MANY_OPERATIONS, plus 10 if SLOW, plus 10 if CPU_AWAITED, unless NEEDED_DOWN or LOOP_BUSY;
    Overload 55 if THROTTLED, plus 10 if SLOW, unless NEEDED_DOWN;
    Overload 50 if CPU_AWAITED and SLOW, unless NEEDED_DOWN;
    Overload 50 if IO_AWAITED and SLOW, unless NEEDED_DOWN or MEMORY_AWAITED;

    EventLoopSaturated 85 if LOOP_BUSY and NO_ANSWER, unless OPERATION_STUCK or GROWS;
    EventLoopSaturated 80 if LOOP_BUSY and CALL_SILENT, unless OPERATION_STUCK or GROWS;
    EventLoopSaturated 75 if LOOP_BUSY and LATE, plus 5 if SLOW, unless OPERATION_STUCK or GROWS;
    EventLoopSaturated 75 if LOOP_BUSY and CALL_LATE, plus 5 if SLOW, unless OPERATION_STUCK or GROWS;
    EventLoopSaturated 75 if LOOP_BUSY and SLOW, unless OPERATION_STUCK or GROWS;
    EventLoopSaturated 35 if LOOP_BUSY;

    DependencyDown 55 if NEEDED_DOWN, plus 5 if LOG_CONNECTION;
    DependencyDown 25 if ANY_DOWN, plus 5 if LOG_CONNECTION;

    DatabaseDown 80 if DATABASE_REFUSES, plus 5 if LOG_CONNECTION;
    DatabaseDown 65 if DATABASE_SILENT, plus 5 if LOG_CONNECTION;

    DatabaseFull 80 if DATABASE_NO_CONNECTIONS, plus 5 if LOG_CONNECTION;
    DatabaseFull 30 if CONNECTIONS_FEW;

    DatabaseLocked 80 if DATABASE_LOCK;

    DatabaseSlow 60 if QUERY_SLOW and SLOW, plus 5 if CACHE_COLD, unless DATABASE_LOCK;
    DatabaseSlow 30 if QUERY_SLOW, unless DATABASE_LOCK;

    CertificateInvalid 75 if BAD_CERTIFICATE, unless ALL_AHEAD or ALL_BEHIND;

    TokenExpired 75 if TOKEN_OVER, plus 5 if NEEDED_UNAUTHORIZED, unless ALL_AHEAD or ALL_BEHIND;

    NameService 70 if NAME_HALF_KNOWN, plus 10 if SLOW;

    AddressFamily 65 if HALF_REACHED, plus 10 if SLOW;

    RateLimited 75 if NEEDED_LIMITS, plus 5 if WANTS_QUIET;

    ClockWrong 75 if ALL_AHEAD, plus 10 if CERTIFICATE_OUT_OF_TIME;
    ClockWrong 75 if ALL_BEHIND, plus 10 if CERTIFICATE_OUT_OF_TIME;
    ClockWrong 50 if ONE_AHEAD, plus 10 if CERTIFICATE_OUT_OF_TIME;
    ClockWrong 50 if ONE_BEHIND, plus 10 if CERTIFICATE_OUT_OF_TIME;

    NetworkDown 80 if NO_ROUTE and NEEDED_SILENT, plus 5 if LOG_CONNECTION;
    NetworkDown 80 if NO_RESOLVER and NEEDED_NAME_UNKNOWN, plus 5 if LOG_CONNECTION;
    NetworkDown 75 if SEVERAL_SILENT and NEEDED_SILENT, plus 5 if LOG_CONNECTION;
    NetworkDown 30 if NO_ROUTE;

    StaleConnections 75 if STALE, plus 5 if LOG_CONNECTION, unless NEEDED_DOWN;

    CrashLoop 45 if START_LIMIT, unless STOPPED;
    CrashLoop 40 if RESTARTED, plus 5 if ENDED_SOON, unless STOPPED;

    BadConfiguration 75 if NEEDED_VARIABLE_MISSING, plus 5 if LOG_CONFIGURATION;
    BadConfiguration 70 if NOT_PERMITTED;
    BadConfiguration 65 if NEEDED_UNAUTHORIZED;
    BadConfiguration 65 if EXITED and LOG_CONFIGURATION, plus 10 if ENDED_SOON;
    BadConfiguration 55 if EXITED and ENDED_SOON,
        unless NEEDED_DOWN or LOG_NO_SPACE or LOG_ADDRESS_IN_USE or PORT_HELD or LOG_MISSING_MODULE or MAY_NOT
            or LOG_DESCRIPTORS;

    PermissionMissing 75 if MAY_NOT, plus 10 if LOG_PERMISSION;
    PermissionMissing 55 if EXITED and LOG_PERMISSION;

    BrokenInstallation 75 if EXITED and LOG_MISSING_MODULE, plus 5 if ENDED_SOON;

    PortTaken 75 if ADDRESS_IN_USE, plus 5 if LOG_ADDRESS_IN_USE, plus 5 if PORT_HELD;
    PortTaken 70 if LOG_ADDRESS_IN_USE, plus 10 if PORT_HELD;
    PortTaken 65 if PORT_HELD, unless ANSWERS;

    MissingProgram 85 if NOT_FOUND;
    MissingProgram 70 if SHELL_NOT_FOUND, plus 5 if ENDED_SOON, unless LOG_MISSING_MODULE;

    ProgramFault 75 if CRASHED, unless LOG_OUT_OF_MEMORY;
    ProgramFault 55 if EXITED and LOG_UNHANDLED, unless NEEDED_DOWN or LOG_NO_SPACE;

    StoppedByOperator 95 if STOPPED, unless CAME_THROUGH;

    Frozen 85 if PAUSED;
    Frozen 75 if DEADLOCKED, plus 10 if NO_ANSWER;
    Frozen 75 if UNREAD and NO_ANSWER;
    Frozen 35 if UNREAD;
    Frozen 65 if SILENT_ALIVE, plus 5 if OPERATION_STUCK, plus 5 if NOT_ACCEPTED,
        unless BLOCKED_TASK or SILENT_MOUNT or DESCRIPTORS_FEW or MANY_OPERATIONS or MEMORY_AWAITED or FULL or NO_INODES or NEEDED_DOWN;

    DataDamaged 80 if DAMAGED, plus 5 if READ_ONLY;
    DataDamaged 60 if READ_ONLY;

    BlockedAttempt 70 if BLOCKED, unless CAME_THROUGH or DAMAGED;

    Intrusion 95 if CAME_THROUGH, plus 5 if DAMAGED;
}
