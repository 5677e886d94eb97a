//! Owns tasks that get nowhere: threads that wait inside the kernel, and children whose end nobody has asked for.
//!
//! Both are there for a moment on every machine that works. Only who is still there a while later, and has not been
//! on a processor meanwhile, is stuck.

use std::fs;
use std::path::Path;

use ::process::ProcessId;
use serde::Serialize;

use crate::processes::{Process, Stat, State};
use crate::roots::{FILE_BYTES_MAX, Roots, read, read_line};
use crate::text::{lines, number};

/// A server with more threads is looked at as far as this.
const THREADS_MAX: usize = 4096;

const KERNEL_FRAMES_MAX: usize = 16;

/// A thread that waits inside the kernel and takes no signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlockedTask {
    /// The process.
    pub pid: i32,
    /// The thread.
    pub tid: i32,
    /// The name of the thread.
    pub comm: String,
    /// The function of the kernel in which it waits.
    pub wait_channel: Option<String>,
    /// The functions of the kernel that it is in, the innermost first, at most 16; only root may read them.
    pub kernel_stack: Vec<String>,
    /// How often it has left a processor: another number means that it went on meanwhile.
    pub switches: u64,
}

// === impl BlockedTask ===

impl BlockedTask {
    /// `None` when it does not wait.
    fn read(folder: &Path, pid: i32) -> Option<Self> {
        let tid = folder.file_name()?.to_str()?.parse().ok()?;
        let stat = Stat::read(folder).filter(|stat| stat.state == Some(State::Uninterruptible))?;
        Some(Self {
            pid,
            tid,
            comm: stat.comm,
            wait_channel: read_line(&folder.join("wchan")).filter(|name| name != "0"),
            kernel_stack: kernel_stack(folder),
            switches: switches(folder)?,
        })
    }

    /// Whether it has not gone on since it was read.
    fn is_still(&self, roots: &Roots) -> bool {
        let folder = roots.process(self.pid).join("task").join(self.tid.to_string());
        Self::read(&folder, self.pid).is_some_and(|now| now.switches == self.switches)
    }
}

/// The threads of these processes that wait inside the kernel.
pub(crate) fn read_blocked(roots: &Roots, pids: impl Iterator<Item = i32>) -> Vec<BlockedTask> {
    let mut blocked = Vec::new();
    let mut left = THREADS_MAX;
    for pid in pids {
        let Ok(entries) = fs::read_dir(roots.process(pid).join("task")) else { continue };
        for entry in entries.flatten() {
            if left == 0 {
                return blocked;
            }
            left -= 1;
            blocked.extend(BlockedTask::read(&entry.path(), pid));
        }
    }
    blocked
}

/// Those that have not gone on since.
pub(crate) fn still_blocked(roots: &Roots, tasks: &mut Vec<BlockedTask>) {
    tasks.retain(|task| task.is_still(roots));
}

/// Those of a list that have ended, and whose parent is one of `tree`.
pub(crate) fn zombies_below(processes: &[Process], tree: &[ProcessId]) -> Vec<ProcessId> {
    let below = |process: &&Process| {
        process.state == Some(State::Zombie)
            && process.parent.is_some_and(|parent| tree.iter().any(|id| id.pid == parent))
    };
    processes.iter().filter(below).map(|process| process.id).collect()
}

/// Those that nobody has asked for their end since.
pub(crate) fn still_zombies(roots: &Roots, zombies: &mut Vec<ProcessId>) {
    let is = |id: &ProcessId| {
        Stat::read(&roots.process(id.pid))
            .is_some_and(|stat| stat.start_ticks == id.start_ticks && stat.state == Some(State::Zombie))
    };
    zombies.retain(is);
}

/// Whether a process has something to do when this signal comes: without that most of them end it.
pub fn catches(roots: &Roots, pid: i32, signal: i32) -> bool {
    let bytes = read(&roots.process(pid).join("status"), FILE_BYTES_MAX).unwrap_or_default();
    let mask = lines(&bytes).find_map(|line| line.strip_prefix(b"SigCgt:")).map(<[u8]>::trim_ascii);
    let bit = u32::try_from(signal - 1).ok().and_then(|bit| 1_u64.checked_shl(bit));
    bit.zip(mask.and_then(crate::text::hex)).is_some_and(|(bit, mask)| mask & bit != 0)
}

