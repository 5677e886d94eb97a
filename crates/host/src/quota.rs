//! Owns what the control groups of a process, and those above them, allow it of processors and of tasks (processes and threads),
//! version 2 and 1.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cgroup::groups;
use crate::processes::{Stat, pids};
use crate::roots::{FILE_BYTES_MAX, Roots, read, read_line};
use crate::tasks::user_of;
use crate::text::{lines, number, words};

/// Below this share of its periods nobody looks a second time.
const THROTTLED_SOME_PERCENT: u64 = 5;

/// What is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quota {
    /// The group that held it up most often, of those with a quota.
    pub cpu: Option<CpuQuota>,
    /// Of its groups and its user the one that has the fewest tasks left, of those with a limit.
    pub tasks: Option<TaskLimit>,
}

/// The processor time of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CpuQuota {
    /// The folder of the group.
    pub group: PathBuf,
    /// How many periods (of a tenth of a second, mostly) it had something to do in.
    pub periods: u64,
    /// In how many of them its time was used up before their end.
    pub throttled: u64,
    /// The same since the second look, where there was one.
    pub lately: Option<(u64, u64)>,
}

/// The processes and threads of somebody; the kernel counts both alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TaskLimit {
    /// Whose, for people.
    pub of: String,
    /// How many it has.
    pub now: u64,
    /// How many it may have.
    pub most: u64,
}

// === impl Quota ===

impl Quota {
    pub(crate) fn read(roots: &Roots, pid: i32) -> Self {
        let share = |one: &CpuQuota| one.throttled.saturating_mul(1000) / one.periods.max(1);
        let cpu =
            folders(roots, pid, "cpu").into_iter().filter_map(|at| CpuQuota::read(&at)).max_by_key(share);
        let groups = folders(roots, pid, "pids");
        let tasks = groups.into_iter().filter_map(|at| TaskLimit::read(&at));
        Self { cpu, tasks: tasks.chain(TaskLimit::of_user(roots, pid)).max_by_key(TaskLimit::share) }
    }

    /// Whether a second look would tell more.
    pub(crate) fn is_throttled_at_times(&self) -> bool {
        let often = |one: &CpuQuota| {
            one.throttled.saturating_mul(100) >= one.periods.saturating_mul(THROTTLED_SOME_PERCENT)
        };
        self.cpu.as_ref().is_some_and(|one| one.throttled > 0 && often(one))
    }

    pub(crate) fn look_again(&mut self) {
        let Some(cpu) = &mut self.cpu else { return };
        let now = CpuQuota::read(&cpu.group);
        cpu.lately = now.map(|now| {
            (now.periods.saturating_sub(cpu.periods), now.throttled.saturating_sub(cpu.throttled))
        });
    }
}

// === impl CpuQuota, TaskLimit ===

impl CpuQuota {
    /// `None` without a quota.
    fn read(group: &Path) -> Option<Self> {
        let version_2 = || {
            let line = read_line(&group.join("cpu.max"))?;
            let first = words(line.as_bytes()).next().and_then(number);
            first.map(|_| ())
        };
        // Version 1 says "none" with -1, which is no number here.
        let version_1 = || number(read_line(&group.join("cpu.cfs_quota_us"))?.as_bytes()).map(|_| ());
        version_2().or_else(version_1)?;
        let stat = read(&group.join("cpu.stat"), FILE_BYTES_MAX)?;
        let count = |name: &[u8]| lines(&stat).find_map(|line| line.strip_prefix(name)).and_then(number);
        let (periods, throttled) = (count(b"nr_periods ")?, count(b"nr_throttled ")?);
        Some(Self { group: group.to_owned(), periods, throttled, lately: None })
    }

    /// In how many of the last periods its time was used up, in percent; `None` where it had nothing to do.
    pub fn throttled_percent(&self) -> Option<f64> {
        let (periods, throttled) = self.lately?;
        (periods > 0).then(|| (throttled as f64 * 1000.0 / periods as f64).round() / 10.0)
    }
}

impl TaskLimit {
    /// `None` without a limit.
    fn read(group: &Path) -> Option<Self> {
        let value = |name: &str| number(read_line(&group.join(name))?.as_bytes());
        let (now, most) = (value("pids.current")?, value("pids.max").filter(|most| *most > 0)?);
        Some(Self { of: format!("its control group {}", group.display()), now, most })
    }

