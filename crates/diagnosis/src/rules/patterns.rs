//! Owns the patterns that the rules are made of, and the numbers from which on something is too much.

use crate::finding::Severity;
use crate::kind::{self, Kind};
use crate::pattern::{Is, Pattern, Test};

/// `df` rounds up, and what is left of a file system at 99 % is gone with the next large file.
const FULL_PERCENT: f64 = 99.0;
/// Below a tenth there is no time, says the runbook.
const MEMORY_AVAILABLE_PERCENT_LOW: f64 = 10.0;
/// Who waits for memory then waits at the limit of a control group.
const MEMORY_AVAILABLE_PERCENT_PLENTY: f64 = 34.0;
/// From the runbook for slow servers, as the next two: memory is missed at once, a processor or a disk later.
const MEMORY_PRESSURE_HIGH: f64 = 5.0;
const CPU_OR_IO_PRESSURE_HIGH: f64 = 20.0;
const OPERATIONS_MANY: f64 = 51.0;
/// The limit of the alert.
const P95_SECONDS_SLOW: f64 = 5.0;
/// No caller waits longer than five minutes.
const OPERATION_SECONDS_STUCK: f64 = 300.0;
/// An eighth of a gibibyte: the 2 GiB of the alert in less than a day.
const GROWTH_BYTES_PER_HOUR_MUCH: f64 = 134_217_728.0;
/// Half of what the alert calls too much.
const RSS_BYTES_LARGE: f64 = 1_073_741_824.0;
/// A runtime takes a second or two to load before it reads its settings.
const SOON_SECONDS: f64 = 5.0;
/// At the next burst of connections there is none left.
const DESCRIPTORS_PERCENT_HIGH: f64 = 90.0;
/// A thousand, the usual limit, within a night.
const TASKS_PERCENT_HIGH: f64 = 95.0;
const THROTTLED_PERCENT_HIGH: f64 = 50.0;
const DESCRIPTORS_PER_HOUR_MUCH: f64 = 100.0;
/// One or two may be on their way; a parent that waits for its children has no third.
const ZOMBIES_SOME: f64 = 3.0;
/// A tenth of the usual limit of a control group.
const ZOMBIES_MANY: f64 = 100.0;
/// What the kernel keeps by itself for a socket whose owner says nothing is 128 to 4096; nobody lets that many wait.
const ACCEPT_QUEUE_LONG: f64 = 5.0;
/// From here on what is signed for some minutes fails.
const CLOCK_SECONDS_WRONG: f64 = 60.0;
const MEMORY_LIMIT_PERCENT_HIGH: f64 = 95.0;
/// A database that works answers 99 of 100 from memory.
const MEMORY_HIT_PERCENT_LOW: f64 = 90.0;
/// Two attempts are what the runbook allows.
const RESTARTS_MANY: f64 = 3.0;
/// A loop that has a twentieth of its time left answers late already; the kernel counts in hundredths.
const LOOP_PERCENT_HIGH: f64 = 90.0;
/// What a person feels; `ping` takes some milliseconds.
const SECONDS_LATE: f64 = 1.0;

/// What can be asked over the network.
const NETWORK: &[&str] = &["tcp", "http", "postgres"];
/// What the network does, when it is the network. One that refuses was reached.
const SILENT: &[&str] = &["timeout", "unreachable", "dns"];
/// Everything that keeps the server waiting; `unauthorized` does not: the dependency is there.
const DOWN: &[&str] = &[
    "refused",
    "timeout",
    "unreachable",
    "dns",
    "certificate",
    "rate_limited",
    "server_error",
    "no_connections",
    "locked",
    "missing",
];

const fn is(kind: Kind, is: Is) -> Test {
    Test { kind, is, severity_min: Severity::Info }
}

const fn critical(kind: Kind, is: Is) -> Test {
    Test { kind, is, severity_min: Severity::Critical }
}

const fn pattern(says: &'static str, tests: &'static [Test]) -> Pattern {
    Pattern { says, tests, subjects_min: 1 }
}

/// Writes one constant a line: its name, what it says, and its tests, which are about one subject.
macro_rules! patterns {
    ($($name:ident $says:literal [$($test:expr),+])*) => {
        $(pub(super) const $name: Pattern = pattern($says, &[$($test),+]);)*
    };
}

