//! Owns lock files: one holder at a time, named by its pid, released by the kernel when the holder ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

/// A pid and a line feed; whatever else stands in the file is not ours to read.
const CONTENT_BYTES_MAX: u64 = 32;

/// The time between two tries.
const RETRY: Duration = Duration::from_millis(20);

/// A held lock. Dropping it, or the end of the process, releases it; the file stays.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process has it.
    #[error("`{}` is held by {}", path.display(), holder(*pid))]
    Held {
        /// The lock file.
        path: PathBuf,
        /// The holder, unless it has not yet written its name.
        pid: Option<i32>,
    },
    /// The file cannot be opened, locked or written.
    #[error("cannot lock `{}`", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

// === impl Lock ===

impl Lock {
    /// Takes the lock of the file `path`, which is created with mode 0600 if need be. Never waits.
    ///
    /// # Errors
    /// [`LockError::Held`] when another process (or another holder in this one) has it.
    pub fn acquire(path: &Path) -> Result<Self, LockError> {
        let fail = |source| LockError::Io { path: path.to_owned(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(fail)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(LockError::Held { path: path.to_owned(), pid: read_pid(&mut file) });
            }
            Err(error) => return Err(fail(error.into())),
        }
        write_pid(&mut file).map_err(fail)?;
        Ok(Self { file })
    }

    /// As [`Lock::acquire`], and tries again for as long as `patience` while another has it. It blocks the thread.
    ///
    /// # Errors
    /// As [`Lock::acquire`]: [`LockError::Held`] names whoever has it at the last try.
    pub fn acquire_within(path: &Path, patience: Duration) -> Result<Self, LockError> {
        let began = Instant::now();
        loop {
            match Self::acquire(path) {
                Err(LockError::Held { .. }) if began.elapsed() < patience => thread::sleep(RETRY),
                answer => return answer,
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The name goes first: a reader never sees a holder that has let go. Failing changes nothing.
        let _ = self.file.set_len(0);
        // Closing alone would leave it to a child that is just being started, until that is another program.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    writeln!(file, "{}", std::process::id())
}

fn read_pid(file: &mut File) -> Option<i32> {
    let mut text = String::new();
    file.take(CONTENT_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn holder(pid: Option<i32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::{Lock, LockError};

    #[test]
    fn a_held_lock_names_its_holder_and_a_dropped_one_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("guard.lock");
        let lock = Lock::acquire(&path).unwrap();
        let error = Lock::acquire(&path).unwrap_err();
        let me = std::process::id();
        assert_eq!(error.to_string(), format!("`{}` is held by process {me}", path.display()));
        assert!(matches!(error, LockError::Held { pid: Some(pid), .. } if pid.unsigned_abs() == me));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        drop(lock);
        Lock::acquire(&path).unwrap();
    }

    #[test]
    fn the_patient_have_it_when_it_is_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("guard.lock");
        let lock = Lock::acquire(&path).unwrap();
        let error = Lock::acquire_within(&path, Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, LockError::Held { .. }), "{error}");
        std::thread::scope(|scope| {
            let patient = scope.spawn(|| Lock::acquire_within(&path, Duration::from_secs(60)));
            drop(lock);
            patient.join().unwrap().unwrap();
        });
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Lock::acquire(&folder.path().join("no/such.lock")).unwrap_err();
        assert!(matches!(error, LockError::Io { .. }), "{error}");
    }
}
