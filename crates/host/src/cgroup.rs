//! Owns the control group of a process, version 2 and 1: its path, its memory and the limit on that.

use std::path::PathBuf;

use serde::Serialize;

use crate::roots::{FILE_BYTES_MAX, Roots, read, read_line};
use crate::text::{lines, lossy, number, split_once};

/// Version 1 says "no limit" with the largest number of whole pages; nobody limits to an exbibyte.
const UNLIMITED_BYTES: u64 = 1 << 60;

/// What the control group of a process may use, as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CgroupMemory {
    /// Its path below the root of the hierarchy.
    pub path: String,
    /// In use now, cached files included.
    pub used_bytes: Option<u64>,
    /// The limit of this group itself; `None` when it has none or does not say.
    pub limit_bytes: Option<u64>,
    /// The smallest limit of this group and those above it, as far as they can be seen.
    pub limit_above_bytes: Option<u64>,
    /// Files in use that can be given back at once.
    pub inactive_file_bytes: Option<u64>,
    /// How often one of its processes was killed at the limit.
    pub oom_kills: Option<u64>,
}

/// The files of one version of the interface.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    used: &'static str,
    limit: &'static str,
    events: &'static str,
}

static VERSION_1: Files =
    Files { used: "memory.usage_in_bytes", limit: "memory.limit_in_bytes", events: "memory.oom_control" };
static VERSION_2: Files = Files { used: "memory.current", limit: "memory.max", events: "memory.events" };

/// Where the control group is that accounts for the memory of a process: it can be read when the process is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupPlace {
    folder: PathBuf,
    files: &'static Files,
    path: String,
}

// === impl CgroupPlace ===

impl CgroupPlace {
    /// `None` when the process is gone or memory is not accounted for.
    pub fn of(roots: &Roots, pid: i32) -> Option<Self> {
        let groups = groups(roots, pid)?;
        let base = roots.sys.join("fs/cgroup");
        let version_1 =
            groups.iter().find(|(controllers, _)| controllers.split(',').any(|name| name == "memory"));
        let (folders, files, path) = match version_1 {
            Some((controllers, path)) => {
                (vec![base.join(controllers), base.join("memory")], &VERSION_1, path)
            }
            None => {
                let (_, path) = groups.iter().find(|(controllers, _)| controllers.is_empty())?;
                (vec![base.clone(), base.join("unified")], &VERSION_2, path)
            }
        };
        // A group outside of this process's cgroup namespace is shown with `..` and cannot be reached.
        let inside = path.trim_start_matches('/');
        if inside.split('/').any(|part| part == "..") {
            return None;
        }
        let folder =
            folders.into_iter().map(|root| root.join(inside)).find(|at| at.join(files.used).exists())?;
        Some(Self { folder, files, path: path.clone() })
    }

    /// What the group says now.
    pub fn memory(&self) -> CgroupMemory {
        let Self { folder, files, path } = self;
        let value = |name| number(read_line(&folder.join(name))?.as_bytes());
        let events = read(&folder.join(files.events), FILE_BYTES_MAX);
        let kills =
            |bytes: Vec<u8>| lines(&bytes).find_map(|line| line.strip_prefix(b"oom_kill ")).and_then(number);
        let inside = path.trim_matches('/').split('/').filter(|part| !part.is_empty()).count();
        let limits = folder
            .ancestors()
            .take(inside + 1)
            .filter_map(|at| number(read_line(&at.join(files.limit))?.as_bytes()));
        let stat = read(&folder.join("memory.stat"), FILE_BYTES_MAX);
        let inactive = |bytes: Vec<u8>| {
            // Version 1 counts itself without what is below it under the plain name.
            [b"total_inactive_file ".as_slice(), b"inactive_file "]
                .iter()
                .find_map(|name| lines(&bytes).find_map(|line| line.strip_prefix(*name)).and_then(number))
        };
        CgroupMemory {
            limit_above_bytes: limits.filter(|limit| *limit < UNLIMITED_BYTES).min(),
            inactive_file_bytes: stat.and_then(inactive),
            path: path.clone(),
            used_bytes: value(files.used),
            limit_bytes: value(files.limit).filter(|limit| *limit < UNLIMITED_BYTES),
            oom_kills: events.and_then(kills),
        }
    }

    /// The processes in the group itself; `None` where it cannot be read.
    pub fn processes(&self) -> Option<Vec<i32>> {
        let bytes = read(&self.folder.join("cgroup.procs"), FILE_BYTES_MAX)?;
        Some(lines(&bytes).filter_map(number).filter_map(|pid| i32::try_from(pid).ok()).collect())
    }
}

// === impl CgroupMemory ===

impl CgroupMemory {
    /// What is in use and cannot be given back at once, of what it may, in percent.
    pub fn used_percent(&self) -> Option<f64> {
        let used = self.used_bytes?.saturating_sub(self.inactive_file_bytes.unwrap_or(0));
        let limit = self.limit_above_bytes.filter(|limit| *limit > 0)?;
        Some((used as f64 * 1000.0 / limit as f64).round() / 10.0)
    }

    /// `None` when the process is gone or memory is not accounted for.
    pub(crate) fn read(roots: &Roots, pid: i32) -> Option<Self> {
        CgroupPlace::of(roots, pid).map(|place| place.memory())
    }
}