// Disks.
patterns! {
    FULL "a file system that the server writes to is full"
        [is(kind::DISK_USED_PERCENT, Is::AtLeast(FULL_PERCENT)), is(kind::SERVER_MOUNT, Is::So)]
    NO_INODES "a file system that the server writes to has no inodes left"
        [is(kind::INODES_USED_PERCENT, Is::AtLeast(FULL_PERCENT)), is(kind::SERVER_MOUNT, Is::So)]
    SOME_FULL "some file system is full"
        [is(kind::DISK_USED_PERCENT, Is::AtLeast(FULL_PERCENT))]
    MOUNTS_KNOWN "it is known which file systems the server writes to"
        [is(kind::SERVER_MOUNT, Is::So)]
    READ_ONLY "a file system that the server writes to has become read-only"
        [is(kind::READ_ONLY_MOUNT, Is::So), is(kind::SERVER_MOUNT, Is::So)]
    SILENT_MOUNT "a file system that the server uses does not answer"
        [is(kind::MOUNT_SILENT, Is::So), is(kind::SERVER_MOUNT, Is::So)]
    LOG_NO_SPACE "the log says that there is no space"
        [is(kind::LOG_ERROR, Is::OneOf(&["no_space"]))]
    DAMAGED "a check of the data failed"
        [is(kind::INTEGRITY, Is::OneOf(&["failed"]))]
}

// Memory.
patterns! {
    OOM_ENDED "the kernel ended a process of the server for want of memory"
        [is(kind::OOM_KILL, Is::So), is(kind::PROCESS_EXIT, Is::So)]
    OOM_OURS "the kernel has just ended a process of the server for want of memory"
        [critical(kind::OOM_KILL, Is::So)]
    UNIT_OUT_OF_MEMORY "systemd says that its last run ended for want of memory"
        [is(kind::UNIT_RESULT, Is::OneOf(&["oom-kill"]))]
    OOM_SOMEWHERE "the kernel ended a process for want of memory"
        [is(kind::OOM_KILL, Is::So)]
    KILLED "the server was killed"
        [is(kind::PROCESS_EXIT, Is::OneOf(&["SIGKILL", "code 137"]))]
    KILLED_BY_SOMEBODY "somebody sent that signal"
        [is(kind::SIGNAL, Is::OneOf(&["SIGKILL"]))]
    MEMORY_LOW "the machine has less than a tenth of its memory left"
        [is(kind::MEMORY_AVAILABLE_PERCENT, Is::AtMost(MEMORY_AVAILABLE_PERCENT_LOW))]
    MEMORY_PLENTY "the machine has more than a third of its memory left"
        [is(kind::MEMORY_AVAILABLE_PERCENT, Is::AtLeast(MEMORY_AVAILABLE_PERCENT_PLENTY))]
    MEMORY_AWAITED "the machine waits for memory"
        [is(kind::MEMORY_PRESSURE_AVG60, Is::AtLeast(MEMORY_PRESSURE_HIGH))]
    GROWS "the server grows all the time"
        [is(kind::RSS_GROWTH_BYTES_PER_HOUR, Is::AtLeast(GROWTH_BYTES_PER_HOUR_MUCH))]
    CACHE_GROWS "its cache grows all the time"
        [is(kind::CACHE_BYTES_GROWTH, Is::AtLeast(GROWTH_BYTES_PER_HOUR_MUCH))]
    LIMIT_NEAR "its control group has next to nothing left of its memory"
        [is(kind::MEMORY_LIMIT_USED_PERCENT, Is::AtLeast(MEMORY_LIMIT_PERCENT_HIGH))]
    ADDRESS_SPACE_NEAR "a process of it has mapped nearly all that its own limit allows"
        [is(kind::ADDRESS_SPACE_USED_PERCENT, Is::AtLeast(MEMORY_LIMIT_PERCENT_HIGH))]
    LARGE "the server is large already"
        [is(kind::RSS_BYTES, Is::AtLeast(RSS_BYTES_LARGE))]
    LOG_OUT_OF_MEMORY "the log says that memory ran out"
        [is(kind::LOG_ERROR, Is::OneOf(&["out_of_memory"]))]
}

