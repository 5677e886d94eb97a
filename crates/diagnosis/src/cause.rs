//! Owns the catalogue of causes: the names that runbooks compare `cause` with, what each means, and what helps.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Writes the enum and its three tables from one list, so that none of them can lack a cause.
macro_rules! causes {
    ($($variant:ident $name:literal $means:literal $helps:literal)*) => {
        /// Why a server is not well.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Cause {
            $(#[doc = $means] $variant,)*
        }

        impl Cause {
            /// Every cause, in the order of the catalogue.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name, which is stable: runbooks and journals hold it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What it means, in a sentence.
            pub fn means(self) -> &'static str {
                match self { $(Self::$variant => $means),* }
            }

            /// What usually helps, in a sentence or two.
            pub fn helps(self) -> &'static str {
                match self { $(Self::$variant => $helps),* }
            }
        }
    };
}

causes! {
    DiskFull "disk_full"
        "A file system that the server writes to has no blocks or no inodes left."
        "Free space, or let the file system grow; then restart. A restart before that makes it worse."
    OutOfMemory "out_of_memory"
        "The kernel ended the process, because the machine or the server's own limit had no memory left."
        "One restart; then find out what grew, or give it more memory."
    MemoryPressure "memory_pressure"
        "The machine has too little memory for all that runs on it, and everything waits for it."
        "Empty the server's cache, or stop or move something else. A restart only buys time."
    MemoryLeak "memory_leak"
        "The server holds more and more memory, and nothing that it does needs it."
        "Keep the evidence, then one restart at a quiet moment; in the end another version."
    CacheGrowth "cache_growth"
        "The memory that the server gains is that of its cache."
        "Empty the cache, and give it a limit."
    DescriptorsExhausted "descriptors_exhausted"
        "The server has as many files and connections open as it may, and can open no more."
        "See what is open. One restart buys time; in the end another version, or a higher limit where it needs that many."
    TasksExhausted "tasks_exhausted"
        "The server has as many processes and threads as it may, and can start no more."
        "See what it has started and does not end. One restart buys time; in the end another version, or a higher limit."
    UnreapedChildren "unreaped_children"
        "The server starts processes and does not ask for their end: what is left of them fills the table of processes."
        "They take no signal; they go with their parent. One restart of it; in the end another version."
    BlockedInKernel "blocked_in_kernel"
        "Threads of the server wait inside the kernel, mostly for a disk or a mount that does not answer."
        "Mend what they wait for. They take no signal, so a restart hangs as well."
    StuckRequests "stuck_requests"
        "A few requests never end, while others are answered."
        "A restart, once everything that the server needs is healthy."
    Overload "overload"
        "There is more to do at once than the server or its machine can do."
        "Slow down or shut out the client that asks most. Not a restart: the work comes back."
    EventLoopSaturated "event_loop_saturated"
        "The one thread in which the server answers computes without a pause, and everything else waits for it."
        "Look at its stack for what it computes, and slow down or shut out who asks for that. A restart helps only where it never \
         ends: otherwise the work comes back."
    DependencyDown "dependency_down"
        "Something that the server can not do without does not answer, or refuses its service."
        "Mend the dependency, or wait for it. As long as it is down, every restart is in vain."
    DatabaseDown "database_down"
        "The database that the server can not do without takes no connections."
        "Call those who own the database. Restart neither it nor the server."
    DatabaseFull "database_full"
        "The database works, and has no connection left for anybody else."
        "Find out who holds them. A restart of the server gives back those that it holds itself."
    DatabaseLocked "database_locked"
        "The database works, and transactions wait for one that does not end."
        "Call those who own the database: the holder has to end. Restart nothing."
    DatabaseSlow "database_slow"
        "The database works, and takes long for what it is asked."
        "Call those who own the database, with the shape of the query. Restart nothing."
    CertificateInvalid "certificate_invalid"
        "A dependency shows a certificate that is over, is for another name, or comes from nobody who is trusted."
        "Call those who own it. Not a restart, and nobody switches the check off."
    TokenExpired "token_expired"
        "The key with which the server asks a dependency is over."
        "A person gets a new one and puts it into the configuration; then restart. Each try before may count against us."
    NameService "name_service"
        "The name service does not answer, or only for one kind of addresses, so that each connection waits for it."
        "Mend the name service, or ask another one. Not a restart."
    AddressFamily "address_family"
        "A dependency is reached over one version of IP and not over the other, so that each connection waits first."
        "Mend the way of that version, or prefer the other one. Not a restart."
    RateLimited "rate_limited"
        "A dependency is asked more often than it allows."
        "Wait as long as it says, and find out who asks so much. Each further try makes it longer."
    ClockWrong "clock_wrong"
        "The clock of this machine is wrong, so that certificates and tokens count as over, or as not yet valid."
        "Set the clock, and see why it was not."
    NetworkDown "network_down"
        "This machine does not reach others: no route, no name service, or several silent at once."
        "Mend the network, or call those who own it. Not a restart."
    StaleConnections "stale_connections"
        "A dependency is back, but the server holds on to its old connections."
        "One restart."
    CrashLoop "crash_loop"
        "The server ends again and again, and nothing says why."
        "Stop restarting, and have a person read its last words."
    BadConfiguration "bad_configuration"
        "A setting, a key or a permission is wrong or missing."
        "A person puts it right, most likely by taking back the last change; then restart."
    PermissionMissing "permission_missing"
        "The user of the server may not use a file or folder that it needs."
        "A person puts owner or mode right, for that user; then restart. Not a restart before."
    BrokenInstallation "broken_installation"
        "Something that the program is made of is missing or does not fit: a module, a library."
        "Install it anew, in the version before where that worked. A restart changes nothing."
    PortTaken "port_taken"
        "Another process holds the port that the server wants."
        "Find out whose process that is, and end it or give the server another port."
    MissingProgram "missing_program"
        "The program of the server, or what it is started with, is not there."
        "Install it, or put its path right; then start."
    ProgramFault "program_fault"
        "The program itself failed: a crash of its own making."
        "One restart. Keep the version and what it was asked last; take another version if it comes back."
    StoppedByOperator "stopped_by_operator"
        "A person stopped the server."
        "Nothing: it stays stopped until a person starts it."
    Frozen "frozen"
        "The process is alive and answers nothing."
        "Keep what its threads wait for, then restart; let it go on where somebody has paused it."
    DataDamaged "data_damaged"
        "Data are not what they were, or their file system has become read-only."
        "Stop the writing, find the damage, and put back a backup that is proven to be good."
    BlockedAttempt "blocked_attempt"
        "Somebody tried to break in, and all of it was blocked."
        "Shut the client out, and watch. Nothing has to be contained."
    Intrusion "intrusion"
        "Somebody got in."
        "Contain the server, seal the evidence, call security. Restart and delete nothing before."
}

// === impl Cause ===

impl Cause {
    /// Finds the cause of a name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|cause| cause.name() == name)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Cause;

    #[test]
    fn the_written_form_is_the_name() {
        for cause in Cause::ALL {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.name());
            assert_eq!(Cause::of_name(cause.name()), Some(*cause));
            assert!(cause.means().ends_with('.') && cause.helps().ends_with('.'), "{cause}");
        }
        assert_eq!(Cause::of_name("Disk_Full"), None);
    }

    #[test]
    fn the_shipped_runbooks_name_known_causes() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runbooks");
        let mut n_named = 0;
        for entry in std::fs::read_dir(folder).expect("the runbooks are there") {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            for rest in ["cause == '", "cause != '"].iter().flat_map(|start| text.split(start).skip(1)) {
                let name = rest.split('\'').next().unwrap();
                assert!(Cause::of_name(name).is_some(), "`{name}` is no cause");
                n_named += 1;
            }
        }
        assert!(n_named > 5, "{n_named}");
    }
}
