//! Owns that the processes of a server are held: stopped and kept as they are, or only kept from the network; by their
//! control group, and where there is none one by one.

use std::path::Path;

use process::{Delivery, ProcessId, Signal, send};
use serde::{Deserialize, Serialize};

use crate::group::{Group, GroupError};

/// How often the tree is looked at for what was started while it was being stopped.
const ROUNDS_MAX: u32 = 20;

/// What is done to the processes of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
pub enum Hold {
    /// They are in a control group of their own.
    Group {
        /// Which.
        group: Group,
        /// Whether they are stopped as well.
        frozen: bool,
    },
    /// They were stopped one by one (SIGSTOP).
    Signals {
        /// Whom.
        processes: Vec<ProcessId>,
    },
}

// === impl Hold ===

impl Hold {
    /// How the tree of `pid` can be held: by a group of its own, which is not made yet, or process by process, which
    /// keeps nobody from the network. Where it is not to stop, it is held by a group or not at all.
    ///
    /// # Errors
    /// Where it is not to stop, and there is no group.
    pub fn plan(root: &Path, server: &str, pid: ProcessId, frozen: bool) -> Result<Self, GroupError> {
        match Group::find(root, server, pid.pid) {
            Ok(group) => Ok(Self::Group { group, frozen }),
            Err(_) if frozen => {
                // Whoever was stopped by somebody else before stays so afterwards.
                let tree = [pid].into_iter().chain(process::descendants(&root.join("proc"), pid.pid));
                Ok(Self::Signals { processes: tree.filter(|one| !one.is_stopped()).collect() })
            }
            Err(error) => Err(error),
        }
    }

    /// Puts the tree of `pid` into its group, if that is how it is held; nothing stops yet.
    ///
    /// # Errors
    /// Where the group cannot be made or entered; then it is as it was.
    pub fn enter(&self, root: &Path, pid: ProcessId) -> Result<(), GroupError> {
        let Self::Group { group, .. } = self else { return Ok(()) };
        let was_there = group.path.is_dir();
        group.take(root, pid).map(drop).inspect_err(|_| {
            if !was_there {
                // The first failure is the one to tell of.
                let _ = group.give_back();
            }
        })
    }

    /// Stops what is to stop, parents before their children.
    ///
    /// # Errors
    /// Where one cannot be stopped; then all go on.
    pub fn freeze(&self, root: &Path) -> Result<(), GroupError> {
        let processes = match self {
            Self::Group { group, frozen: true } => return group.freeze(),
            Self::Group { .. } => return Ok(()),
            Self::Signals { processes } => processes,
        };
        let mut wanted = processes.clone();
        for _ in 0..ROUNDS_MAX {
            for one in &wanted {
                if let Err(source) = send(*one, Signal::STOP) {
                    let _ = self.end();
                    return Err(GroupError::Signal { pid: one.pid, what: "stopped", source });
                }
            }
            // What they have started meanwhile.
            wanted = below(root, processes).into_iter().filter(|one| !one.is_stopped()).collect();
            if wanted.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Lets them go on, and be where they were. Says what is another than it was left.
    ///
    /// # Errors
    /// Where that is not possible.
    pub fn end(&self) -> Result<Vec<String>, GroupError> {
        let mut told = Vec::new();
        match self {
            Self::Group { group, frozen } => {
                if !group.path.is_dir() {
                    told.push(format!("the control group `{}` is gone already", group.path.display()));
                    return Ok(told);
                }
                if *frozen && !group.is_to_be_frozen() {
                    told.push("somebody else has let the processes go on before".to_owned());
                }
                group.thaw()?;
                group.give_back()?;
            }
            Self::Signals { processes } => {
                let here = below(Path::new("/"), processes);
                for one in here.into_iter().filter(ProcessId::is_stopped) {
                    if let Err(source) = send(one, Signal::CONT) {
                        return Err(GroupError::Signal { pid: one.pid, what: "let go on", source });
                    }
                }
                for one in processes {
                    let was_stopped = one.is_stopped();
                    match send(*one, Signal::CONT) {
                        Ok(Delivery::Delivered) if was_stopped => {}
                        Ok(Delivery::Delivered) => {
                            told.push(format!("process {} was going on already", one.pid));
                        }
                        Ok(Delivery::Gone) => told.push(format!("process {} has ended meanwhile", one.pid)),
                        Err(source) => {
                            return Err(GroupError::Signal { pid: one.pid, what: "let go on", source });
                        }
                    }
                }
            }
        }
        Ok(told)
    }

    /// Whether they are stopped.
    pub fn is_frozen(&self) -> bool {
        match self {
            Self::Group { frozen, .. } => *frozen,
            Self::Signals { .. } => true,
        }
    }
}

/// What was started by these, and is none of them.
fn below(root: &Path, processes: &[ProcessId]) -> Vec<ProcessId> {
    let tree = processes.iter().flat_map(|one| process::descendants(&root.join("proc"), one.pid));
    tree.filter(|one| !processes.contains(one)).collect()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn one_by_one_and_back() {
        let mut child =
            Command::new("sh").args(["-c", "sleep 60 & wait"]).stdout(Stdio::null()).spawn().unwrap();
        let pid = ProcessId::of(i32::try_from(child.id()).unwrap()).unwrap();
        while process::descendants(Path::new("/proc"), pid.pid).is_empty() {
            std::thread::yield_now();
        }
        // A root without control groups.
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/proc", root.path().join("proc")).unwrap();
        let hold = Hold::plan(root.path(), "notes", pid, true).unwrap();
        let Hold::Signals { processes } = &hold else { panic!("{hold:?}") };
        assert_eq!(processes.len(), 2, "{processes:?}");
        assert!(
            Hold::plan(root.path(), "notes", pid, false).is_err(),
            "signals keep nobody from the network"
        );
        hold.freeze(Path::new("/")).unwrap();
        while !processes.iter().all(ProcessId::is_stopped) {
            std::thread::yield_now();
        }
        assert_eq!(hold.end().unwrap(), Vec::<String>::new());
        assert!(processes.iter().all(|one| one.is_alive()));
        let again = hold.end().unwrap();
        assert_eq!(again.len(), 2, "they were going on: {again:?}");
        process::kill_descendants(pid.pid);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(hold.end().unwrap().iter().all(|told| told.contains("has ended")));
    }
}
