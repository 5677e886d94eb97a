//! Owns the snapshot: everything about this machine and one tree of processes, at one moment.

use std::collections::HashMap;
use std::time::Duration;

use ::process::ProcessId;
use serde::Serialize;

use crate::cgroup::CgroupMemory;
use crate::details::Details;
use crate::event_loop::{EventLoop, look_again, read_event_loops};
use crate::files::{DeletedFile, deleted, written};
use crate::kernel_log::{KernelEvent, read_kernel_log};
use crate::machine::{Clock, Load, Machine};
use crate::memory::{Memory, Pressure};
use crate::mounts::{Mount, Wanted, ask_silent_again, read_fstab, read_mounts};
use crate::processes::{Process, pids, read_processes, tree};
use crate::quota::Quota;
use crate::roots::{Roots, read_link};
use crate::runtime::{Runtime, Seen};
use crate::sockets::Sockets;
use crate::tasks::{BlockedTask, User, read_blocked, still_blocked, still_zombies, user_of, zombies_below};
use crate::threads::{Thread, Unread, read_threads, still_unread, unread};

/// Of the form that is written; a reader of kept snapshots looks here first.
const VERSION: u32 = 1;

/// An MCP server has a handful of processes; reading the memory of each in detail takes a millisecond and more.
const DETAILS_MAX: usize = 64;

/// What the machine says about itself at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Snapshot {
    /// The version of this form.
    pub version: u32,
    /// The time.
    pub clock: Clock,
    /// Which machine.
    pub machine: Machine,
    /// How busy.
    pub load: Option<Load>,
    /// Memory of all.
    pub memory: Option<Memory>,
    /// Stalls of all.
    pub pressure: Pressure,
    /// The mounted file systems.
    pub mounts: Option<Vec<Mount>>,
    /// What `/etc/fstab` wants mounted, and is not.
    pub unmounted: Vec<Wanted>,
    /// Deleted files that still take space; looked for where a file system is nearly full.
    pub deleted: Vec<DeletedFile>,
    /// What the kernel has written down; `None` where we may not read that.
    pub kernel_log: Option<Vec<KernelEvent>>,
    /// How many processes there were; more than are listed when there were very many.
    pub process_count: Option<usize>,
    /// The processes by pid, at most 10,000.
    pub processes: Vec<Process>,
    /// The tree that was asked for; `None` without a target, when it is gone, and when it is not among those listed.
    pub target: Option<TargetTree>,
}

/// A process and all below it, in depth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetTree {
    /// The process that was asked for.
    pub pid: i32,
    /// Memory of its control group.
    pub cgroup_memory: Option<CgroupMemory>,
    /// What its control groups allow it of processors and tasks.
    pub quota: Quota,
    /// It and its descendants, parents before children, at most 64.
    pub tree: Vec<Details>,
    /// Whether it sees other mounts than we do, as in a container: then its paths mean nothing here.
    pub has_own_mounts: Option<bool>,
    /// Who it is for the file systems.
    pub user: Option<User>,
    /// Which of them run in a runtime, and in which, at most 16.
    pub runtimes: Vec<Runtime>,
    /// Those of Node and Python that were computing; after [`Snapshot::confirm`] with what they took of a processor.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub event_loops: Vec<EventLoop>,
    /// The files that they have open to write, at most 256.
    pub written: Vec<String>,
    /// Threads that wait inside the kernel; after [`Snapshot::confirm`] those that have not gone on.
    pub blocked: Vec<BlockedTask>,
    /// Where the threads of the first of them are in the kernel, at most 64 of each of 8.
    pub threads: Vec<Thread>,
    /// Threads that wait until somebody reads what they write; after [`Snapshot::confirm`] those that have not gone on.
    pub unread: Vec<Unread>,
    /// Ended children of theirs; after [`Snapshot::confirm`] those that nobody has asked for their end.
    pub zombies: Vec<ProcessId>,
    /// The sockets of its network namespace.
    pub sockets: Option<Sockets>,
}

/// Workers of one pool are alike.
const RUNTIMES_MAX: usize = 16;

/// How long somebody has to be stuck until that is a fact.
pub const STUCK_AFTER: Duration = Duration::from_secs(1);

/// From here on it is worth to know what is deleted and still takes space.
const NEARLY_FULL_PERCENT: f64 = 95.0;

