//! Owns the file of maintenance windows: written whole or not at all, and read anew before every change.
//!
//! It is `maintenance.json` in the data directory, so that commands work on it with and without a running `serve`.

use std::io;
use std::path::{Path, PathBuf};

use incident::{Hold, Maintenance, MaintenanceError, error_chain};
use process::lock::{Lock, LockError};

use crate::config::Config;
use crate::document::{read, replace};

/// Why the maintenance windows cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceFileError {
    /// The file cannot be read or written.
    #[error("{what} `{}` failed", path.display())]
    Io {
        /// What was done.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// What stands in it cannot be used.
    #[error("the maintenance windows in `{}` cannot be used", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: MaintenanceError,
    },
    /// The change was not made: there is something wrong with it.
    #[error(transparent)]
    Change(MaintenanceError),
    /// Another command is at it.
    #[error("another command changes the maintenance windows at this moment; try it again")]
    Locked(#[from] LockError),
}

/// The file of a configuration.
pub fn maintenance_path(config: &Config) -> PathBuf {
    config.data_dir.join("maintenance.json")
}

/// Reads the windows; where there is no file there are none.
///
/// # Errors
/// Where the file cannot be read, or is not understood as a whole.
pub fn read_maintenance(config: &Config) -> Result<Maintenance, MaintenanceFileError> {
    let path = maintenance_path(config);
    let text = match read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Maintenance::default()),
        other => other.map_err(|source| io_error("reading", &path, source))?,
    };
    Maintenance::parse(&text).map_err(|source| MaintenanceFileError::Content { path, source })
}

/// Changes the windows.
///
/// # Errors
/// Where they cannot be read or written, or the change cannot be made; then they stand as they were.
pub fn change_maintenance<T>(
    config: &Config,
    change: impl FnOnce(&mut Maintenance) -> Result<T, MaintenanceError>,
) -> Result<T, MaintenanceFileError> {
    let folder = &config.data_dir;
    crate::private_folder(folder)
        .map_err(|error| io_error("making the folder", folder, io::Error::other(error)))?;
    let _lock = Lock::acquire(&folder.join("maintenance.lock"))?;
    let mut windows = read_maintenance(config)?;
    let done = change(&mut windows).map_err(MaintenanceFileError::Change)?;
    let text = windows.to_json().map_err(MaintenanceFileError::Change)?;
    let path = maintenance_path(config);
    replace(&path, &text).map_err(|source| io_error("writing", &path, source))?;
    Ok(done)
}

/// What holds the changes of a server back now. Windows that cannot be read hold everything back: whoever wrote them
/// meant something.
pub(crate) fn hold(config: &Config, server: &str, now_ms: i64) -> Option<Hold> {
    match read_maintenance(config) {
        Ok(windows) => windows.hold(server, now_ms),
        Err(error) => Some(Hold {
            reason: format!(
                "{}, which counts as maintenance of all servers: a yes allows it, or mending or removing the file",
                error_chain(&error)
            ),
            until_ms: None,
        }),
    }
}

fn io_error(what: &'static str, path: &Path, source: io::Error) -> MaintenanceFileError {
    MaintenanceFileError::Io { what, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use expect_test::expect;
    use incident::Window;

    use super::*;

    fn place() -> (tempfile::TempDir, Config) {
        let folder = tempfile::tempdir().unwrap();
        let mut config = crate::config::parse("").unwrap();
        config.data_dir = folder.path().join("data");
        (folder, config)
    }

    fn window(until_ms: i64) -> Window {
        let (reason, by) = ("new disk".to_owned(), "ada".to_owned());
        Window { number: 0, server: Some("time".to_owned()), from_ms: 0, until_ms, reason, by }
    }

    #[test]
    fn what_is_started_holds_until_it_is_ended() {
        let (_folder, config) = place();
        assert_eq!(hold(&config, "time", 5), None);
        let number = change_maintenance(&config, |all| all.start(window(10), 0)).unwrap();
        assert_eq!(hold(&config, "time", 5).unwrap().until_ms, Some(10));
        assert_eq!(hold(&config, "other", 5), None);
        assert_eq!(hold(&config, "time", 10), None);
        change_maintenance(&config, |all| all.end(number, 5)).unwrap();
        assert_eq!(hold(&config, "time", 5), None);
        let left: Vec<_> =
            fs::read_dir(&config.data_dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "the file and its lock: {left:?}");
    }

    #[test]
    fn a_change_that_is_refused_changes_nothing() {
        let (_folder, config) = place();
        change_maintenance(&config, |all| all.start(window(10), 0)).unwrap();
        let before = fs::read_to_string(maintenance_path(&config)).unwrap();
        let error = change_maintenance(&config, |all| all.end(7, 0)).unwrap_err();
        assert_eq!(error.to_string(), "there is no window 7; `paramedic maintenance list` shows them");
        assert_eq!(fs::read_to_string(maintenance_path(&config)).unwrap(), before);
        let _lock = Lock::acquire(&config.data_dir.join("maintenance.lock")).unwrap();
        let error = change_maintenance(&config, |all| all.end(1, 0)).unwrap_err();
        assert!(matches!(error, MaintenanceFileError::Locked(_)), "{error}");
    }

    #[test]
    fn what_cannot_be_read_is_a_window_over_everything() {
        let (folder, config) = place();
        fs::create_dir(&config.data_dir).unwrap();
        for text in ["", "{", r#"{"version":2,"windows":[]}"#, "\u{0}"] {
            fs::write(maintenance_path(&config), text).unwrap();
            assert!(hold(&config, "any", 5).is_some_and(|hold| hold.until_ms.is_none()), "{text}");
            assert!(change_maintenance(&config, |all| all.start(window(10), 0)).is_err(), "{text}");
            assert_eq!(fs::read_to_string(maintenance_path(&config)).unwrap(), text);
        }
        fs::write(maintenance_path(&config), r#"{"version":2,"windows":[]}"#).unwrap();
        let reason =
            hold(&config, "any", 5).unwrap().reason.replace(&folder.path().display().to_string(), "…");
        expect!["the maintenance windows in `…/data/maintenance.json` cannot be used: it is of version 2, and this Paramedic knows version 1, which counts as maintenance of all servers: a yes allows it, or mending or removing the file"].assert_eq(&reason);
        fs::remove_file(maintenance_path(&config)).unwrap();
        fs::create_dir(maintenance_path(&config)).unwrap();
        assert!(hold(&config, "any", 5).is_some());
    }
}