// Work.
patterns! {
    OPERATION_STUCK "a request has not ended for five minutes"
        [is(kind::OLDEST_OPERATION_SECONDS, Is::AtLeast(OPERATION_SECONDS_STUCK))]
    MANY_OPERATIONS "more than 50 requests are worked on at once"
        [is(kind::CONCURRENT_OPERATIONS, Is::AtLeast(OPERATIONS_MANY))]
    SLOW "requests take longer than five seconds"
        [is(kind::P95_SECONDS, Is::AtLeast(P95_SECONDS_SLOW))]
    CPU_AWAITED "the machine waits for its processors"
        [is(kind::CPU_PRESSURE_AVG60, Is::AtLeast(CPU_OR_IO_PRESSURE_HIGH))]
    IO_AWAITED "the machine waits for its disks"
        [is(kind::IO_PRESSURE_AVG60, Is::AtLeast(CPU_OR_IO_PRESSURE_HIGH))]
    SILENT_ALIVE "the process runs and answers nothing"
        [is(kind::LIVENESS, Is::OneOf(&["timeout"])), is(kind::PROCESS_STATE, Is::OneOf(&["running"]))]
    NO_ANSWER "the server does not answer"
        [is(kind::LIVENESS, Is::OneOf(&["timeout"]))]
    ANSWERS "the server answers"
        [is(kind::LIVENESS, Is::OneOf(&["ok"]))]
    LOOP_BUSY "the one thread in which it answers computes without a pause"
        [is(kind::EVENT_LOOP_BUSY_PERCENT, Is::AtLeast(LOOP_PERCENT_HIGH))]
    LATE "it answers a second late, or more"
        [is(kind::LIVENESS, Is::OneOf(&["ok"])), is(kind::FIRST_BYTE_SECONDS, Is::AtLeast(SECONDS_LATE))]
    CALL_LATE "a real call took a second, or more"
        [is(kind::TOOL_CALL_SECONDS, Is::AtLeast(SECONDS_LATE))]
    CALL_SILENT "a real call was not answered"
        [is(kind::TOOL_CALL, Is::OneOf(&["timeout"]))]
    PAUSED "the process was paused"
        [is(kind::PROCESS_STATE, Is::OneOf(&["stopped", "traced"]))]
    DEADLOCKED "threads of it wait for each other"
        [is(kind::DEADLOCK, Is::So)]
    UNREAD "a thread of it waits until somebody reads what it writes"
        [is(kind::UNREAD_WRITES, Is::AtLeast(1.0))]
    NOT_ACCEPTED "it does not accept connections"
        [is(kind::ACCEPT_QUEUE, Is::AtLeast(ACCEPT_QUEUE_LONG))]
    BLOCKED_TASK "a thread of it waits inside the kernel for something that does not come"
        [is(kind::BLOCKED_TASKS, Is::AtLeast(1.0))]
    ZOMBIES "it has ended children that nobody asks for their end"
        [is(kind::ZOMBIE_CHILDREN, Is::AtLeast(ZOMBIES_SOME))]
    MANY_ZOMBIES "it has a hundred such children and more"
        [is(kind::ZOMBIE_CHILDREN, Is::AtLeast(ZOMBIES_MANY))]
    DESCRIPTORS_FEW "it has nearly as many descriptors open as it may"
        [is(kind::DESCRIPTORS_USED_PERCENT, Is::AtLeast(DESCRIPTORS_PERCENT_HIGH))]
    DESCRIPTORS_GROW "it opens descriptors all the time and closes too few"
        [is(kind::DESCRIPTORS_GROWTH_PER_HOUR, Is::AtLeast(DESCRIPTORS_PER_HOUR_MUCH))]
    TASKS_FEW "it has nearly as many processes and threads as it may"
        [is(kind::TASKS_USED_PERCENT, Is::AtLeast(TASKS_PERCENT_HIGH))]
    LOG_TASKS "the log says that no process or thread can be started"
        [is(kind::LOG_ERROR, Is::OneOf(&["tasks"]))]
    THROTTLED "its quota of processor time is used up most of the time"
        [is(kind::CPU_THROTTLED_PERCENT, Is::AtLeast(THROTTLED_PERCENT_HIGH))]
    LOG_DESCRIPTORS "the log says that too many files are open"
        [is(kind::LOG_ERROR, Is::OneOf(&["descriptors"]))]
}

