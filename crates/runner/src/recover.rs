//! Owns the answer to "what became of this unit?", whoever was killed meanwhile.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use process::ProcessId;
use rustix::fs::{FlockOperation, flock};

use crate::claim::{self, Claim, Claimant};
use crate::folder::{Folder, LOCK, RUNNER};
use crate::{Error, Outcome, leftovers};

/// How often, and after which pause, a runner is looked for that holds the lock and has not said who it is: between
/// the two it makes its claim durable, which a slow disk takes its time for. About ten seconds altogether.
const TRIES: u32 = 2_000;
const PAUSE: Duration = Duration::from_millis(5);

/// What became of a unit. All but `Running` are final: asked again, the answer is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// It ended, in this way.
    Finished(Outcome),
    /// This runner is at it: [`attach`](crate::attach) to it.
    Running(ProcessId),
    /// The statement never began, and never will in this folder.
    NeverStarted,
    /// Its runner was killed. The statement may have begun, and may have done anything; nothing of it runs now.
    Interrupted,
}

/// Finds out what became of the unit in `folder`. Ends what a killed runner left. Blocks, as a rule for less than a
/// millisecond.
///
/// # Errors
///
/// The folder cannot be read or written, or a process does not end that should.
pub fn recover(folder: &Path) -> Result<Recovery, Error> {
    let folder = Folder::at(folder)?;
    // Without a folder nothing was prepared. Created now, nothing will be.
    folder.create()?;
    for _ in 0..TRIES {
        if let Some(outcome) = Outcome::read(&folder)? {
            return Ok(Recovery::Finished(outcome));
        }
        if let Some(_lock) = hold_off(&folder)? {
            return settle(&folder);
        }
        // A runner has the lock. Or it was killed, and the shell that it was just starting still has its files.
        if let Some(runner) = folder.read::<ProcessId>(RUNNER)?.filter(ProcessId::is_alive) {
            return Ok(Recovery::Running(runner));
        }
        thread::sleep(PAUSE);
    }
    Err(Error::Unsettled { folder: folder.path().to_owned() })
}

/// Decides about a unit that no runner is at.
fn settle(folder: &Folder) -> Result<Recovery, Error> {
    // The runner may have ended since we looked.
    if let Some(outcome) = Outcome::read(folder)? {
        return Ok(Recovery::Finished(outcome));
    }
    match claim::take(folder, Claimant::Engine)? {
        Claim::Won | Claim::Lost(Claimant::Engine) => Ok(Recovery::NeverStarted),
        Claim::Lost(Claimant::Runner) => {
            leftovers::end(folder)?;
            Ok(Recovery::Interrupted)
        }
    }
}

/// Keeps runners from starting as long as the file is open; `None` if one is there. Shared, so that two engines that
/// ask at the same time do not take each other for a runner.
fn hold_off(folder: &Folder) -> Result<Option<File>, Error> {
    let failed = |source| folder.failed("lock", LOCK, source);
    let file =
        OpenOptions::new().append(true).create(true).mode(0o600).open(folder.file(LOCK)).map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(failed(error.into())),
    }
}
