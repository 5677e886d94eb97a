//! Owns what can go wrong with systemd, and what whoever sees it can do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::job::{JobId, JobResult, Verb};
use crate::name::{BadName, UnitName};
use crate::unit::ServiceResult;

/// Why something was not done, or is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no bus, nobody answers there, or there is no systemd behind it.
    #[error("systemd cannot be reached at `{address}`")]
    NotReachable {
        /// Where it was looked for.
        address: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// systemd did not answer in time. What was asked may have been done all the same.
    #[error("systemd did not answer `{call}` within {timeout:?}")]
    Deadline {
        /// What was called.
        call: String,
        /// The deadline.
        timeout: Duration,
    },
    /// A name is none.
    #[error(transparent)]
    Name(#[from] BadName),
    /// A server has two units.
    #[error("`{}` and `{}` are both there, and nobody can say which is meant: disable one", units[0], units[1])]
    Ambiguous {
        /// Both.
        units: [UnitName; 2],
    },
    /// No unit has this name.
    #[error("there is no unit `{unit}`")]
    NoSuchUnit {
        /// The name.
        unit: UnitName,
    },
    /// The unit is there, and cannot be run: it is masked, or its file is wrong.
    #[error("the unit `{unit}` cannot be run: {message}")]
    Unusable {
        /// The unit.
        unit: UnitName,
        /// What systemd says.
        message: String,
    },
    /// This user may not do that.
    #[error(
        "systemd does not let this user do `{call}`{}: root may, and who has a polkit rule for `{action}` ({message})",
        on(unit.as_ref())
    )]
    Denied {
        /// What was called.
        call: String,
        /// On which unit.
        unit: Option<UnitName>,
        /// What a polkit rule has to allow.
        action: &'static str,
        /// What systemd says.
        message: String,
    },
    /// Somebody else's job is queued for the unit, and ours would replace it. A person outranks us.
    #[error("another job is queued for `{unit}`, and this one would replace it: {message}")]
    Busy {
        /// The unit.
        unit: UnitName,
        /// What systemd says.
        message: String,
    },
    /// systemd refused for another reason.
    #[error("systemd refused `{call}`{}: {message}", on(unit.as_ref()))]
    Refused {
        /// What was called.
        call: String,
        /// On which unit.
        unit: Option<UnitName>,
        /// What systemd says.
        message: String,
    },
    /// The answer is not what it should be.
    #[error("the answer of systemd to `{call}` was not understood: {message}")]
    Answer {
        /// What was called.
        call: String,
        /// What is wrong with it.
        message: String,
    },
    /// A job ended, and not well.
    #[error("job {job} to {verb} `{unit}` ended as `{result}`{}", last(ended.as_ref()))]
    JobFailed {
        /// The job.
        job: JobId,
        /// The unit.
        unit: UnitName,
        /// What was ordered.
        verb: Verb,
        /// How the job ended.
        result: JobResult,
        /// What became of the service, where that is known.
        ended: Option<ServiceResult>,
    },
    /// A job has not ended in time. It goes on.
    #[error("job {job} to {verb} `{unit}` has not ended within {timeout:?}, and goes on")]
    JobLate {
        /// The job.
        job: JobId,
        /// The unit.
        unit: UnitName,
        /// What was ordered.
        verb: Verb,
        /// The deadline.
        timeout: Duration,
    },
    /// The connection was lost, or systemd itself started anew, while the job ran.
    #[error("what became of job {job} to {verb} `{unit}` is not known: the connection to systemd was lost")]
    JobLost {
        /// The job.
        job: JobId,
        /// The unit.
        unit: UnitName,
        /// What was ordered.
        verb: Verb,
    },
    /// Too much was asked for at once.
    #[error("{count} units are more than the {max} that are watched at once")]
    TooMany {
        /// How many there were.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// A setting means nothing, or nothing good.
    #[error("`{setting}` cannot be set: {problem}")]
    BadSetting {
        /// The setting.
        setting: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file could not be read or written.
    #[error("cannot {action} `{}`", path.display())]
    File {
        /// What was being done, such as "write".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Somebody has changed a file since.
    #[error("`{}` was changed by somebody else since; nothing was done", path.display())]
    Moved {
        /// The file.
        path: PathBuf,
    },
    /// `journalctl` was not started, or not to its end.
    #[error("cannot run `{}`", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// `journalctl` said no.
    #[error("`{}` failed: {message}", program.display())]
    Journal {
        /// The program.
        program: PathBuf,
        /// What it wrote to its standard error.
        message: String,
    },
}

// === impl Error ===

impl Error {
    pub(crate) fn answer(call: &str, problem: &dyn std::fmt::Display) -> Self {
        Self::Answer { call: call.to_owned(), message: problem.to_string() }
    }

    /// What an error of the bus means for a call.
    pub(crate) fn of_call(error: zbus::Error, address: &str, call: &str, unit: Option<&UnitName>) -> Self {
        let zbus::Error::MethodError(name, message, _) = &error else {
            return Self::NotReachable { address: address.to_owned(), source: Box::new(error) };
        };
        let call = call.to_owned();
        let message = message.clone().unwrap_or_else(|| name.to_string());
        match (name.as_str(), unit.cloned()) {
            // The bus answers in place of a systemd that is not there.
            (
                "org.freedesktop.DBus.Error.ServiceUnknown"
                | "org.freedesktop.DBus.Error.NameHasNoOwner"
                | "org.freedesktop.DBus.Error.NoReply"
                | "org.freedesktop.DBus.Error.Disconnected",
                _,
            ) => Self::NotReachable { address: address.to_owned(), source: Box::new(error) },
            (
                "org.freedesktop.DBus.Error.AccessDenied"
                | "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
                unit,
            ) => Self::Denied { action: action(&call), call, unit, message },
            ("org.freedesktop.systemd1.NoSuchUnit", Some(unit)) => Self::NoSuchUnit { unit },
            (
                "org.freedesktop.systemd1.UnitMasked"
                | "org.freedesktop.systemd1.LoadFailed"
                | "org.freedesktop.systemd1.BadUnitSetting"
                | "org.freedesktop.systemd1.OnlyByDependency",
                Some(unit),
            ) => Self::Unusable { unit, message },
            ("org.freedesktop.systemd1.TransactionIsDestructive", Some(unit)) => Self::Busy { unit, message },
            (_, unit) => Self::Refused { call, unit, message },
        }
    }

    /// Whether the same may succeed later without anybody doing something about it.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::NotReachable { .. } | Self::Deadline { .. } | Self::Busy { .. } | Self::JobLost { .. }
        )
    }
}

/// What polkit is asked for a call.
fn action(call: &str) -> &'static str {
    match call {
        "Reload" => "org.freedesktop.systemd1.reload-daemon",
        _ => "org.freedesktop.systemd1.manage-units",
    }
}

fn on(unit: Option<&UnitName>) -> String {
    unit.map(|unit| format!(" on `{unit}`")).unwrap_or_default()
}

fn last(ended: Option<&ServiceResult>) -> String {
    ended.map(|result| format!(", and the service as `{result}`")).unwrap_or_default()
}
