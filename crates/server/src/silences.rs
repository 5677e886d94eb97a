//! Owns the file of silences, `silences.json`, which is read anew at each evaluation; each change is journaled.

use std::path::PathBuf;

use incident::{Engine, EngineError, Record, World, error_chain};
use metrics::{Breadth, Silence, SilenceError, Silences};

use crate::config::Config;
use crate::document::{self, Document, DocumentError, change};

/// Why the silences cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum SilenceFileError {
    /// Their file.
    #[error(transparent)]
    File(#[from] DocumentError<SilenceError>),
    /// It could not be written down, and so was not made.
    #[error("the silence could not be written down, and was taken back")]
    Journal(#[source] Box<EngineError>),
}

impl Document for Silences {
    const STEM: &'static str = "silences";
    const WHAT: &'static str = "silences";
    const ADVICE: &'static str = "; mend or remove it: until then nothing is silenced";
    type Problem = SilenceError;

    fn parse(text: &str) -> Result<Self, SilenceError> {
        Self::parse(text)
    }

    fn to_json(&self) -> Result<String, SilenceError> {
        self.to_json()
    }
}

/// The file of a configuration.
pub fn silences_path(config: &Config) -> PathBuf {
    document::path::<Silences>(config)
}

/// Reads the silences; where there is no file there are none.
///
/// # Errors
/// Where the file cannot be read, or is not understood as a whole.
pub fn read_silences(config: &Config) -> Result<Silences, SilenceFileError> {
    Ok(document::load(config)?)
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
    let number = change(config, |all: &mut Silences| all.add(silence.clone(), breadth, now_ms))?;
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
        change(config, |all: &mut Silences| all.expire(number, now_ms))?;
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
    let ended = change(config, |all: &mut Silences| all.expire(number, now_ms))?;
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
        let number = change(&config, |all: &mut Silences| all.add(silence(10), Breadth::Narrow, 0)).unwrap();
        assert_eq!((silencing(5), silencing(10)), (vec![number], vec![]));
        change(&config, |all: &mut Silences| all.expire(number, 5)).unwrap();
        assert!(silencing(5).is_empty());
        let left: Vec<_> =
            fs::read_dir(&config.data_dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "the file and its lock: {left:?}");
        let _lock = process::lock::Lock::acquire(&config.data_dir.join("silences.lock")).unwrap();
        let error = change(&config, |all: &mut Silences| all.expire(number, 6)).unwrap_err();
        assert!(matches!(error, DocumentError::Locked { .. }), "{error}");
    }

    #[test]
    fn what_cannot_be_read_silences_nothing_and_is_left_as_it_is() {
        let (_folder, config) = place();
        fs::create_dir(&config.data_dir).unwrap();
        for text in ["", "{", r#"{"version":2,"last":0,"silences":[]}"#, "\u{0}"] {
            fs::write(silences_path(&config), text).unwrap();
            assert_eq!(in_force(&config), Silences::default());
            assert!(
                change(&config, |all: &mut Silences| all.add(silence(10), Breadth::Narrow, 0)).is_err(),
                "{text}"
            );
            assert_eq!(fs::read_to_string(silences_path(&config)).unwrap(), text);
        }
    }
}