    /// `None` without a limit of its user, and for root, whom nobody counts. Each process is looked at for that.
    fn of_user(roots: &Roots, pid: i32) -> Option<Self> {
        let uid = user_of(roots, pid)?.uid;
        let bytes = read(&roots.process(pid).join("limits"), FILE_BYTES_MAX)?;
        let line = lines(&bytes).find_map(|line| line.strip_prefix(b"Max processes"));
        let most = words(line?).next().and_then(number).filter(|most| *most > 0 && uid != 0)?;
        let is_own =
            |pid: &i32| std::fs::metadata(roots.process(*pid)).is_ok_and(|folder| folder.uid() == uid);
        let own = pids(roots)?.into_iter().filter(is_own);
        let now = own.filter_map(|pid| Stat::read(&roots.process(pid))?.threads).sum();
        Some(Self { of: format!("its user {uid}"), now, most })
    }

    fn share(&self) -> u64 {
        self.now.saturating_mul(1000) / self.most.max(1)
    }
}

/// The folders of the group of a controller and of those above it, as far as they can be seen; the root is nobody's.
fn folders(roots: &Roots, pid: i32, controller: &str) -> Vec<PathBuf> {
    let groups = groups(roots, pid).unwrap_or_default();
    let base = roots.sys.join("fs/cgroup");
    let version_1 = groups.iter().find(|(names, _)| names.split(',').any(|name| name == controller));
    let (places, path) = match (version_1, groups.iter().find(|(names, _)| names.is_empty())) {
        (Some((names, path)), _) => (vec![base.join(names), base.join(controller)], path),
        (None, Some((_, path))) => (vec![base.clone(), base.join("unified")], path),
        (None, None) => return Vec::new(),
    };
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if parts.contains(&"..") {
        return Vec::new();
    }
    let inside: PathBuf = parts.iter().collect();
    let Some(root) = places.into_iter().find(|root| root.join(&inside).is_dir()) else { return Vec::new() };
    root.join(&inside).ancestors().take(parts.len()).map(Path::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cgroup::tests::tree;

    #[test]
    fn the_tightest_group_counts_be_it_above() {
        let root = tempfile::tempdir().unwrap();
        let files = [
            ("a.slice/cpu.max", "50000 100000\n"),
            ("a.slice/cpu.stat", "usage_usec 9\nnr_periods 100\nnr_throttled 40\nthrottled_usec 5\n"),
            ("a.slice/x/cpu.max", "max 100000\n"),
            ("a.slice/x/cpu.stat", "nr_periods 0\nnr_throttled 0\n"),
            ("a.slice/pids.current", "95\n"),
            ("a.slice/pids.max", "100\n"),
            ("a.slice/x/pids.current", "9\n"),
            ("a.slice/x/pids.max", "max\n"),
        ];
        let roots = tree(root.path(), "0::/a.slice/x\n", &files);
        let mut quota = Quota::read(&roots, 9);
        assert_eq!(quota.tasks.as_ref().map(|one| (one.now, one.most)), Some((95, 100)));
        assert!(quota.is_throttled_at_times());
        assert_eq!(quota.cpu.as_ref().unwrap().throttled_percent(), None);
        let stat = "nr_periods 110\nnr_throttled 49\n";
        fs::write(roots.sys.join("fs/cgroup/a.slice/cpu.stat"), stat).unwrap();
        quota.look_again();
        assert_eq!(quota.cpu.as_ref().unwrap().throttled_percent(), Some(90.0));
    }

    #[test]
    fn version_1_and_none() {
        let root = tempfile::tempdir().unwrap();
        let files = [
            ("cpu,cpuacct/x/cpu.cfs_quota_us", "-1\n"),
            ("cpu,cpuacct/x/cpu.stat", "nr_periods 0\nnr_throttled 0\n"),
            ("pids/x/pids.current", "2\n"),
            ("pids/x/pids.max", "4\n"),
        ];
        let roots = tree(root.path(), "4:pids:/x\n3:cpu,cpuacct:/x\n0::/\n", &files);
        let quota = Quota::read(&roots, 9);
        assert_eq!((quota.cpu.clone(), quota.tasks.as_ref().map(|one| one.most)), (None, Some(4)));
        assert!(!quota.is_throttled_at_times());
        fs::write(roots.sys.join("fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us"), "10000\n").unwrap();
        assert_eq!(Quota::read(&roots, 9).cpu.map(|one| one.throttled), Some(0));
        assert_eq!(Quota::read(&roots, 10), Quota::default());
        assert!(folders(&tree(root.path(), "0::/../y\n", &[]), 9, "cpu").is_empty());
    }
}
