//! Owns the kill switch: a file that, while it exists, stops every change, whoever has made it and whatever is in it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use incident::Kill;

use crate::config::Config;

/// How much of the file is shown, in bytes: it is a line, and may be anything.
const SHOWN_BYTES_MAX: u64 = 1_024;

/// Whether a command has changed the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thrown {
    /// It has.
    Now,
    /// It stood like that already.
    Before,
}

/// Why the switch cannot be thrown.
#[derive(Debug, thiserror::Error)]
#[error("the kill switch `{}` cannot be changed", path.display())]
pub struct KillSwitchError {
    path: PathBuf,
    source: io::Error,
}

/// The file of a configuration.
pub fn kill_switch_path(config: &Config) -> PathBuf {
    let named = config.policy.kill_switch.clone();
    named.unwrap_or_else(|| config.data_dir.join("kill-switch"))
}

/// Reads the kill switch. One that cannot be read counts as thrown: whoever made it unreadable meant something.
pub fn kill_switch(config: &Config) -> Kill {
    // A link to nowhere is a file that somebody has made.
    match fs::symlink_metadata(kill_switch_path(config)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Kill::Off,
        Ok(_) | Err(_) => Kill::On,
    }
}

/// What stands in the file, where it can be read: who has thrown it, and why.
pub fn kill_switch_note(config: &Config) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(kill_switch_path(config)).ok()?.take(SHOWN_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    let note = String::from_utf8_lossy(&bytes).trim().to_owned();
    (!note.is_empty()).then_some(note)
}

/// Stops every change from now on, with a note for people. A switch that is on already keeps its note.
///
/// # Errors
/// Where the file cannot be made.
pub fn throw_kill_switch(config: &Config, note: &str) -> Result<Thrown, KillSwitchError> {
    let path = kill_switch_path(config);
    let throw = || -> io::Result<Thrown> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        if folder == config.data_dir {
            crate::private_folder(folder).map_err(io::Error::other)?;
        }
        let made = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path);
        let mut file = match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Thrown::Before),
            other => other?,
        };
        // It is on by now; the note is only for people.
        File::open(folder)?.sync_all()?;
        writeln!(file, "{note}")?;
        file.sync_all()?;
        Ok(Thrown::Now)
    };
    throw().map_err(|source| KillSwitchError { path: path.clone(), source })
}

/// Lets changes happen again, as the policy says.
///
/// # Errors
/// Where the file cannot be removed.
pub fn release_kill_switch(config: &Config) -> Result<Thrown, KillSwitchError> {
    let path = kill_switch_path(config);
    match fs::remove_file(&path) {
        Ok(()) => Ok(Thrown::Now),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Thrown::Before),
        Err(source) => Err(KillSwitchError { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thrown_and_released() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = crate::config::parse("").unwrap();
        config.data_dir = folder.path().join("data");
        assert_eq!((kill_switch(&config), kill_switch_note(&config)), (Kill::Off, None));
        assert_eq!(release_kill_switch(&config).unwrap(), Thrown::Before);
        assert_eq!(throw_kill_switch(&config, "ada: flood").unwrap(), Thrown::Now);
        assert_eq!(throw_kill_switch(&config, "bob: me too").unwrap(), Thrown::Before);
        assert_eq!(
            (kill_switch(&config), kill_switch_note(&config).as_deref()),
            (Kill::On, Some("ada: flood"))
        );
        assert_eq!(release_kill_switch(&config).unwrap(), Thrown::Now);
        assert_eq!(kill_switch(&config), Kill::Off);
        std::os::unix::fs::symlink("/nowhere/at/all", kill_switch_path(&config)).unwrap();
        assert_eq!(kill_switch(&config), Kill::On);
    }
}
