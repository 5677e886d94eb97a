//! Owns what can go wrong around a unit. How the unit itself ends is an [`Outcome`](crate::Outcome).

use std::io;
use std::path::PathBuf;

/// Why a unit could not be prepared, started, run or recovered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The intent cannot be run as it is.
    #[error("the {field} of the unit {problem}")]
    Refused {
        /// Which part of it, such as "`statement`".
        field: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The folder has been prepared before, or an engine has decided that its unit never started.
    #[error("the folder `{}` is taken", folder.display())]
    Taken {
        /// The unit's folder.
        folder: PathBuf,
    },
    /// A file of the unit could not be read or written.
    #[error("cannot {action} `{}`", path.display())]
    File {
        /// What was being done, such as "write".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file of the unit has other content than this program writes.
    #[error("cannot understand `{}`", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
    /// The runner could not be started.
    #[error("cannot start `{}`", program.display())]
    Start {
        /// The program that should have become the runner.
        program: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The unit could not be watched; its processes are ended by the next recovery.
    #[error("cannot watch the unit in `{}`", folder.display())]
    Watch {
        /// The unit's folder.
        folder: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A runner holds the lock, but did not say which process it is. Ask again later.
    #[error("the runner of `{}` does not get on", folder.display())]
    Unsettled {
        /// The unit's folder.
        folder: PathBuf,
    },
    /// A process that the killed runner left does not end. Ask again later.
    #[error("process {pid} of the unit in `{}` cannot be ended", folder.display())]
    Leftover {
        /// The unit's folder.
        folder: PathBuf,
        /// The process.
        pid: i32,
    },
    /// The runner's end could not be waited for.
    #[error("cannot wait for the runner of `{}`", folder.display())]
    Wait {
        /// The unit's folder.
        folder: PathBuf,
        /// The cause.
        source: io::Error,
    },
}
