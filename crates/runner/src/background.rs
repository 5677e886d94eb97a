//! Owns the engine's side of background jobs: waiting for their end, bringing it about, and what is known of it.

use std::path::Path;
use std::time::Duration;

use process::{ProcessId, Signal, send};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::engine::{blocking, gone, reap};
use crate::folder::{BACKGROUND, Folder, RUNNER};
use crate::{Error, clock, leftovers};

/// How long a keeper has to end its jobs and to write that down: grace and kill take four seconds at most, and a slow
/// disk its time. Then it is killed.
const END_MAX: Duration = Duration::from_secs(15);

/// How the background jobs of a unit ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Background {
    /// When the last of them had ended, in milliseconds since the Unix epoch.
    pub ended_ms: i64,
    /// Why.
    pub end: BackgroundEnd,
    /// Whether any output of the unit was dropped.
    pub truncated: bool,
}

/// Why background jobs ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackgroundEnd {
    /// They came to their end.
    ByItself,
    /// The runner was told to end them.
    Told,
    /// They ran for as long as they may.
    Limit,
    /// Their runner was killed, and what was left was ended without it.
    Lost,
}

/// Waits until nothing of the background jobs of the unit in `folder` has a keeper any more. What a killed keeper left
/// is for [`end_background`].
///
/// # Errors
///
/// The folder cannot be read, or the keeper cannot be waited for.
pub async fn background_over(folder: &Path) -> Result<(), Error> {
    match blocking(folder, keeper).await? {
        Some(keeper) => gone(folder, keeper).await,
        None => Ok(()),
    }
}

/// Ends the background jobs of the unit in `folder`, whoever keeps them, and says how they ended: SIGTERM, and SIGKILL
/// two seconds later. The unit must have its outcome. Asked again, the answer is the same, but for the time where their
/// runner was killed.
///
/// # Errors
///
/// The folder cannot be read, or a process does not end.
pub async fn end_background(folder: &Path) -> Result<Background, Error> {
    if let Some(keeper) = blocking(folder, keeper).await? {
        tell(folder, keeper, Signal::TERM)?;
        if timeout(END_MAX, gone(folder, keeper)).await.is_err() {
            tell(folder, keeper, Signal::KILL)?;
            if let Ok(over) = timeout(END_MAX, gone(folder, keeper)).await {
                over?;
            }
        }
        reap(keeper);
    }
    blocking(folder, |folder| {
        let folder = Folder::at(folder)?;
        leftovers::end(&folder)?;
        // One that was cut off while it was written is as good as none.
        let written = folder.read(BACKGROUND).unwrap_or_default();
        let lost = || Background { ended_ms: clock::now_ms(), end: BackgroundEnd::Lost, truncated: false };
        Ok(written.unwrap_or_else(lost))
    })
    .await
}

fn keeper(folder: &Path) -> Result<Option<ProcessId>, Error> {
    Folder::at(folder)?.read(RUNNER)
}

fn tell(folder: &Path, keeper: ProcessId, signal: Signal) -> Result<(), Error> {
    let failed = |source| Error::Wait { folder: folder.to_owned(), source };
    send(keeper, signal).map(drop).map_err(failed)
}
