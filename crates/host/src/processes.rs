//! Owns the list of processes: what every one of them tells anybody, and the memory of a tree of them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use ::process::{ProcessId, descendants};
use serde::Serialize;

use crate::cgroup;
use crate::redact::redact;
use crate::roots::{FILE_BYTES_MAX, Roots, read, read_link};
use crate::text::{lossy, number, words};

/// Enough for any machine that works; a fork bomb is told by the count, not by reading all of it.
const PROCESSES_MAX: usize = 10_000;
/// Longer command lines are class paths; they end with [`TRUNCATED`].
const COMMAND_BYTES_MAX: u64 = 16 << 10;
const TRUNCATED: &str = "[TRUNCATED]";

/// One process at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Its pid and when it started.
    pub id: ProcessId,
    /// The pid of its parent.
    pub parent: Option<i32>,
    /// What its first thread does.
    pub state: Option<State>,
    /// The name that the kernel keeps, at most 15 bytes of anything.
    pub comm: String,
    /// Its arguments, secrets redacted; empty for a thread of the kernel.
    pub cmdline: Option<Vec<String>>,
    /// The file that it runs.
    pub exe: Option<String>,
    /// Whether that file was removed or replaced since.
    pub exe_deleted: Option<bool>,
    /// Its memory that is not swapped out.
    pub rss_bytes: Option<u64>,
    /// Processor time that it used, user and system.
    pub cpu_ms: Option<u64>,
    /// How many threads it has.
    pub threads: Option<u64>,
    /// Its control group: the one of version 2, or that of systemd in version 1.
    pub cgroup: Option<String>,
}

/// What a process does, as `ps` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// `R`: runs or could run.
    Running,
    /// `S`: waits for something.
    Sleeping,
    /// `D`: waits inside the kernel, often for a disk, and takes no signal.
    Uninterruptible,
    /// `T`: stopped by a signal.
    Stopped,
    /// `t`: stopped by a debugger.
    Traced,
    /// `Z`: ended; its parent has not asked for its exit code.
    Zombie,
    /// `X`: on its way out.
    Dead,
    /// `I`: an idle thread of the kernel.
    Idle,
}

/// The fields of `/proc/PID/stat` that are used here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) comm: String,
    pub(crate) state: Option<State>,
    pub(crate) parent: Option<i32>,
    cpu_ticks: Option<u64>,
    pub(crate) threads: Option<u64>,
    pub(crate) start_ticks: u64,
    pub(crate) virtual_bytes: Option<u64>,
    rss_pages: Option<u64>,
}

// === impl Process ===

impl Process {
    /// `None` when it has ended meanwhile.
    fn read(roots: &Roots, pid: i32) -> Option<Self> {
        let folder = roots.process(pid);
        let stat = Stat::read(&folder)?;
        let link = read_link(&folder.join("exe"));
        let exe_deleted = link.as_ref().map(|path| path.ends_with(" (deleted)"));
        let exe = link.map(|path| path.strip_suffix(" (deleted)").map(str::to_owned).unwrap_or(path));
        Some(Self {
            id: ProcessId { pid, start_ticks: stat.start_ticks },
            parent: stat.parent,
            state: stat.state,
            cmdline: read(&folder.join("cmdline"), COMMAND_BYTES_MAX).map(|bytes| arguments(&bytes)),
            exe,
            exe_deleted,
            rss_bytes: stat.rss_bytes(),
            cpu_ms: stat.cpu_ms(),
            threads: stat.threads,
            cgroup: cgroup::path(roots, pid),
            comm: stat.comm,
        })
    }
}

// === impl State ===

impl State {
    fn of_letter(letter: u8) -> Option<Self> {
        Some(match letter {
            b'R' => Self::Running,
            b'S' => Self::Sleeping,
            b'D' => Self::Uninterruptible,
            b'T' => Self::Stopped,
            b't' => Self::Traced,
            b'Z' => Self::Zombie,
            b'X' | b'x' => Self::Dead,
            b'I' => Self::Idle,
            _ => return None,
        })
    }
}

// === impl Stat ===