// What the server needs.
patterns! {
    NEEDED_DOWN "a dependency that the server can not do without is down"
        [critical(kind::DEPENDENCY, Is::OneOf(DOWN))]
    ANY_DOWN "a dependency is down"
        [is(kind::DEPENDENCY, Is::OneOf(DOWN))]
    NEEDED_UNAUTHORIZED "a dependency that the server can not do without does not accept its key"
        [critical(kind::DEPENDENCY, Is::OneOf(&["unauthorized"]))]
    NEEDED_VARIABLE_MISSING "a variable that the server can not do without is empty"
        [critical(kind::DEPENDENCY, Is::OneOf(&["missing"])), is(kind::DEPENDENCY_KIND, Is::OneOf(&["env"]))]
    DATABASE_REFUSES "the database is reached and takes no connections"
        [critical(kind::DEPENDENCY, Is::OneOf(&["refused", "server_error"])),
         is(kind::DEPENDENCY_KIND, Is::OneOf(&["postgres"]))]
    DATABASE_SILENT "the database is silent"
        [critical(kind::DEPENDENCY, Is::OneOf(&["timeout", "unreachable"])),
         is(kind::DEPENDENCY_KIND, Is::OneOf(&["postgres"]))]
    NEEDED_SILENT "a dependency on the network that the server can not do without is silent"
        [critical(kind::DEPENDENCY, Is::OneOf(SILENT)), is(kind::DEPENDENCY_KIND, Is::OneOf(NETWORK))]
    NEEDED_NAME_UNKNOWN "the name of a dependency that the server can not do without is not found"
        [critical(kind::DEPENDENCY, Is::OneOf(&["dns"]))]
    DATABASE_NO_CONNECTIONS "the database has no connection left"
        [critical(kind::DEPENDENCY, Is::OneOf(&["no_connections"])),
         is(kind::DEPENDENCY_KIND, Is::OneOf(&["postgres"]))]
    DATABASE_LOCK "transactions of the database wait for one that does not end"
        [critical(kind::DEPENDENCY, Is::OneOf(&["locked"])), is(kind::DEPENDENCY_KIND, Is::OneOf(&["postgres"]))]
    QUERY_SLOW "a query of a database has run for five seconds or longer"
        [is(kind::QUERY_SECONDS, Is::AtLeast(P95_SECONDS_SLOW))]
    CONNECTIONS_FEW "nearly all connections of a database are taken"
        [is(kind::CONNECTIONS_USED_PERCENT, Is::AtLeast(DESCRIPTORS_PERCENT_HIGH))]
    CACHE_COLD "a database answers from its disk more often than it should"
        [is(kind::CACHE_HIT_PERCENT, Is::AtMost(MEMORY_HIT_PERCENT_LOW))]
    BAD_CERTIFICATE "a dependency that the server can not do without shows a certificate that is no good"
        [critical(kind::DEPENDENCY, Is::OneOf(&["certificate"]))]
    TOKEN_OVER "a token that the server is given is over"
        [critical(kind::TOKEN_SECONDS_LEFT, Is::AtMost(0.0))]
    CERTIFICATE_OUT_OF_TIME "its certificate is over, or not yet valid"
        [is(kind::CERTIFICATE, Is::OneOf(&["expired", "not_yet_valid"]))]
    ONE_AHEAD "the clock of a dependency is a minute ahead of that of this machine, or more"
        [is(kind::CLOCK_OFFSET_SECONDS, Is::AtLeast(CLOCK_SECONDS_WRONG))]
    ONE_BEHIND "the clock of a dependency is a minute behind that of this machine, or more"
        [is(kind::CLOCK_OFFSET_SECONDS, Is::AtMost(-CLOCK_SECONDS_WRONG))]
    NEEDED_LIMITS "a dependency that the server can not do without is asked too often"
        [critical(kind::DEPENDENCY, Is::OneOf(&["rate_limited"]))]
    WANTS_QUIET "it says how long it wants to be left alone"
        [is(kind::RETRY_AFTER_SECONDS, Is::AtLeast(1.0))]
    NAME_HALF_KNOWN "the name service answers for one family of addresses only"
        [is(kind::NAME_FAMILY, Is::OneOf(&["ipv4", "ipv6"]))]
    HALF_REACHED "a dependency is reached over one version of IP only"
        [is(kind::ADDRESS_FAMILY, Is::OneOf(&["ipv4", "ipv6"]))]
    NO_ROUTE "the machine has no way out"
        [is(kind::NETWORK_ROUTE, Is::OneOf(&["missing"]))]
    NO_RESOLVER "the machine has no name service"
        [is(kind::RESOLVER, Is::OneOf(&["missing", "failing"]))]
    STALE "a dependency is back, and the server still logs errors about it"
        [is(kind::ERRORS_AFTER_RECOVERY, Is::So)]
    LOG_CONNECTION "the log says that connections fail"
        [is(kind::LOG_ERROR, Is::OneOf(&["connection"]))]
}

