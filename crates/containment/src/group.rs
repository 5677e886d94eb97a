//! Owns the control group of version 2 in which a server is held: a folder below the group that the server has, into which
//! its processes are moved. Below that of its unit, so that systemd goes on to know whose they are.
//!
//! What is in it can be stopped as a whole (`cgroup.freeze`), also what it starts meanwhile; and the packet filter knows
//! which connections are made in it.

use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use process::ProcessId;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use crate::filter::GroupMatch;

/// The beginning of the name of our groups; the server follows.
const PREFIX: &str = "paramedic-contained-";
/// Where version 2 is mounted: alone, or beside version 1.
const MOUNTS: [&str; 2] = ["sys/fs/cgroup", "sys/fs/cgroup/unified"];
/// How often the tree is looked at for what was started while it was moved.
const ROUNDS_MAX: u32 = 20;
/// A process in the kernel stops when it comes out of it.
const FREEZE_MAX: Duration = Duration::from_secs(3);

/// The group of one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its folder.
    pub path: PathBuf,
}

/// Why it is not so.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The process is gone, or in none.
    #[error("process {0} is in no control group of version 2 that can be reached from here")]
    NotThere(i32),
    /// Something cannot be done.
    #[error("the control group `{}` cannot be {what}", path.display())]
    Io {
        /// What.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not all stops.
    #[error("not everything in the control group `{}` stopped within {FREEZE_MAX:?}", .0.display())]
    Late(PathBuf),
    /// Processes cannot be stopped one by one.
    #[error("process {pid} cannot be {what}")]
    Signal {
        /// Which.
        pid: i32,
        /// What.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

// === impl Group ===

impl Group {
    /// Where the group of a server is, by one of its processes. Nothing is made yet. `root` is `/`, but for tests.
    ///
    /// # Errors
    /// Where that process is in no group of version 2.
    pub fn find(root: &Path, server: &str, pid: i32) -> Result<Self, GroupError> {
        let not_there = || GroupError::NotThere(pid);
        let own = own_group(root, pid).ok_or_else(not_there)?;
        let name = format!("{PREFIX}{server}");
        // It may be in ours already.
        let path = if own.ends_with(&name) { own } else { own.join(name) };
        Ok(Self { path })
    }

    /// Moves the tree below and with `pid` into it, with what it starts meanwhile. Returns how many were moved.
    ///
    /// # Errors
    /// Where it cannot be made, or somebody not be moved.
    pub fn take(&self, root: &Path, pid: ProcessId) -> Result<usize, GroupError> {
        match fs::create_dir(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(self.io("made", error)),
            _ => {}
        }
        let (inside, mut n_moved) = (self.path.join("cgroup.procs"), 0);
        for _ in 0..ROUNDS_MAX {
            let here = self.processes();
            let tree = process::descendants(&root.join("proc"), pid.pid).into_iter().chain([pid]);
            let outside: Vec<i32> = tree.map(|one| one.pid).filter(|pid| !here.contains(pid)).collect();
            if outside.is_empty() {
                return Ok(n_moved);
            }
            for pid in outside {
                match fs::write(&inside, pid.to_string()) {
                    Ok(()) => n_moved += 1,
                    // It has ended.
                    Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {}
                    Err(error) => return Err(self.io("entered", error)),
                }
            }
        }
        Ok(n_moved)
    }

    /// Whether a process and all below it are in it.
    pub fn has(&self, root: &Path, pid: ProcessId) -> bool {
        let here = self.processes();
        let mut tree = process::descendants(&root.join("proc"), pid.pid).into_iter().chain([pid]);
        tree.all(|one| here.contains(&one.pid))
    }

    /// Who is in it.
    pub fn processes(&self) -> Vec<i32> {
        let text = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// As the packet filter knows it.
    ///
    /// # Errors
    /// Where it is not there.
    pub fn matched(&self, root: &Path) -> Result<GroupMatch, GroupError> {
        let id = fs::metadata(&self.path).map_err(|error| self.io("looked at", error))?.ino();
        let below = mount(root).and_then(|mount| self.path.strip_prefix(mount).ok().map(Path::to_owned));
        let level = below.map_or(1, |below| below.components().count());
        Ok(GroupMatch { id, level: u32::try_from(level).unwrap_or(1) })
    }

    /// Stops everything in it, and waits until it has.
    ///
    /// # Errors
    /// Where it cannot, or not all stops in time; then it goes on.
    pub fn freeze(&self) -> Result<(), GroupError> {
        let write = |text| fs::write(self.path.join("cgroup.freeze"), text);
        write("1").map_err(|error| self.io("stopped", error))?;
        let events = fs::File::open(self.path.join("cgroup.events"));
        let events = events.map_err(|error| self.io("watched", error))?;
        let until = Instant::now() + FREEZE_MAX;
        while !self.is_frozen() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                write("0").map_err(|error| self.io("let go on", error))?;
                return Err(GroupError::Late(self.path.clone()));
            }
            // The kernel tells of each change; whether it has told of one before this look nobody knows.
            let slice = left.min(Duration::from_millis(100));
            let within = Timespec { tv_sec: 0, tv_nsec: i64::from(slice.subsec_nanos()) };
            let _ = poll(&mut [PollFd::new(&events.as_fd(), PollFlags::PRI)], Some(&within));
        }
        Ok(())
    }

    /// Whether everything in it has stopped.
    pub fn is_frozen(&self) -> bool {
        let text = fs::read_to_string(self.path.join("cgroup.events")).unwrap_or_default();
        text.lines().any(|line| line == "frozen 1")
    }

    /// Whether it is to be stopped.
    pub fn is_to_be_frozen(&self) -> bool {
        fs::read_to_string(self.path.join("cgroup.freeze")).is_ok_and(|text| text.trim() == "1")
    }

    /// Lets everything in it go on.
    ///
    /// # Errors
    /// Where that is not possible.
    pub fn thaw(&self) -> Result<(), GroupError> {
        match fs::write(self.path.join("cgroup.freeze"), "0") {
            // It ended with its unit.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result.map_err(|error| self.io("let go on", error)),
        }
    }

    /// Moves everybody back to the group above, and takes it away.
    ///
    /// # Errors
    /// Where somebody cannot be moved, or it stays.
    pub fn give_back(&self) -> Result<(), GroupError> {
        let above = self.path.parent().unwrap_or(&self.path).join("cgroup.procs");
        for _ in 0..ROUNDS_MAX {
            for pid in self.processes() {
                match fs::write(&above, pid.to_string()) {
                    Err(error) if error.raw_os_error() != Some(rustix::io::Errno::SRCH.raw_os_error()) => {
                        return Err(self.io("left", error));
                    }
                    _ => {}
                }
            }
            match fs::remove_dir(&self.path) {
                // Somebody was started meanwhile.
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                result => return result.map_err(|error| self.io("taken away", error)),
            }
        }
        Err(self.io("taken away", io::ErrorKind::ResourceBusy.into()))
    }

    fn io(&self, what: &'static str, source: io::Error) -> GroupError {
        GroupError::Io { what, path: self.path.clone(), source }
    }
}

/// The folder of the group that a process is in.
fn own_group(root: &Path, pid: i32) -> Option<PathBuf> {
    let text = fs::read_to_string(root.join(format!("proc/{pid}/cgroup"))).ok()?;
    let own = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    // What is above the top of our own view cannot be reached.
    if !own.starts_with('/') || own.split('/').any(|part| part == "..") {
        return None;
    }
    let folder = mount(root)?.join(own.trim_start_matches('/'));
    folder.is_dir().then_some(folder)
}

/// Where version 2 is.
fn mount(root: &Path) -> Option<PathBuf> {
    MOUNTS.iter().map(|mount| root.join(mount)).find(|mount| mount.join("cgroup.controllers").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(membership: &str, mount: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/9")).unwrap();
        fs::write(root.path().join("proc/9/cgroup"), membership).unwrap();
        let folder = root.path().join(mount).join("system.slice/notes.service");
        fs::create_dir_all(folder).unwrap();
        fs::write(root.path().join(mount).join("cgroup.controllers"), "cpu\n").unwrap();
        root
    }

    #[test]
    fn where_it_is() {
        for mount in MOUNTS {
            let root = tree("4:memory:/a\n0::/system.slice/notes.service\n", mount);
            let group = Group::find(root.path(), "notes", 9).unwrap();
            let path = root.path().join(mount).join("system.slice/notes.service/paramedic-contained-notes");
            assert_eq!(group.path, path);
            fs::create_dir(&path).unwrap();
            assert_eq!(group.matched(root.path()).unwrap().level, 3);
            // Whoever is in it already stays there.
            let inside = "0::/system.slice/notes.service/paramedic-contained-notes\n";
            fs::write(root.path().join("proc/9/cgroup"), inside).unwrap();
            assert_eq!(Group::find(root.path(), "notes", 9).unwrap(), group);
        }
        for wrong in ["", "4:memory:/a\n", "0::/../elsewhere\n", "0::/gone.slice\n"] {
            let root = tree(wrong, MOUNTS[0]);
            assert!(
                matches!(Group::find(root.path(), "notes", 9), Err(GroupError::NotThere(9))),
                "{wrong:?}"
            );
        }
    }
}
