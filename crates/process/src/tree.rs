//! Owns the tree below a process: who belongs to it, and ending all of it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::identity::{ProcessId, Stat};
use crate::signal::{Signal, send};

/// A killed process is gone within a millisecond; the rest is for a tree that forks while it is being ended, and
/// for processes in uninterruptible sleep. About two seconds altogether.
const KILL_ROUNDS_MAX: u32 = 400;
const KILL_PAUSE: Duration = Duration::from_millis(5);

/// The running processes below `pid`, each before its own children. Read in one pass over `proc_root`, so a
/// process that forks meanwhile may hide a child: to end a tree, use [`kill_descendants`].
pub fn descendants(proc_root: &Path, pid: i32) -> Vec<ProcessId> {
    let children = children_by_parent(proc_root);
    let mut found = Vec::new();
    let mut parents = vec![pid];
    // The pass is not atomic, so reused pids could in theory close a circle: no process is visited twice.
    let mut seen = HashSet::from([pid]);
    while !parents.is_empty() {
        let mut next = Vec::new();
        for stat in parents.iter().filter_map(|parent| children.get(parent)).flatten() {
            if seen.insert(stat.id.pid) {
                next.push(stat.id.pid);
                found.extend(stat.is_running().then_some(stat.id));
            }
        }
        parents = next;
    }
    found
}

/// Kills everything below `pid` and repeats until nothing is left there, at most about 2 s. Blocks. Returns what
/// still runs then: nothing, unless the kernel holds a process or does not let this user end it.
///
/// A descendant whose parent ends goes to the nearest subreaper: when `pid` is one, none can get away.
pub fn kill_descendants(pid: i32) -> Vec<ProcessId> {
    kill_until_none(|| descendants(Path::new("/proc"), pid))
}

/// Takes the exit status of every child of this process that has ended, so that none stays a zombie. For a process
/// that is about to end: whoever else waits for one of them in here gets nothing.
pub fn reap_children() {
    while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {}
}

/// Makes this process the parent of every descendant whose own parent has ended.
///
/// # Errors
/// When the kernel refuses, which only a sandbox does.
pub fn become_subreaper() -> io::Result<()> {
    // The kernel only looks at whether the value is 0.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(Into::into)
}

pub(crate) fn kill_until_none(mut left: impl FnMut() -> Vec<ProcessId>) -> Vec<ProcessId> {
    for _ in 0..KILL_ROUNDS_MAX {
        let targets = left();
        if targets.is_empty() {
            return targets;
        }
        for target in targets {
            if let Err(error) = send(target, Signal::KILL) {
                tracing::warn!(pid = target.pid, %error, "a process could not be killed");
            }
        }
        thread::sleep(KILL_PAUSE);
    }
    left()
}

fn children_by_parent(proc_root: &Path) -> HashMap<i32, Vec<Stat>> {
    let mut children: HashMap<i32, Vec<Stat>> = HashMap::new();
    let Ok(entries) = fs::read_dir(proc_root) else { return children };
    for entry in entries.flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(stat) = pid.and_then(|pid| Stat::read(proc_root, pid)) {
            children.entry(stat.parent).or_default().push(stat);
        }
    }
    children
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::descendants;

    fn process(root: &Path, pid: i32, parent: i32, state: char) {
        fs::create_dir(root.join(pid.to_string())).unwrap();
        let stat = format!("{pid} (x) {state} {parent} 0 0 0 0 0 0 0 0 0 0 0 0 0 20 0 1 0 {pid}00 0");
        fs::write(root.join(pid.to_string()).join("stat"), stat).unwrap();
    }

    #[test]
    fn children_come_before_grandchildren() {
        let root = tempfile::tempdir().unwrap();
        for (pid, parent, state) in [
            (1, 0, 'S'),
            (30, 1, 'S'),
            (10, 20, 'S'),
            (20, 1, 'S'),
            (5, 10, 'R'),
            (40, 30, 'Z'),
            (50, 2, 'S'),
        ] {
            process(root.path(), pid, parent, state);
        }
        fs::create_dir(root.path().join("self")).unwrap();
        let pids = |pid| descendants(root.path(), pid).into_iter().map(|p| p.pid).collect::<Vec<_>>();
        let all = pids(1);
        let place = |pid| all.iter().position(|p| *p == pid).unwrap();
        assert_eq!(all.len(), 4, "{all:?}");
        assert!(place(20) < place(10) && place(30) < place(10) && place(10) < place(5), "{all:?}");
        assert_eq!(pids(20), [10, 5]);
        assert!(pids(5).is_empty());
        assert!(descendants(Path::new("/nonexistent"), 1).is_empty());
    }
}
