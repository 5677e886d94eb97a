//! Owns the engine's side of a unit: starting its runner, waiting for it, and both together.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::Duration;

use process::{Detached, ProcessId, ended};
use rustix::process::{Pid, WaitOptions, waitpid};
use tokio::task::spawn_blocking;

use crate::folder::{Folder, INTENT, LOG, OUTCOME, open_new};
use crate::intent::prepare;
use crate::leftovers::UNIT_VARIABLE;
use crate::{Error, Intent, Recovery, recover};

/// How often it is looked whether a unit with background jobs has its outcome: its runner does not end with it. The
/// pause doubles from the first to the last.
const LOOK_FIRST: Duration = Duration::from_millis(5);
const LOOK_LAST: Duration = Duration::from_millis(100);

/// Starts the runner of a prepared unit as `PROGRAM runner FOLDER`. It outlives this process.
///
/// # Errors
///
/// The program cannot be executed. Whether anything was run, [`recover`] knows.
pub fn start(paramedic_exe: &Path, folder: &Path) -> Result<ProcessId, Error> {
    let folder = Folder::at(folder)?;
    let failed = |source| Error::Start { program: paramedic_exe.to_owned(), source };
    let log = open_new(&folder.file(LOG)).map_err(|source| folder.failed("create", LOG, source))?;
    let runner = Detached {
        program: std::path::absolute(paramedic_exe).map_err(failed)?,
        args: vec!["runner".into(), folder.path().into()],
        env: vec![(OsString::from(UNIT_VARIABLE), folder.path().into())],
        cwd: folder.path().to_owned(),
        stdout: log.try_clone().map_err(failed)?,
        stderr: log,
    };
    let child = runner.spawn().map_err(failed)?;
    let pid = i32::try_from(child.id()).map_err(|error| failed(io::Error::other(error)))?;
    // It is our child and nobody has reaped it, so it is there.
    ProcessId::of(pid).ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
}

/// Finds out what became of a unit, waiting for its runner where that still lives.
///
/// # Errors
///
/// Those of [`recover`] and of [`attach`].
pub async fn settle(folder: &Path) -> Result<Recovery, Error> {
    match recover(folder)? {
        Recovery::Running(runner) => attach(folder, runner).await,
        other => Ok(other),
    }
}

/// Waits until the unit has ended, whoever started its runner, and finds out what became of it. The runner may stay as
/// the keeper of its background jobs.
///
/// # Errors
///
/// Those of [`recover`], and when the runner cannot be waited for.
pub async fn attach(folder: &Path, runner: ProcessId) -> Result<Recovery, Error> {
    let may_stay = blocking(folder, |folder| {
        let intent = Folder::at(folder)?.read::<Intent>(INTENT)?;
        Ok(intent.is_some_and(|intent| intent.background_ms.is_some()))
    })
    .await?;
    wait(folder, runner, may_stay).await
}

async fn wait(folder: &Path, runner: ProcessId, may_stay: bool) -> Result<Recovery, Error> {
    if may_stay {
        let outcome = folder.join(OUTCOME);
        tokio::select! {
            over = gone(folder, runner) => over?,
            () = written(&outcome) => {}
        }
        let recovery = blocking(folder, recover).await?;
        if matches!(&recovery, Recovery::Finished(outcome) if outcome.background_ms.is_some()) {
            return Ok(recovery);
        }
    }
    gone(folder, runner).await?;
    blocking(folder, recover).await
}

/// Waits until a runner has ended.
pub(crate) async fn gone(folder: &Path, runner: ProcessId) -> Result<(), Error> {
    let failed = |source| Error::Wait { folder: folder.to_owned(), source };
    ended(runner).await.map_err(failed)?;
    reap(runner);
    Ok(())
}

/// Waits until a file is there.
async fn written(path: &Path) {
    let mut pause = LOOK_FIRST;
    // Where it cannot be asked, the end of the runner is waited for.
    while !path.exists() {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK_LAST);
    }
}

/// Runs a unit to its end: prepares its folder, starts the runner and waits for it.
///
/// # Errors
///
/// Those of [`prepare`], [`start`] and [`attach`].
pub async fn run_unit(paramedic_exe: &Path, folder: &Path, intent: &Intent) -> Result<Recovery, Error> {
    let intent = intent.clone();
    let may_stay = intent.background_ms.is_some();
    let exe = paramedic_exe.to_owned();
    let runner = blocking(folder, move |folder| {
        prepare(folder, &intent)?;
        start(&exe, folder)
    })
    .await?;
    wait(folder, runner, may_stay).await
}

/// Takes note of the end of a runner that this process started; without it it would stay a zombie.
pub(crate) fn reap(runner: ProcessId) {
    // A zombie keeps its number, so this is that process or nothing; of another's child the kernel says so.
    if ProcessId::of(runner.pid) == Some(runner) {
        let _ = waitpid(Pid::from_raw(runner.pid), WaitOptions::NOHANG);
    }
}

/// Does `work`, which syncs files, away from the threads of the runtime.
pub(crate) async fn blocking<T: Send + 'static>(
    folder: &Path,
    work: impl FnOnce(&Path) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let path = folder.to_owned();
    let failed =
        |error: tokio::task::JoinError| Error::Wait { folder: folder.to_owned(), source: error.into() };
    spawn_blocking(move || work(&path)).await.map_err(failed)?
}
