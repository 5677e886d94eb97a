//! Owns the outcome: how a unit ended, as the runner writes it down.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::folder::{Folder, OUTCOME};

/// How a unit ended, and what it left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// When the runner began it, in milliseconds since the Unix epoch.
    pub started_ms: i64,
    /// When the last of its processes had ended, or its shell where jobs run on in the background.
    pub finished_ms: i64,
    /// How its shell ended.
    pub end: End,
    /// How many bytes it had written to standard output by then; the file has fewer if they were over the limit.
    pub stdout_bytes: u64,
    /// How many bytes it wrote to standard error.
    pub stderr_bytes: u64,
    /// Whether any output was dropped.
    pub truncated: bool,
    /// Whether the next unit can go on from here.
    pub state: StateFile,
    /// How long its background jobs run on, in milliseconds at most; none where nothing of it runs any more. Their
    /// output goes on into the same files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background_ms: Option<u64>,
}

/// How the shell of a unit ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It returned this code.
    Exited(i32),
    /// This signal ended it.
    Signaled(i32),
    /// It was ended because it ran too long.
    TimedOut,
    /// The statement never began, for this reason.
    NotStarted(String),
}

/// What became of the state of the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateFile {
    /// It is complete, at the place that the intent names.
    Saved,
    /// There is none: never go on from an older one. The shell was killed, became another program by `exec`, ended
    /// by `exit` past a trap on EXIT that the statement had set, or has no `builtin` any more.
    Missing,
}

// === impl Outcome ===

impl Outcome {
    pub(crate) fn read(folder: &Folder) -> Result<Option<Self>, Error> {
        folder.read(OUTCOME)
    }
}