/// Takes a snapshot, with `target` and all below it in depth. A machine with 300 processes takes less than 50 ms.
pub fn snapshot(roots: &Roots, target: Option<i32>, now_ms: i64) -> Snapshot {
    let pids = pids(roots);
    let present = pids.as_deref().unwrap_or_default();
    let processes = read_processes(roots, present);
    let mounts = read_mounts(roots);
    let is_mounted = |wanted: &Wanted| {
        mounts
            .iter()
            .flatten()
            .any(|mount| mount.path.trim_end_matches('/') == wanted.path.trim_end_matches('/'))
    };
    let nearly_full = mounts.iter().flatten().any(|mount| {
        let percent = mount.space.and_then(|space| space.used_percent());
        !mount.is_read_only() && percent.is_some_and(|percent| percent >= NEARLY_FULL_PERCENT)
    });
    Snapshot {
        version: VERSION,
        clock: Clock::read(roots, now_ms),
        machine: Machine::read(roots),
        load: Load::read(roots),
        memory: Memory::read(roots),
        pressure: Pressure::read(roots),
        unmounted: match &mounts {
            Some(_) => read_fstab(roots).into_iter().filter(|wanted| !is_mounted(wanted)).collect(),
            None => Vec::new(),
        },
        mounts,
        deleted: if nearly_full { deleted(roots, present) } else { Vec::new() },
        kernel_log: read_kernel_log(roots),
        target: target.and_then(|pid| TargetTree::read(roots, pid, &processes, present)),
        process_count: pids.as_ref().map(Vec::len),
        processes,
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// Looks once more at who seems to be stuck, after `wait` has let [`STUCK_AFTER`] pass. Where nobody is, it waits for
    /// nothing.
    pub fn confirm(&mut self, roots: &Roots, wait: impl FnOnce(Duration)) {
        let is_silent = self.mounts.iter().flatten().any(|mount| mount.is_silent);
        let is_stuck = |target: &TargetTree| {
            !target.blocked.is_empty()
                || !target.zombies.is_empty()
                || !target.unread.is_empty()
                || !target.event_loops.is_empty()
                || target.quota.is_throttled_at_times()
        };
        if !is_silent && !self.target.as_ref().is_some_and(is_stuck) {
            return;
        }
        wait(STUCK_AFTER);
        if let Some(mounts) = self.mounts.as_mut().filter(|_| is_silent) {
            ask_silent_again(mounts, STUCK_AFTER);
        }
        if let Some(target) = self.target.as_mut() {
            still_blocked(roots, &mut target.blocked);
            still_zombies(roots, &mut target.zombies);
            target.quota.look_again();
            look_again(roots, &mut target.event_loops);
            let present: Vec<i32> = self.processes.iter().map(|process| process.id.pid).collect();
            still_unread(roots, &mut target.unread, &present);
        }
    }
}

// === impl TargetTree ===

impl TargetTree {
    fn read(roots: &Roots, pid: i32, processes: &[Process], present: &[i32]) -> Option<Self> {
        let ids = tree(processes, pid);
        if ids.is_empty() {
            return None;
        }
        let zombies = zombies_below(processes, &ids);
        let blocked = read_blocked(roots, ids.iter().map(|id| id.pid));
        let threads = read_threads(roots, &ids);
        let tree: Vec<_> = ids.into_iter().take(DETAILS_MAX).map(|id| Details::read(roots, id)).collect();
        let mut owners = HashMap::new();
        for details in &tree {
            let inodes = details.descriptors.iter().flat_map(|descriptors| descriptors.socket_inodes());
            // A socket that a child inherited belongs to the one who opened it: the first in the tree.
            inodes.for_each(|inode| {
                owners.entry(inode).or_insert(details.id.pid);
            });
        }
        let mut sockets = Sockets::read(roots, pid, &owners);
        if let Some(sockets) = &mut sockets {
            sockets.find_strangers(roots, present);
        }
        let runtimes = runtimes(roots, &tree);
        Some(Self {
            pid,
            event_loops: read_event_loops(roots, &runtimes),
            cgroup_memory: CgroupMemory::read(roots, pid),
            quota: Quota::read(roots, pid),
            has_own_mounts: has_own_mounts(roots, pid),
            user: user_of(roots, pid),
            runtimes,
            written: written(roots, &tree),
            blocked,
            unread: unread(&threads),
            threads,
            zombies,
            tree,
            sockets,
        })
    }
}

fn runtimes(roots: &Roots, tree: &[Details]) -> Vec<Runtime> {
    let mut seen = Seen::new();
    let all = tree.iter().filter_map(|details| Runtime::read(roots, details.id.pid, &mut seen));
    all.take(RUNTIMES_MAX).collect()
}

fn has_own_mounts(roots: &Roots, pid: i32) -> Option<bool> {
    let own = read_link(&roots.proc.join("self/ns/mnt"))?;
    Some(read_link(&roots.process(pid).join("ns/mnt"))? != own)
}

#[cfg(test)]
mod tests;