/// The path of the group that names the service of a process. On a machine that has both versions, everything
/// may be in the root of version 2, and the tree that systemd keeps in version 1 tells more.
pub(crate) fn path(roots: &Roots, pid: i32) -> Option<String> {
    let groups = groups(roots, pid)?;
    let of =
        |controllers: &str| groups.iter().find(|(name, _)| name == controllers).map(|(_, path)| path.clone());
    let version_2 = of("");
    version_2.clone().filter(|path| path != "/").or_else(|| of("name=systemd")).or(version_2)
}

/// A line is `HIERARCHY:CONTROLLERS:PATH`; version 2 names no controllers.
pub(crate) fn groups(roots: &Roots, pid: i32) -> Option<Vec<(String, String)>> {
    let bytes = read(&roots.process(pid).join("cgroup"), FILE_BYTES_MAX)?;
    let parse = |line| {
        let (_, rest) = split_once(line, b':')?;
        split_once(rest, b':').map(|(controllers, path)| (lossy(controllers), lossy(path)))
    };
    Some(lines(&bytes).filter_map(parse).collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;
    use std::path::Path;

    use super::{CgroupMemory, CgroupPlace, path};
    use crate::Roots;

    /// A machine below `root` whose process 9 is in these groups, with these files of theirs.
    pub(crate) fn tree(root: &Path, membership: &str, files: &[(&str, &str)]) -> Roots {
        let roots = Roots::below(root);
        fs::create_dir_all(roots.process(9)).unwrap();
        fs::write(roots.process(9).join("cgroup"), membership).unwrap();
        for (name, text) in files {
            let file = roots.sys.join("fs/cgroup").join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        roots
    }

    #[test]
    fn version_2() {
        let root = tempfile::tempdir().unwrap();
        let files = [
            ("a.slice/x/memory.current", "4096\n"),
            ("a.slice/x/memory.max", "max\n"),
            ("a.slice/x/memory.events", "low 0\noom 2\noom_kill 1\n"),
        ];
        let roots = tree(root.path(), "0::/a.slice/x\n", &files);
        let memory = CgroupMemory::read(&roots, 9).unwrap();
        assert_eq!((memory.used_bytes, memory.limit_bytes, memory.oom_kills), (Some(4096), None, Some(1)));
        assert_eq!(path(&roots, 9).as_deref(), Some("/a.slice/x"));
        fs::write(roots.sys.join("fs/cgroup/a.slice/x/memory.max"), "8192\n").unwrap();
        assert_eq!(CgroupMemory::read(&roots, 9).unwrap().limit_bytes, Some(8192));
        // The limit above counts where it is smaller, and files that can be given back do not.
        fs::write(roots.sys.join("fs/cgroup/a.slice/memory.max"), "6144\n").unwrap();
        fs::write(roots.sys.join("fs/cgroup/a.slice/x/memory.stat"), "anon 1\ninactive_file 1024\n").unwrap();
        let memory = CgroupMemory::read(&roots, 9).unwrap();
        assert_eq!((memory.limit_above_bytes, memory.used_percent()), (Some(6144), Some(50.0)));
    }

    #[test]
    fn version_1_beside_an_empty_version_2() {
        let root = tempfile::tempdir().unwrap();
        let files = [
            ("memory/x/memory.usage_in_bytes", "4096\n"),
            ("memory/x/memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        let membership = "9:name=systemd:/system.slice/x.service\n4:memory:/x\n0::/\n";
        let roots = tree(root.path(), membership, &files);
        let memory = CgroupMemory::read(&roots, 9).unwrap();
        assert_eq!((memory.used_bytes, memory.limit_bytes, memory.oom_kills), (Some(4096), None, None));
        assert_eq!(path(&roots, 9).as_deref(), Some("/system.slice/x.service"));
    }

    #[test]
    fn a_group_can_be_read_when_its_process_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let kills = |count: u32| format!("oom_kill_disable 0\nunder_oom 0\noom_kill {count}\n");
        let files = [
            ("memory/x/memory.usage_in_bytes", "1\n"),
            ("memory/x/memory.oom_control", &kills(0)),
            ("memory/x/cgroup.procs", "9\n12\n"),
        ];
        let roots = tree(root.path(), "4:memory:/x\n0::/\n", &files);
        let place = CgroupPlace::of(&roots, 9).unwrap();
        assert_eq!((place.memory().oom_kills, place.processes()), (Some(0), Some(vec![9, 12])));
        fs::remove_dir_all(roots.process(9)).unwrap();
        fs::write(roots.sys.join("fs/cgroup/memory/x/memory.oom_control"), kills(2)).unwrap();
        fs::write(roots.sys.join("fs/cgroup/memory/x/cgroup.procs"), "").unwrap();
        assert_eq!((place.memory().oom_kills, place.processes()), (Some(2), Some(Vec::new())));
        assert_eq!(CgroupPlace::of(&roots, 9), None);
    }

    #[test]
    fn a_group_that_cannot_be_reached() {
        let root = tempfile::tempdir().unwrap();
        let roots = tree(root.path(), "0::/../other\nodd\n", &[("other/memory.current", "1\n")]);
        assert_eq!(CgroupMemory::read(&roots, 9), None);
        assert_eq!(CgroupMemory::read(&roots, 10), None);
        assert_eq!(path(&roots, 10), None);
    }
}
