//! Owns the file of maintenance windows, `maintenance.json`, which is read anew before every change.

use std::path::PathBuf;

use incident::{Hold, Maintenance, MaintenanceError, error_chain};

use crate::config::Config;
use crate::document::{self, Document, DocumentError};

/// Why the maintenance windows cannot be read or changed.
pub type MaintenanceFileError = DocumentError<MaintenanceError>;

impl Document for Maintenance {
    const STEM: &'static str = "maintenance";
    const WHAT: &'static str = "maintenance windows";
    const ADVICE: &'static str = "";
    type Problem = MaintenanceError;

    fn parse(text: &str) -> Result<Self, MaintenanceError> {
        Self::parse(text)
    }

    fn to_json(&self) -> Result<String, MaintenanceError> {
        self.to_json()
    }
}

/// The file of a configuration.
pub fn maintenance_path(config: &Config) -> PathBuf {
    document::path::<Maintenance>(config)
}

/// Reads the windows; where there is no file there are none.
///
/// # Errors
/// Where the file cannot be read, or is not understood as a whole.
pub fn read_maintenance(config: &Config) -> Result<Maintenance, MaintenanceFileError> {
    document::load(config)
}

/// Changes the windows.
///
/// # Errors
/// Where they cannot be read or written, or the change cannot be made; then they stand as they were.
pub fn change_maintenance<T>(
    config: &Config,
    change: impl FnOnce(&mut Maintenance) -> Result<T, MaintenanceError>,
) -> Result<T, MaintenanceFileError> {
    document::change(config, change)
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
        let _lock = process::lock::Lock::acquire(&config.data_dir.join("maintenance.lock")).unwrap();
        let error = change_maintenance(&config, |all| all.end(1, 0)).unwrap_err();
        assert!(matches!(error, MaintenanceFileError::Locked { .. }), "{error}");
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
