//! Owns trying what a user may do with a path: the kernel itself is asked, by a thread that has become that user.

use std::path::{Path, PathBuf};
use std::thread;

use rustix::fs::{Access, CWD, accessat};
use rustix::io::Errno;
use rustix::process::{getgid, getgroups, getuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use serde::Serialize;

use crate::tasks::User;

/// What is needed of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// To read a file, or to list a folder and go into it.
    Read,
    /// To write to it.
    Write,
    /// To run it.
    Execute,
}

/// A path of which something is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Needed {
    /// The path.
    pub path: PathBuf,
    /// What is needed.
    pub need: Need,
}

/// What is not permitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Denied {
    /// The path that is needed.
    pub path: PathBuf,
    /// What is needed of it.
    pub need: Need,
    /// The first part of the path that keeps the user out; the path itself where the way there is open.
    pub at: PathBuf,
}

// === impl Need ===

impl Need {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Execute => "execute",
        }
    }

    fn access(self, path: &Path) -> Access {
        match self {
            Self::Read if path.is_dir() => Access::READ_OK | Access::EXEC_OK,
            Self::Read => Access::READ_OK,
            Self::Write if path.is_dir() => Access::WRITE_OK | Access::EXEC_OK,
            Self::Write => Access::WRITE_OK,
            Self::Execute => Access::EXEC_OK,
        }
    }
}

/// Tries all of these as `user`; `None` where we may not become that user. What is not there is not denied.
///
/// A path on a mount that hangs keeps the thread, so the caller names paths of local file systems only.
pub fn denied(user: &User, needed: &[Needed]) -> Option<Vec<Denied>> {
    // A thread has credentials of its own, for the kernel: nobody else in this process becomes somebody else.
    thread::scope(|scope| scope.spawn(|| try_as(user, needed)).join().ok().flatten())
}

fn try_as(user: &User, needed: &[Needed]) -> Option<Vec<Denied>> {
    let wanted: Vec<(&Needed, Access)> = needed.iter().map(|one| (one, one.need.access(&one.path))).collect();
    become_user(user)?;
    let denied = wanted.into_iter().filter_map(|(one, access)| {
        let way_in = |part: &&Path| part.parent().is_some() && is_denied(part, Access::EXEC_OK);
        let mut folders: Vec<&Path> = one.path.ancestors().skip(1).collect();
        folders.reverse();
        let at = folders.into_iter().find(way_in);
        let at = at.or_else(|| is_denied(&one.path, access).then_some(one.path.as_path()))?;
        Some(Denied { path: one.path.clone(), need: one.need, at: at.to_owned() })
    });
    Some(denied.collect())
}

/// A read-only file system denies writing too, and that is another trouble.
fn is_denied(path: &Path, access: Access) -> bool {
    accessat(CWD, path, access, rustix::fs::AtFlags::empty()) == Err(Errno::ACCESS)
}

fn become_user(user: &User) -> Option<()> {
    let (uid, gid) = (rustix::process::Uid::from_raw(user.uid), rustix::process::Gid::from_raw(user.gid));
    if (getuid(), getgid()) == (uid, gid) && !getuid().is_root() {
        return Some(());
    }
    let groups: Vec<_> = user.groups.iter().map(|group| rustix::process::Gid::from_raw(*group)).collect();
    let same_groups = getgroups().is_ok_and(|own| own == groups);
    if !same_groups {
        set_thread_groups(&groups).ok()?;
    }
    set_thread_res_gid(gid, gid, gid).ok()?;
    set_thread_res_uid(uid, uid, uid).ok()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_user_and_not_we_are_asked() {
        if !getuid().is_root() {
            eprintln!("SKIPPED: becoming another user takes root");
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        mode(root.path(), 0o755);
        let (open, closed) = (root.path().join("open"), root.path().join("closed"));
        for folder in [&open, &closed] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("file"), "x").unwrap();
        }
        mode(&closed, 0o700);
        mode(&open.join("file"), 0o644);
        let user = User { uid: 65_534, gid: 65_534, groups: vec![65_534] };
        let check = |path: PathBuf, need, expect: Option<&Path>| {
            let found = denied(&user, &[Needed { path: path.clone(), need }]).unwrap();
            assert_eq!(
                found.first().map(|denied| denied.at.as_path()),
                expect,
                "{} {need:?}",
                path.display()
            );
        };
        check(open.join("file"), Need::Read, None);
        check(open.join("file"), Need::Write, Some(&open.join("file")));
        check(open.join("file"), Need::Execute, Some(&open.join("file")));
        check(open.clone(), Need::Write, Some(&open));
        check(closed.join("file"), Need::Read, Some(&closed));
        check(closed.clone(), Need::Read, Some(&closed));
        check(open.join("nothing"), Need::Read, None);
        // We ourselves are who we were.
        assert!(getuid().is_root() && fs::read(closed.join("file")).is_ok());
        let root_user = User { uid: 0, gid: 0, groups: Vec::new() };
        let needed = Needed { path: closed, need: Need::Write };
        assert_eq!(denied(&root_user, &[needed]), Some(Vec::new()));
    }
}
