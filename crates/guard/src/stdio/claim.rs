//! Owns the name of a client's guard: one name, one guard, for as long as it lives.
//!
//! Clients start servers as they like, and several of one kind. The first has the name itself, the next `NAME-2`, and so
//! on; whoever comes back takes the first that is free. A lock beside the socket says which are taken.

use std::path::Path;

use process::control::lock_path;
use process::{Lock, LockError};

use crate::control::Socket;

/// More servers of one kind at once are hardly meant.
const NAMES_MAX: u32 = 256;
/// The longest path of a local socket, in bytes (`sun_path` of unix(7), less its end).
const SOCKET_BYTES_MAX: usize = 107;

/// A name that is taken, and the socket that belongs to it.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) name: String,
    /// None where it cannot be made: that is no reason to serve nobody.
    pub(crate) socket: Option<Socket>,
    _lock: Option<Lock>,
}

// === impl Claim ===

impl Claim {
    /// Takes the first name of this kind that is free in `folder` and not `reserved`. Without a folder that can be
    /// written to, the name itself is taken, and nobody can see the guard.
    pub(crate) fn take(folder: &Path, kind: &str, reserved: &[String]) -> Self {
        for number in 1..=NAMES_MAX {
            let name = if number == 1 { kind.to_owned() } else { format!("{kind}-{number}") };
            if reserved.contains(&name) {
                continue;
            }
            let path = folder.join(format!("{name}.sock"));
            match Lock::acquire(&lock_path(&path)) {
                Ok(lock) => {
                    let socket = bind(&path);
                    return Self { name, socket, _lock: Some(lock) };
                }
                Err(LockError::Held { .. }) => {}
                Err(error) => {
                    let source = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, source, "nobody can ask this guard how its server is");
                    return Self { name, socket: None, _lock: None };
                }
            }
        }
        tracing::warn!(kind, "no name is free: nobody can ask this guard how its server is");
        Self { name: kind.to_owned(), socket: None, _lock: None }
    }
}

fn bind(path: &Path) -> Option<Socket> {
    // While it is made, it has `.new` behind its name.
    if path.as_os_str().len() + ".new".len() > SOCKET_BYTES_MAX {
        tracing::warn!(path = %path.display(), "the path is too long for a socket: nobody can ask this guard how its server is");
        return None;
    }
    let failed =
        |error| tracing::warn!(%error, path = %path.display(), "nobody can ask this guard how its server is");
    Socket::bind(path).map_err(failed).ok()
}

#[cfg(test)]
mod tests {
    use super::Claim;

    #[test]
    fn each_guard_has_a_name_of_its_own_and_the_first_free_one() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        let reserved = ["fs-2".to_owned()];
        let take = || Claim::take(folder.path(), "fs", &reserved);
        let (first, second) = (take(), take());
        assert_eq!((first.name.as_str(), second.name.as_str()), ("fs", "fs-3"));
        assert!(folder.path().join("fs.sock").exists());
        drop(first);
        assert!(!folder.path().join("fs.sock").exists());
        assert_eq!(take().name, "fs");
        let nowhere = Claim::take(&folder.path().join("no"), "fs", &[]);
        assert!(nowhere.name == "fs" && nowhere.socket.is_none());
    }
}
