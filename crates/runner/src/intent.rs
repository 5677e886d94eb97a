//! Owns the intent: what one unit is to run, with which limits, and the checks before anything is written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::folder::{Durability, Folder, INTENT};

/// The longest statement in bytes. The kernel takes arguments of less than 128 KiB, and `sh` gets it as one.
const STATEMENT_BYTES_MAX: usize = 96 << 10;

/// The longest `NAME=value` of the environment in bytes, for the same reason.
const VARIABLE_BYTES_MAX: usize = 96 << 10;

/// The largest environment in bytes: the kernel's limit for it and the arguments together is 2 MiB.
const ENVIRONMENT_BYTES_MAX: usize = 1 << 20;

/// The longest a unit, or what it leaves in the background, may run. More is a service, not a step.
const TIMEOUT_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Variables that make bash read other files or behave differently before our first line.
const RESERVED: [&str; 5] = ["BASHOPTS", "BASH_ENV", "ENV", "POSIXLY_CORRECT", "SHELLOPTS"];

/// One attempt at one unit, as it is journalled and written to its folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Names the unit of the incident. Two attempts have the same.
    pub key: String,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// The shell statement, verbatim: parameters reach it as variables only. At most 96 KiB, without NUL.
    pub statement: String,
    /// Who runs it.
    pub shell: Shell,
    /// The whole environment. Beside it the unit sees `PARAMEDIC_UNIT`, the path of its folder. Names starting
    /// with `PARAMEDIC_` are not part of the carried state: each unit has those of its own intent.
    pub environment: BTreeMap<String, String>,
    /// Where the first unit begins; later ones go on where the one before was. Absolute.
    pub directory: PathBuf,
    /// How long it may run, in milliseconds; then SIGTERM, and SIGKILL two seconds later.
    pub timeout_ms: u64,
    /// How much is kept of each of the two output streams, in bytes. The rest is counted and dropped.
    pub output_bytes_max: u64,
    /// How long what the statement leaves in the background runs on after its shell has ended, in milliseconds at
    /// most; none where that ends with the shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background_ms: Option<u64>,
    /// The folders below which the unit may write beside its own, where it only looks; none where it may write as its user
    /// may. Absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writable: Option<Vec<PathBuf>>,
    /// The state file of the unit before; none for the first unit. Absolute.
    pub state_before: Option<PathBuf>,
    /// Where the state after this unit goes. Absolute, and on the file system of its own folder.
    pub state_after: PathBuf,
}

/// Who runs a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shell {
    /// `bash`, with the state of the unit before, which it hands on.
    Bash,
    /// `sh`, from a fresh start; the state is handed on untouched.
    Sh,
}

/// Writes the intent of a unit into its new folder, durably. Its parent must exist. Nothing runs yet.
///
/// # Errors
///
/// The intent is over a limit, the folder exists already, or the disk failed.
pub fn prepare(folder: &Path, intent: &Intent) -> Result<(), Error> {
    intent.check()?;
    let folder = Folder::at(folder)?;
    if !folder.create()? {
        return Err(Error::Taken { folder: folder.path().to_owned() });
    }
    folder.write(INTENT, intent, Durability::Visible)?;
    folder.sync_new(INTENT)
}

// === impl Intent ===

impl Intent {
    pub(crate) fn read(folder: &Folder) -> Result<Self, Error> {
        let missing = || folder.failed("read", INTENT, std::io::ErrorKind::NotFound.into());
        let intent: Self = folder.read(INTENT)?.ok_or_else(missing)?;
        intent.check()?;
        Ok(intent)
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    pub(crate) fn background(&self) -> Option<Duration> {
        self.background_ms.map(Duration::from_millis)
    }

    fn check(&self) -> Result<(), Error> {
        let refuse = |field: &str, problem| Err(Error::Refused { field: format!("`{field}`"), problem });
        if self.statement.contains('\0') {
            return refuse("statement", "has a NUL byte");
        }
        if self.statement.len() > STATEMENT_BYTES_MAX {
            return refuse("statement", "is longer than 96 KiB");
        }
        if self.timeout() > TIMEOUT_MAX {
            return refuse("timeout_ms", "is longer than a week");
        }
        if self.background().is_some_and(|limit| limit > TIMEOUT_MAX) {
            return refuse("background_ms", "is longer than a week");
        }
        for (field, path) in [
            ("directory", Some(&self.directory)),
            ("state_before", self.state_before.as_ref()),
            ("state_after", Some(&self.state_after)),
        ] {
            if path
                .is_some_and(|path| !path.is_absolute() || path.as_os_str().as_encoded_bytes().contains(&0))
            {
                return refuse(field, "is not an absolute path");
            }
        }
        self.check_environment()
    }

    fn check_environment(&self) -> Result<(), Error> {
        let refuse =
            |name: &str, problem| Err(Error::Refused { field: format!("variable `{name}`"), problem });
        let mut bytes = 0;
        for (name, value) in &self.environment {
            if !is_name(name) {
                return refuse(name, "is not named like a shell variable");
            }
            if RESERVED.contains(&name.as_str()) || name.starts_with("__paramedic_") {
                return refuse(name, "belongs to the shell");
            }
            if value.contains('\0') {
                return refuse(name, "has a NUL byte");
            }
            if name.len() + value.len() > VARIABLE_BYTES_MAX {
                return refuse(name, "is longer than 96 KiB");
            }
            bytes += name.len() + value.len();
            if bytes > ENVIRONMENT_BYTES_MAX {
                return refuse(name, "makes the environment larger than 1 MiB");
            }
        }
        Ok(())
    }
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
