//! Owns taking the lock of the data directory: one `serve` at a time, and no wait for one that lives.

use std::path::Path;
use std::time::Duration;

use process::ProcessId;
use process::lock::{Lock, LockError};

/// How often, and after which pause, a lock is tried whose holder is dead: a child that it was just starting when it was
/// killed has its files until it becomes another program. Two seconds altogether.
const TRIES: u32 = 400;
const PAUSE: Duration = Duration::from_millis(5);

/// Takes the lock, or says who has it.
pub(crate) async fn take(path: &Path) -> Result<Lock, LockError> {
    for _ in 1..TRIES {
        match Lock::acquire(path) {
            Err(LockError::Held { pid, .. }) if !pid.is_some_and(is_alive) => tokio::time::sleep(PAUSE).await,
            result => return result,
        }
    }
    Lock::acquire(path)
}

fn is_alive(pid: i32) -> bool {
    ProcessId::of(pid).is_some_and(|process| process.is_alive())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use process::lock::{Lock, LockError};

    use super::take;

    /// No kernel gives a process such a number.
    const NOBODY: &str = "2147483647\n";

    #[tokio::test]
    async fn a_living_holder_is_not_waited_for_and_a_dead_one_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("serve.lock");
        let held = Lock::acquire(&path).unwrap();
        assert!(matches!(take(&path).await, Err(LockError::Held { .. })));

        // What a killed holder leaves: its name, and a child that has the file for another moment.
        fs::write(&path, NOBODY).unwrap();
        let (taken, ()) = tokio::join!(take(&path), async { drop(held) });
        taken.unwrap();
    }
}