/// Of two clocks that differ either may be wrong; two others that agree are right.
pub(super) const ALL_AHEAD: Pattern = Pattern {
    says: "the clocks of several dependencies are ahead of that of this machine",
    tests: &[is(kind::CLOCK_OFFSET_SECONDS, Is::AtLeast(CLOCK_SECONDS_WRONG))],
    subjects_min: 2,
};
pub(super) const ALL_BEHIND: Pattern = Pattern {
    says: "the clocks of several dependencies are behind that of this machine",
    tests: &[is(kind::CLOCK_OFFSET_SECONDS, Is::AtMost(-CLOCK_SECONDS_WRONG))],
    subjects_min: 2,
};

/// One that is silent may be down itself; two at once have the network in common.
pub(super) const SEVERAL_SILENT: Pattern = Pattern {
    says: "several dependencies on the network are silent at once",
    tests: &[is(kind::DEPENDENCY, Is::OneOf(SILENT)), is(kind::DEPENDENCY_KIND, Is::OneOf(NETWORK))],
    subjects_min: 2,
};

// Starts and ends.
patterns! {
    STOPPED "a person stopped it"
        [is(kind::OPERATOR_STOP, Is::So)]
    START_LIMIT "systemd has started it so often that it does not any more"
        [is(kind::UNIT_RESULT, Is::OneOf(&["start-limit-hit"]))]
    RESTARTED "it was started again three times or more within the hour"
        [is(kind::RESTARTS, Is::AtLeast(RESTARTS_MANY))]
    ENDED_SOON "it ended within seconds of its start"
        [is(kind::EXIT_SOON, Is::AtMost(SOON_SECONDS))]
    EXITED "it exited by itself"
        [is(kind::PROCESS_EXIT, Is::Begins("code "))]
    CRASHED "it was ended by a fault of its own"
        [is(kind::PROCESS_EXIT, Is::OneOf(&[
            "SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE", "SIGTRAP", "code 132", "code 133", "code 134", "code 135",
            "code 136", "code 139"]))]
    NOT_FOUND "its program was not found"
        [is(kind::START_FAILED, Is::OneOf(&["not_found"]))]
    SHELL_NOT_FOUND "the shell that starts it found no program"
        [is(kind::PROCESS_EXIT, Is::OneOf(&["code 127"]))]
    NOT_PERMITTED "its program may not be executed"
        [is(kind::START_FAILED, Is::OneOf(&["permission"]))]
    ADDRESS_IN_USE "its address was in use when it started"
        [is(kind::START_FAILED, Is::OneOf(&["address_in_use"]))]
    LOG_ADDRESS_IN_USE "the log says that its address is in use"
        [is(kind::LOG_ERROR, Is::OneOf(&["address_in_use"]))]
    PORT_HELD "another process holds its port"
        [is(kind::PORT_OWNER, Is::So)]
    LOG_MISSING_MODULE "the log says that a module or library is missing"
        [is(kind::LOG_ERROR, Is::OneOf(&["missing_module"]))]
    LOG_PERMISSION "the log says that something is not permitted"
        [is(kind::LOG_ERROR, Is::OneOf(&["permission"]))]
    MAY_NOT "its user may not use a file or folder that it needs"
        [critical(kind::FILE_PERMISSION, Is::So)]
    LOG_CONFIGURATION "the log says that a setting is wrong"
        [is(kind::LOG_ERROR, Is::OneOf(&["configuration"]))]
    LOG_UNHANDLED "the log ends in an error that nobody caught"
        [is(kind::LOG_ERROR, Is::OneOf(&["unhandled"]))]
}

// Attacks.
patterns! {
    BLOCKED "an attack was blocked"
        [is(kind::SECURITY_EVENT, Is::OneOf(&["blocked"]))]
    CAME_THROUGH "an attack came through"
        [is(kind::SECURITY_EVENT, Is::OneOf(&["confirmed"]))]
}