impl Stat {
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        Self::parse(&read(&folder.join("stat"), FILE_BYTES_MAX)?)
    }

    /// The name stands in parentheses and may hold anything, parentheses and newlines too: the fields begin
    /// behind the last one. They are counted as in proc_pid_stat(5), where the state is field 3.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let open = bytes.iter().position(|byte| *byte == b'(')?;
        let close = bytes.iter().rposition(|byte| *byte == b')')?;
        let fields: Vec<_> = words(&bytes[close + 1..]).take(22).collect();
        let field = |n: usize| fields.get(n - 3).copied();
        let count = |n| field(n).and_then(number);
        Some(Self {
            comm: lossy(bytes.get(open + 1..close)?),
            state: field(3).and_then(|letter| State::of_letter(letter[0])),
            parent: count(4).and_then(|pid| i32::try_from(pid).ok()),
            cpu_ticks: count(14).zip(count(15)).map(|(user, system)| user.saturating_add(system)),
            threads: count(20),
            start_ticks: count(22)?,
            virtual_bytes: count(23),
            rss_pages: count(24),
        })
    }

    pub(crate) fn rss_bytes(&self) -> Option<u64> {
        self.rss_pages?.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
    }

    pub(crate) fn cpu_ms(&self) -> Option<u64> {
        self.cpu_ticks?.checked_mul(1000)?.checked_div(rustix::param::clock_ticks_per_second())
    }
}

/// What the first thread of a process does now; `None` when there is no such process.
pub fn process_state(roots: &Roots, pid: i32) -> Option<State> {
    Stat::read(&roots.process(pid))?.state
}

/// The name that the kernel keeps of a process; `None` when there is no such process.
pub fn process_name(roots: &Roots, pid: i32) -> Option<String> {
    Some(Stat::read(&roots.process(pid))?.comm)
}

/// The memory of a process and of all below it; `None` when it is gone itself. Pages that several of them share
/// count for each, as everywhere where this number is shown.
pub fn tree_rss_bytes(roots: &Roots, pid: i32) -> Option<u64> {
    let rss_bytes = |pid| Stat::read(&roots.process(pid))?.rss_bytes();
    let own = rss_bytes(pid)?;
    let below = descendants(&roots.proc, pid).into_iter().filter_map(|id| rss_bytes(id.pid));
    Some(below.fold(own, u64::saturating_add))
}

/// The pids that there are now, ascending.
pub(crate) fn pids(roots: &Roots) -> Option<Vec<i32>> {
    let entries = fs::read_dir(&roots.proc).ok()?;
    let mut pids: Vec<i32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    Some(pids)
}

/// Reads at most [`PROCESSES_MAX`] of these.
pub(crate) fn read_processes(roots: &Roots, pids: &[i32]) -> Vec<Process> {
    pids.iter().take(PROCESSES_MAX).filter_map(|pid| Process::read(roots, *pid)).collect()
}

/// A process and all below it, parents before their children; empty when it is not among these.
pub(crate) fn tree(processes: &[Process], pid: i32) -> Vec<ProcessId> {
    let mut children: HashMap<i32, Vec<ProcessId>> = HashMap::new();
    for process in processes {
        children.entry(process.parent.unwrap_or_default()).or_default().push(process.id);
    }
    let mut found: Vec<_> = processes.iter().map(|process| process.id).filter(|id| id.pid == pid).collect();
    let mut next = 0;
    while let Some(parent) = found.get(next) {
        // The list is not of one moment, so reused pids could close a circle: everybody is taken only once.
        let below = children.remove(&parent.pid).unwrap_or_default();
        found.extend(below.into_iter().filter(|id| id.pid != pid));
        next += 1;
    }
    found
}

/// Arguments end with a zero byte each; a process that has rewritten its own leaves zeros behind.
pub(crate) fn arguments(bytes: &[u8]) -> Vec<String> {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if end == 0 {
        return Vec::new();
    }
    let texts: Vec<_> = bytes[..end].split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let mut shown = redact(texts.iter().map(AsRef::as_ref));
    if u64::try_from(bytes.len()).is_ok_and(|length| length >= COMMAND_BYTES_MAX) {
        shown.push(TRUNCATED.to_owned());
    }
    shown
}

#[cfg(test)]
mod tests;
