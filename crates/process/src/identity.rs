//! Owns the identity of a process: its pid together with the moment it started, so that a reused pid is another one.

use std::fmt;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// One process of this machine, for all time: the kernel gives a pid again, but not with the same start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessId {
    /// The number that the kernel uses.
    pub pid: i32,
    /// When the process started, in clock ticks since the machine did.
    pub start_ticks: u64,
}

/// What `/proc/PID/stat` says about one process, as far as this crate needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) id: ProcessId,
    pub(crate) parent: i32,
    pub(crate) state: char,
    threads: u32,
}

// === impl ProcessId ===

impl ProcessId {
    /// The process that has this pid now, ended but not yet reaped ones included.
    pub fn of(pid: i32) -> Option<Self> {
        Stat::read(Path::new("/proc"), pid).map(|stat| stat.id)
    }

    /// The process that asks.
    pub fn current() -> Self {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        // Without a mounted /proc nothing of the product works; 0 ticks then compare unequal to any process.
        Self::of(pid).unwrap_or(Self { pid, start_ticks: 0 })
    }

    /// Whether exactly this process still runs. A zombie does not, and a new owner of the pid is not it.
    pub fn is_alive(&self) -> bool {
        Stat::read(Path::new("/proc"), self.pid).is_some_and(|stat| stat.id == *self && stat.is_running())
    }

    /// Whether exactly this process is stopped (SIGSTOP or a debugger): alive, and doing nothing.
    pub fn is_stopped(&self) -> bool {
        Stat::read(Path::new("/proc"), self.pid)
            .is_some_and(|stat| stat.id == *self && matches!(stat.state, 'T' | 't'))
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pid)
    }
}

// === impl Stat ===

impl Stat {
    pub(crate) fn read(proc_root: &Path, pid: i32) -> Option<Self> {
        let text = fs::read(proc_root.join(pid.to_string()).join("stat")).ok()?;
        Self::parse(&String::from_utf8_lossy(&text))
    }

    /// The command name stands in parentheses and may hold spaces and parentheses itself: the fields begin
    /// behind the last one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (head, tail) = text.rsplit_once(')')?;
        let pid = head.split_once(' ')?.0.parse().ok()?;
        let mut fields = tail.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        // Counted as in proc_pid_stat(5), where the state is field 3: 20 is num_threads, 22 is starttime.
        let threads = fields.nth(20 - 5)?.parse().ok()?;
        let start_ticks = fields.nth(22 - 21)?.parse().ok()?;
        Some(Self { id: ProcessId { pid, start_ticks }, parent, state, threads })
    }

    /// False for what only waits to be reaped. A process whose first thread has ended looks like a zombie
    /// while its other threads go on, so the count of threads is asked as well.
    pub(crate) fn is_running(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x') || self.threads > 1
    }
}

#[cfg(test)]
mod tests {
    use super::{ProcessId, Stat};

    const TAIL: &str = "1 10 10 0 -1 4194560 9 0 0 0 0 0 0 0 20 0 3 0 777 1 2 3";

    #[track_caller]
    fn check(text: &str, expect: Option<(i32, i32, char, u64, bool)>) {
        let got = Stat::parse(text).map(|s| (s.id.pid, s.parent, s.state, s.id.start_ticks, s.is_running()));
        assert_eq!(got, expect, "{text}");
    }

    #[test]
    fn fields_are_found_behind_the_name() {
        check(&format!("42 (sh) S {TAIL}"), Some((42, 1, 'S', 777, true)));
        check(&format!("42 (a) b (c) R {TAIL}"), Some((42, 1, 'R', 777, true)));
        check(&format!("42 (Z threads) Z {TAIL}"), Some((42, 1, 'Z', 777, true)));
        check(
            &format!("42 (dead) Z {}", TAIL.replace(" 3 0 777", " 1 0 777")),
            Some((42, 1, 'Z', 777, false)),
        );
        check("42 (cut off) S 1 10", None);
        check("", None);
    }

    #[test]
    fn another_start_is_another_process() {
        let me = ProcessId::current();
        assert!(me.is_alive());
        assert!(!ProcessId { start_ticks: me.start_ticks + 1, ..me }.is_alive());
        assert_eq!(ProcessId::of(-1), None);
        assert_eq!(me.to_string(), std::process::id().to_string());
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let id = ProcessId::of(i32::try_from(child.id()).unwrap()).unwrap();
        while id.is_alive() {
            std::thread::yield_now();
        }
        assert_eq!(ProcessId::of(id.pid), Some(id), "not yet reaped");
        child.wait().unwrap();
        assert!(!id.is_alive());
    }
}
