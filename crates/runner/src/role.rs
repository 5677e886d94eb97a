//! Owns the role of the runner: the process behind the hidden command `paramedic runner FOLDER`.

use std::error::Error as _;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use process::{Lock, LockError, ProcessId, become_subreaper};

use crate::claim::{self, Claim, Claimant};
use crate::folder::{Durability, Folder, LOCK, OUTCOME, RUNNER};
use crate::keeper::Keeper;
use crate::{Error, Intent, supervise};

/// How often, and after which pause, the lock is tried: an engine that just asks what became of the unit has it for
/// a moment, and decides meanwhile.
const LOCK_TRIES: u32 = 400;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Runs the unit in `folder`, unless it was ever begun or given up. What it cannot write down in the folder it says
/// on standard error.
pub fn run(folder: &Path) -> ExitCode {
    match carry_out(folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut message = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                message = format!("{message}: {cause}");
                source = cause.source();
            }
            // Not `eprintln`, which panics when the log cannot be written.
            let _ = writeln!(io::stderr(), "{message}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(folder: &Path) -> Result<(), Error> {
    let folder = Folder::at(folder)?;
    // Held until this process ends: without an outcome, that is how an engine knows that it is still to come.
    let _lock = lock(&folder)?;
    // All that can go wrong before the claim leaves the unit one that never started.
    let intent = Intent::read(&folder)?;
    let watch = |source| Error::Watch { folder: folder.path().to_owned(), source };
    become_subreaper().map_err(watch)?;
    if claim::take(&folder, Claimant::Runner)? != Claim::Won {
        return Ok(());
    }
    folder.write(RUNNER, &ProcessId::current(), Durability::Visible)?;
    let (outcome, jobs) = supervise::run(&folder, &intent)?;
    // Before the outcome: whoever has read that may say at once that they have to end.
    let keeper = jobs.map(Keeper::new).transpose().map_err(watch)?;
    folder.write(OUTCOME, &outcome, Durability::Durable)?;
    match keeper {
        Some(keeper) => keeper.keep(&folder),
        None => Ok(()),
    }
}

fn lock(folder: &Folder) -> Result<Lock, Error> {
    let path = folder.file(LOCK);
    let mut tries = 1;
    loop {
        match Lock::acquire(&path) {
            Ok(lock) => return Ok(lock),
            Err(LockError::Held { .. }) if tries < LOCK_TRIES => tries += 1,
            Err(LockError::Io { source, .. }) => return Err(folder.failed("lock", LOCK, source)),
            Err(_) => return Err(folder.failed("lock", LOCK, io::ErrorKind::ResourceBusy.into())),
        }
        thread::sleep(LOCK_PAUSE);
    }
}
