//! Owns the snapshot: everything about this machine and one tree of processes, at one moment.

use std::collections::HashMap;

use serde::Serialize;

use crate::cgroup::CgroupMemory;
use crate::details::Details;
use crate::machine::{Clock, Load, Machine};
use crate::memory::{Memory, Pressure};
use crate::mounts::{Mount, read_mounts};
use crate::processes::{Process, pids, read_processes, tree};
use crate::roots::Roots;
use crate::sockets::Sockets;

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
    /// It and its descendants, parents before children, at most 64.
    pub tree: Vec<Details>,
    /// The sockets of its network namespace.
    pub sockets: Option<Sockets>,
}

/// Takes a snapshot, with `target` and all below it in depth. A machine with 300 processes takes less than 50 ms.
pub fn snapshot(roots: &Roots, target: Option<i32>, now_ms: i64) -> Snapshot {
    let pids = pids(roots);
    let present = pids.as_deref().unwrap_or_default();
    let processes = read_processes(roots, present);
    Snapshot {
        version: VERSION,
        clock: Clock::read(roots, now_ms),
        machine: Machine::read(roots),
        load: Load::read(roots),
        memory: Memory::read(roots),
        pressure: Pressure::read(roots),
        mounts: read_mounts(roots),
        target: target.and_then(|pid| TargetTree::read(roots, pid, &processes, present)),
        process_count: pids.as_ref().map(Vec::len),
        processes,
    }
}

// === impl TargetTree ===

impl TargetTree {
    fn read(roots: &Roots, pid: i32, processes: &[Process], present: &[i32]) -> Option<Self> {
        let ids = tree(processes, pid);
        if ids.is_empty() {
            return None;
        }
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
        Some(Self { pid, cgroup_memory: CgroupMemory::read(roots, pid), tree, sockets })
    }
}

#[cfg(test)]
mod tests;
