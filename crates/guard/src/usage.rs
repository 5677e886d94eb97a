//! Owns what the server's process tree uses: memory and descriptors, as `/proc` says.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use process::ProcessId;

use crate::oom::Accounts;
use crate::state::Child;

/// What a process tree uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) rss_bytes: u64,
    pub(crate) descriptors: u64,
}

/// A child and everything that came of it. What its parent has left behind belongs to the lifeline, which has started the
/// child and nothing else.
pub(crate) fn tree(top: ProcessId) -> Vec<ProcessId> {
    let proc_root = Path::new("/proc");
    match parent(top) {
        Some(lifeline) => process::descendants(proc_root, lifeline),
        None => Vec::new(),
    }
}

/// The parent of a process, while that is there.
fn parent(process: ProcessId) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid)).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    // Read before it is asked for: afterwards the number may be another process's.
    process.is_alive().then(|| line.trim().parse().ok())?
}

/// What a child and everything that came of it use together. Memory that several of them share counts several times.
/// Blocks for some milliseconds: it looks at every process of the machine.
pub(crate) fn of_tree(top: ProcessId) -> Usage {
    let mut usage = Usage::default();
    for process in tree(top) {
        let folder = Path::new("/proc").join(process.pid.to_string());
        usage.rss_bytes += fs::read_to_string(folder.join("status")).map_or(0, |status| rss_bytes(&status));
        usage.descriptors += fs::read_dir(folder.join("fd")).map_or(0, |entries| entries.count() as u64);
    }
    usage
}

/// What a child and those of sessions use now, and whether it is stopped; takes down what the kernel has killed so far.
pub(crate) async fn now(
    child: Option<Child>,
    accounts: Option<Arc<Accounts>>,
    others: Vec<ProcessId>,
) -> (Usage, bool) {
    let look = move || {
        accounts.inspect(|accounts| accounts.look(Instant::now()));
        let mut usage = child.map(|child| of_tree(child.id)).unwrap_or_default();
        for other in others.into_iter().map(of_tree) {
            usage.rss_bytes += other.rss_bytes;
            usage.descriptors += other.descriptors;
        }
        (usage, child.is_some_and(|child| child.id.is_stopped()))
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

/// The kernel always writes `VmRSS:` in kibibytes; a zombie has none.
fn rss_bytes(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use process::ProcessId;

    use super::{Usage, of_tree, rss_bytes};

    #[test]
    fn memory_and_descriptors_are_read() {
        assert_eq!(rss_bytes("Name:\tx\nVmRSS:\t    2048 kB\nRssAnon:\t1 kB\n"), 2 << 20);
        assert_eq!(rss_bytes("Name:\tx\nState:\tZ (zombie)\n"), 0);
        let me = of_tree(ProcessId::current());
        assert!(me.rss_bytes > 1 << 20 && me.descriptors >= 3, "{me:?}");
        assert_eq!(of_tree(ProcessId { pid: -1, start_ticks: 0 }), Usage::default());
    }
}
