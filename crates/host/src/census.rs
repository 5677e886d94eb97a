//! Owns the count of what trees of processes use: one pass over all processes serves any number of trees.

use std::collections::HashMap;
use std::fs;

use ::process::ProcessId;

use crate::processes::{Stat, pids};
use crate::roots::Roots;

/// All processes at one moment, each by its `stat` alone.
#[derive(Debug, Default)]
pub struct Census {
    processes: HashMap<i32, Counted>,
    children: HashMap<i32, Vec<i32>>,
}

#[derive(Debug)]
struct Counted {
    id: ProcessId,
    parent: Option<i32>,
    rss_bytes: u64,
    cpu_ms: u64,
}

/// What a process and everything below it use together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory that is not swapped out; pages that several of them share count for each.
    pub rss_bytes: u64,
    /// Open descriptors; `None` where they are not ours to see.
    pub descriptors: Option<u64>,
    /// The processes, and the memory of each.
    pub rss: HashMap<ProcessId, u64>,
    /// The processes, and the processor time that each has used, user and system.
    pub cpu: HashMap<ProcessId, u64>,
}

// === impl Census ===

impl Census {
    /// Counts. Blocks for some milliseconds per thousand processes.
    pub fn take(roots: &Roots) -> Self {
        let mut census = Self::default();
        for pid in pids(roots).unwrap_or_default() {
            let Some(stat) = Stat::read(&roots.process(pid)) else { continue };
            if let Some(parent) = stat.parent {
                census.children.entry(parent).or_default().push(pid);
            }
            let counted = Counted {
                id: ProcessId { pid, start_ticks: stat.start_ticks },
                parent: stat.parent,
                rss_bytes: stat.rss_bytes().unwrap_or_default(),
                cpu_ms: stat.cpu_ms().unwrap_or_default(),
            };
            census.processes.insert(pid, counted);
        }
        census
    }

    /// What a process and everything below it use; `None` when it is gone.
    pub fn usage(&self, roots: &Roots, top: ProcessId) -> Option<Usage> {
        self.find(top)?;
        Some(self.sum(roots, vec![top.pid]))
    }

    /// What a child of a lifeline and everything that came of it use; `None` when it is gone. What its processes have left
    /// behind belongs to the lifeline, which has started the child and nothing else.
    pub fn usage_below_lifeline(&self, roots: &Roots, child: ProcessId) -> Option<Usage> {
        let lifeline = self.find(child)?.parent?;
        Some(self.sum(roots, self.children.get(&lifeline)?.clone()))
    }

    fn find(&self, process: ProcessId) -> Option<&Counted> {
        self.processes.get(&process.pid).filter(|counted| counted.id == process)
    }

    /// What these and everything below them use.
    fn sum(&self, roots: &Roots, mut waiting: Vec<i32>) -> Usage {
        let mut usage = Usage { descriptors: Some(0), ..Usage::default() };
        while let Some(pid) = waiting.pop() {
            let Some(counted) = self.processes.get(&pid) else { continue };
            // The list is not of one moment, so reused pids could close a circle: everybody is counted once.
            if usage.cpu.insert(counted.id, counted.cpu_ms).is_some() {
                continue;
            }
            usage.rss.insert(counted.id, counted.rss_bytes);
            usage.rss_bytes = usage.rss_bytes.saturating_add(counted.rss_bytes);
            let open = fs::read_dir(roots.process(pid).join("fd")).ok().map(|entries| entries.count() as u64);
            usage.descriptors = usage.descriptors.zip(open).map(|(sum, open)| sum + open);
            waiting.extend(self.children.get(&pid).into_iter().flatten());
        }
        usage
    }
}

// === impl Usage ===

impl Usage {
    /// How much processor time the tree has used since `before`, in milliseconds. What has ended in between took with it what
    /// it used; a process that is new counts with all of its time.
    pub fn cpu_ms_since(&self, before: &Self) -> u64 {
        let used =
            |(id, now): (&ProcessId, &u64)| now.saturating_sub(before.cpu.get(id).copied().unwrap_or(0));
        self.cpu.iter().map(used).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_tree_is_counted_with_all_below_it() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let roots = Roots::default();
        let top = ProcessId::of(i32::try_from(child.id()).unwrap()).unwrap();
        let me = Census::take(&roots).usage(&roots, ProcessId::current()).unwrap();
        assert!(me.cpu.contains_key(&top) && me.cpu.contains_key(&ProcessId::current()), "{me:?}");
        assert!(me.rss_bytes > 1 << 20 && me.descriptors.unwrap() >= 4, "{me:?}");
        let mut beside = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let other = ProcessId::of(i32::try_from(beside.id()).unwrap()).unwrap();
        let census = Census::take(&roots);
        assert!(!census.usage(&roots, top).unwrap().cpu.contains_key(&other));
        let both = census.usage_below_lifeline(&roots, top).unwrap();
        assert!(both.cpu.contains_key(&top) && both.cpu.contains_key(&other), "{both:?}");
        assert!(!both.cpu.contains_key(&ProcessId::current()), "{both:?}");
        beside.kill().unwrap();
        beside.wait().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(Census::take(&roots).usage(&roots, top), None);
    }

    #[test]
    fn only_what_was_used_since_counts() {
        let id = |pid| ProcessId { pid, start_ticks: 1 };
        let usage = |cpu: &[(i32, u64)]| Usage {
            cpu: cpu.iter().map(|(pid, ms)| (id(*pid), *ms)).collect(),
            ..Usage::default()
        };
        let check = |before: &[(i32, u64)], now: &[(i32, u64)], expect| {
            assert_eq!(usage(now).cpu_ms_since(&usage(before)), expect, "{before:?} {now:?}");
        };
        check(&[(1, 100)], &[(1, 150)], 50);
        check(&[(1, 100), (2, 900)], &[(1, 150)], 50);
        check(&[(1, 100)], &[(1, 100), (3, 20)], 20);
        check(&[(1, 100)], &[(1, 90)], 0);
    }
}