/// The user that a process runs as, and its groups; `None` when it is gone.
pub fn user_of(roots: &Roots, pid: i32) -> Option<User> {
    let bytes = read(&roots.process(pid).join("status"), FILE_BYTES_MAX)?;
    let numbers = |name: &[u8]| -> Vec<u32> {
        let line = lines(&bytes).find_map(|line| line.strip_prefix(name));
        let words = line.into_iter().flat_map(crate::text::words);
        words.filter_map(number).filter_map(|id| u32::try_from(id).ok()).collect()
    };
    // Real, effective, saved, and the one for files, which counts.
    Some(User { uid: *numbers(b"Uid:").get(3)?, gid: *numbers(b"Gid:").get(3)?, groups: numbers(b"Groups:") })
}

/// Who a process is for the file systems.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The other groups.
    pub groups: Vec<u32>,
}

/// A line is `[<0>] FUNCTION+OFFSET/SIZE`, with the module behind it where it is of one.
pub(crate) fn kernel_stack(folder: &Path) -> Vec<String> {
    let bytes = read(&folder.join("stack"), FILE_BYTES_MAX).unwrap_or_default();
    let function = |line: &[u8]| {
        let place = crate::text::words(line).nth(1)?;
        Some(crate::text::lossy(place.split(|byte| *byte == b'+').next()?))
    };
    lines(&bytes).filter_map(function).take(KERNEL_FRAMES_MAX).collect()
}

pub(crate) fn switches(folder: &Path) -> Option<u64> {
    let bytes = read(&folder.join("status"), FILE_BYTES_MAX)?;
    let count = |name: &[u8]| {
        lines(&bytes).find_map(|line| line.strip_prefix(name)).and_then(|value| number(value.trim_ascii()))
    };
    Some(count(b"voluntary_ctxt_switches:")? + count(b"nonvoluntary_ctxt_switches:")?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn task(roots: &Roots, tid: i32, state: char, switches: u64) {
        let folder = roots.process(9).join("task").join(tid.to_string());
        fs::create_dir_all(&folder).unwrap();
        fs::write(
            folder.join("stat"),
            format!("{tid} (w) {state} 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 5 0 0\n"),
        )
        .unwrap();
        let status =
            format!("Name:\tw\nvoluntary_ctxt_switches:\t{switches}\nnonvoluntary_ctxt_switches:\t1\n");
        fs::write(folder.join("status"), status).unwrap();
        fs::write(folder.join("wchan"), "rpc_wait").unwrap();
        fs::write(folder.join("stack"), "[<0>] rpc_wait+0x1/0x2 [sunrpc]\n[<0>] nfs_getattr+0x3/0x4\nodd\n")
            .unwrap();
    }

    #[test]
    fn only_who_stays_is_blocked() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::below(root.path());
        task(&roots, 9, 'S', 1);
        task(&roots, 10, 'D', 1);
        task(&roots, 11, 'D', 1);
        task(&roots, 12, 'D', 1);
        let mut blocked = read_blocked(&roots, [9, 99].into_iter());
        blocked.sort_by_key(|task| task.tid);
        assert_eq!(blocked.iter().map(|task| task.tid).collect::<Vec<_>>(), [10, 11, 12]);
        assert_eq!(blocked[0].wait_channel.as_deref(), Some("rpc_wait"));
        assert_eq!(blocked[0].kernel_stack, ["rpc_wait", "nfs_getattr"]);
        task(&roots, 11, 'D', 2);
        task(&roots, 12, 'R', 1);
        still_blocked(&roots, &mut blocked);
        assert_eq!(blocked.iter().map(|task| task.tid).collect::<Vec<_>>(), [10]);
    }

    #[test]
    fn the_user_for_files_counts() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::below(root.path());
        assert_eq!(user_of(&roots, 9), None);
        fs::create_dir_all(roots.process(9)).unwrap();
        assert!(!catches(&roots, 9, 12));
        fs::write(
            roots.process(9).join("status"),
            "SigCgt:\t0000000000000800\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t9 10 \n",
        )
        .unwrap();
        assert_eq!(
            [1, 11, 12, 13, 0, 65, -1].map(|signal| catches(&roots, 9, signal)),
            [false, false, true, false, false, false, false]
        );
        assert_eq!(user_of(&roots, 9), Some(User { uid: 4, gid: 8, groups: vec![9, 10] }));
    }
}
