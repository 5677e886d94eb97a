//! Owns the control group that holds the memory of one server down, below the group of its guard; versions 1 and 2.
//!
//! A limit on the address space would be the wrong thing: runtimes reserve far more than they use. Version 2 gives a
//! group below to a process only where its own group passes memory on, which it does at the top of a container and
//! hardly anywhere else: elsewhere it is refused, with the reason.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::ProcessId;

/// The beginning of the names of our groups; the server and the guard follow.
const PREFIX: &str = "paramedic-";

/// A group of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryGroup {
    path: PathBuf,
    limit: &'static str,
}

/// Why there is no group.
#[derive(Debug, thiserror::Error)]
pub enum MemoryGroupError {
    /// The process is in none that accounts for memory, or in one that cannot be reached from here.
    #[error("no control group with memory of process {0} can be reached from here")]
    NotThere(i32),
    /// Its own group does not pass memory on.
    #[error("the control group `{}` does not pass memory on to groups below it", .0.display())]
    NotPassedOn(PathBuf),
    /// It cannot be made or set.
    #[error("the control group `{}` cannot be {what}", path.display())]
    Io {
        /// What was done.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

// === impl MemoryGroup ===

impl MemoryGroup {
    /// Where the group of a server is, by the process of its guard. Nothing is made yet.
    ///
    /// # Errors
    /// Where the guard's own group cannot have one below it.
    pub fn find(root: &Path, server: &str, guard: i32) -> Result<Self, MemoryGroupError> {
        let not_there = || MemoryGroupError::NotThere(guard);
        let membership = fs::read_to_string(root.join(format!("proc/{guard}/cgroup")));
        let membership = membership.map_err(|_| not_there())?;
        let parts = |line: &str| {
            let mut parts = line.splitn(3, ':').skip(1).map(str::to_owned);
            Some((parts.next()?, parts.next()?))
        };
        let groups: Vec<(String, String)> = membership.lines().filter_map(parts).collect();
        let base = root.join("sys/fs/cgroup");
        let below = |path: &str| path.trim_start_matches('/').to_owned();
        let version_1 = groups.iter().find(|(names, _)| names.split(',').any(|name| name == "memory"));
        let (folder, limit) = match version_1 {
            Some((names, path)) => {
                let mounted = [base.join(names), base.join("memory")];
                let folders = mounted.map(|mounted| mounted.join(below(path)));
                let found = folders.into_iter().find(|folder| folder.join("memory.limit_in_bytes").exists());
                (found.ok_or_else(not_there)?, "memory.limit_in_bytes")
            }
            None => {
                let (_, path) = groups.iter().find(|(names, _)| names.is_empty()).ok_or_else(not_there)?;
                let folder = base.join(below(path));
                let file = folder.join("cgroup.subtree_control");
                let passed_on = || {
                    let names = fs::read_to_string(&file).unwrap_or_default();
                    names.split_whitespace().any(|name| name == "memory")
                };
                // Refused where the group has processes of its own, which is the rule below the top.
                if !passed_on() && (fs::write(&file, "+memory").is_err() || !passed_on()) {
                    return Err(MemoryGroupError::NotPassedOn(folder));
                }
                (folder, "memory.max")
            }
        };
        Ok(Self { path: folder.join(format!("{PREFIX}{server}-{guard}")), limit })
    }

    /// Whether such a group can be made; one that is there already stays.
    ///
    /// # Errors
    /// Where it cannot.
    pub fn try_out(&self) -> Result<(), MemoryGroupError> {
        if self.path.is_dir() {
            return Ok(());
        }
        self.make()?;
        self.remove();
        Ok(())
    }

    /// Makes the group, if it is not there, and sets its limit in bytes.
    ///
    /// # Errors
    /// Where either is not possible.
    pub fn set(&self, limit_bytes: u64) -> Result<(), MemoryGroupError> {
        self.remove_left();
        self.make()?;
        fs::write(self.path.join(self.limit), limit_bytes.to_string())
            .map_err(|source| self.io("limited", source))
    }

    /// The file into which a process writes `0` to be in it.
    pub fn procs(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }

    /// Removes it. One that still has processes stays.
    pub fn remove(&self) {
        let _ = fs::remove_dir(&self.path);
    }

    fn make(&self) -> Result<(), MemoryGroupError> {
        match fs::create_dir(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(self.io("made", error)),
            _ => Ok(()),
        }
    }

    /// Removes what guards have left that were killed: their groups are empty, and named after them.
    fn remove_left(&self) {
        let Some(entries) = self.path.parent().and_then(|parent| fs::read_dir(parent).ok()) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let guard = name
                .to_str()
                .filter(|name| name.starts_with(PREFIX))
                .and_then(|name| name.rsplit_once('-')?.1.parse().ok());
            if guard.is_some_and(|guard| ProcessId::of(guard).is_none()) {
                let _ = fs::remove_dir(entry.path());
            }
        }
    }

    fn io(&self, what: &'static str, source: io::Error) -> MemoryGroupError {
        MemoryGroupError::Io { what, path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(membership: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/9")).unwrap();
        fs::write(root.path().join("proc/9/cgroup"), membership).unwrap();
        for (name, text) in files {
            let file = root.path().join("sys/fs/cgroup").join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        root
    }

    #[test]
    fn version_1() {
        let root = tree("4:memory:/a\n0::/\n", &[("memory/a/memory.limit_in_bytes", "9")]);
        let group = MemoryGroup::find(root.path(), "time", 9).unwrap();
        group.try_out().unwrap();
        assert!(!group.path.exists(), "tried out, it is gone again");
        group.set(512 << 20).unwrap();
        let folder = root.path().join("sys/fs/cgroup/memory/a/paramedic-time-9");
        assert_eq!(fs::read_to_string(folder.join("memory.limit_in_bytes")).unwrap(), "536870912");
        assert_eq!(group.procs(), folder.join("cgroup.procs"));
    }

    #[test]
    fn version_2_where_memory_is_passed_on_and_where_not() {
        let root = tree("0::/a\n", &[("a/cgroup.subtree_control", "cpu memory\n")]);
        let group = MemoryGroup::find(root.path(), "time", 9).unwrap();
        group.set(4096).unwrap();
        let folder = root.path().join("sys/fs/cgroup/a/paramedic-time-9");
        assert_eq!(fs::read_to_string(folder.join("memory.max")).unwrap(), "4096");

        let root = tree("0::/a\n", &[]);
        let error = MemoryGroup::find(root.path(), "time", 9).unwrap_err().to_string();
        assert!(error.ends_with("a` does not pass memory on to groups below it"), "{error}");
        let error = MemoryGroup::find(root.path(), "time", 10).unwrap_err().to_string();
        assert_eq!(error, "no control group with memory of process 10 can be reached from here");
    }
}
