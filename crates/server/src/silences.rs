//! Owns the file of silences: written whole or not at all, read anew at each evaluation, and each change journaled.
//!
//! It is `silences.json` in the data directory, so that commands work on it with and without a running `serve`.

use std::io;
use std::path::{Path, PathBuf};

use incident::{Engine, EngineError, Record, World, error_chain};
use metrics::{Breadth, Silence, SilenceError, Silences};
use process::lock::{Lock, LockError};

use crate::config::Config;
use crate::document::{read, replace};

/// Why the silences cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum SilenceFileError {
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
    #[error("the silences in `{}` cannot be used; mend or remove it: until then nothing is silenced", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: SilenceError,
    },
    /// The change was not made: there is something wrong with it.
    #[error(transparent)]
    Change(SilenceError),
    /// Another command is at it.
    #[error("another command changes the silences at this moment; try it again")]
    Locked(#[from] LockError),
    /// It could not be written down, and so was not made.
    #[error("the silence could not be written down, and was taken back")]
    Journal(#[source] Box<EngineError>),
}

/// The file of a configuration.
pub fn silences_path(config: &Config) -> PathBuf {
    config.data_dir.join("silences.json")
}

/// Reads the silences; where there is no file there are none.
///
/// # Errors
/// Where the file cannot be read, or is not understood as a whole.
pub fn read_silences(config: &Config) -> Result<Silences, SilenceFileError> {
    let path = silences_path(config);
    let text = match read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Silences::default()),
        other => other.map_err(|source| io_error("reading", &path, source))?,
    };
    Silences::parse(&text).map_err(|source| SilenceFileError::Content { path, source })
}

/// Adds a silence and journals it; returns its number.
///
/// # Errors
/// Where the silences cannot be read or written, it is refused, or it cannot be journaled; then they stand as they were.
pub async fn add_silence<W: World>(
    config: &Config,
    engine: &Engine<W>,
    silence: Silence,
    breadth: Breadth,
    now_ms: i64,
) -> Result<u32, SilenceFileError> {
    let number = change(config, |all| all.add(silence.clone(), breadth, now_ms))?;
    let record = Record::Silenced {
        number,
        matchers: silence.matchers.iter().map(ToString::to_string).collect(),
        starts_ms: silence.starts_ms,
        ends_ms: silence.ends_ms,
        by: silence.created_by,
        comment: silence.comment,
    };
    if let Err(error) = engine.note_silence(&record).await {
        // A silence that nobody can find later is worse than none.
        change(config, |all| all.expire(number, now_ms))?;
        return Err(SilenceFileError::Journal(Box::new(error)));
    }
    Ok(number)
}

/// Ends a silence now and journals it.
///
/// # Errors
/// Where the silences cannot be read or written, there is no such silence, or the end cannot be journaled.
pub async fn expire_silence<W: World>(
    config: &Config,
    engine: &Engine<W>,
    number: u32,
    by: &str,
    now_ms: i64,
) -> Result<Silence, SilenceFileError> {
    let ended = change(config, |all| all.expire(number, now_ms))?;
    let record = Record::SilenceExpired { number, by: by.to_owned() };
    engine.note_silence(&record).await.map_err(|error| SilenceFileError::Journal(Box::new(error)))?;
    Ok(ended)
}

/// The silences for the engine. What cannot be read silences nothing: too much noise is better than none.
pub(crate) fn in_force(config: &Config) -> Silences {
    read_silences(config).unwrap_or_else(|error| {
        tracing::error!(error = %error_chain(&error), "nothing is silenced");
        Silences::default()
    })
}

fn change<T>(
    config: &Config,
    change: impl FnOnce(&mut Silences) -> Result<T, SilenceError>,
) -> Result<T, SilenceFileError> {
    let folder = &config.data_dir;
    crate::private_folder(folder)
        .map_err(|error| io_error("making the folder", folder, io::Error::other(error)))?;
    let _lock = Lock::acquire(&folder.join("silences.lock"))?;
    let mut silences = read_silences(config)?;
    let done = change(&mut silences).map_err(SilenceFileError::Change)?;
    let text = silences.to_json().map_err(SilenceFileError::Change)?;
    let path = silences_path(config);
    replace(&path, &text).map_err(|source| io_error("writing", &path, source))?;
    Ok(done)
}

fn io_error(what: &'static str, path: &Path, source: io::Error) -> SilenceFileError {
    SilenceFileError::Io { what, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use metrics::Labels;

    use super::*;

    fn place() -> (tempfile::TempDir, Config) {
        let folder = tempfile::tempdir().unwrap();
        let mut config = crate::config::parse("").unwrap();
        config.data_dir = folder.path().join("data");
        (folder, config)
    }

    fn silence(ends_ms: i64) -> Silence {
        let (created_by, comment) = ("ada".to_owned(), "new disk".to_owned());
        let matchers = metrics::parse_matchers("server_name=a").unwrap();
        Silence { number: 0, matchers, starts_ms: 0, ends_ms, created_by, comment }
    }

    #[test]
    fn what_is_added_silences_until_it_is_ended() {
        let (_folder, config) = place();
        let labels = Labels::from_iter([("server_name", "a")]);
        let silencing = |now_ms| in_force(&config).silencing(&labels, now_ms);
        assert!(silencing(5).is_empty());
        let number = change(&config, |all| all.add(silence(10), Breadth::Narrow, 0)).unwrap();
        assert_eq!((silencing(5), silencing(10)), (vec![number], vec![]));
        change(&config, |all| all.expire(number, 5)).unwrap();
        assert!(silencing(5).is_empty());
        let left: Vec<_> =
            fs::read_dir(&config.data_dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "the file and its lock: {left:?}");
        let _lock = Lock::acquire(&config.data_dir.join("silences.lock")).unwrap();
        let error = change(&config, |all| all.expire(number, 6)).unwrap_err();
        assert!(matches!(error, SilenceFileError::Locked(_)), "{error}");
    }

    #[test]
    fn what_cannot_be_read_silences_nothing_and_is_left_as_it_is() {
        let (_folder, config) = place();
        fs::create_dir(&config.data_dir).unwrap();
        for text in ["", "{", r#"{"version":2,"last":0,"silences":[]}"#, "\u{0}"] {
            fs::write(silences_path(&config), text).unwrap();
            assert_eq!(in_force(&config), Silences::default());
            assert!(change(&config, |all| all.add(silence(10), Breadth::Narrow, 0)).is_err(), "{text}");
            assert_eq!(fs::read_to_string(silences_path(&config)).unwrap(), text);
        }
    }
}
