//! Owns who may tell of alerts: a word that both sides know, compared without telling how much of it was right; and how
//! many may be inside at a time.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use checksum::Digest;
use incident::error_chain;
use subtle::ConstantTimeEq as _;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::config;
use crate::secrets::Secrets;

/// How many messages are read and written down at a time.
const AT_ONCE: usize = 16;

/// How long a word is believed before it is read anew: a command that prints it is not run for each stranger.
const WORD_KEPT: Duration = Duration::from_secs(5);

/// Who may come in.
pub(crate) struct Door {
    config: config::Inbound,
    secrets: Secrets,
    /// The hash of the word, and when it was read.
    word: Mutex<Option<(Instant, Digest)>>,
    room: Semaphore,
}

/// Why somebody may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// They do not know the word.
    Stranger,
    /// We do not know it ourselves.
    NoWord(String),
    /// Too many are inside.
    Busy,
}

// === impl Door ===

impl Door {
    pub(super) fn new(config: &config::Inbound, secrets: Secrets) -> Self {
        Self { config: config.clone(), secrets, word: Mutex::default(), room: Semaphore::new(AT_ONCE) }
    }

    pub(crate) fn config(&self) -> &config::Inbound {
        &self.config
    }

    /// Lets somebody in who knows the word; they are inside until what is returned is dropped.
    ///
    /// # Errors
    /// Why they may not come in.
    pub(crate) async fn enter(&self, headers: &HeaderMap) -> Result<SemaphorePermit<'_>, Refused> {
        let given = headers.get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
        let given = Digest::of(given.ok_or(Refused::Stranger)?);
        let word = self.word().await?;
        if !bool::from(given.as_bytes().ct_eq(word.as_bytes())) {
            return Err(Refused::Stranger);
        }
        self.room.try_acquire().map_err(|_| Refused::Busy)
    }

    async fn word(&self) -> Result<Digest, Refused> {
        let mut word = self.word.lock().await;
        if let Some((_, hash)) = word.as_ref().filter(|(at, _)| at.elapsed() < WORD_KEPT) {
            return Ok(*hash);
        }
        *word = None;
        let secret = self.config.token.as_ref().ok_or_else(|| Refused::NoWord("there is none".to_owned()))?;
        let revealed = self.secrets.read(secret).await;
        let revealed = revealed.map_err(|error| Refused::NoWord(error_chain(&error)))?;
        let hash = Digest::of(revealed.reveal().trim().as_bytes());
        *word = Some((Instant::now(), hash));
        Ok(hash)
    }
}

/// The word of a header `Bearer WORD`.
pub(crate) fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, word) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| word.trim_ascii()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::Secret;

    #[tokio::test]
    async fn whoever_knows_the_word_comes_in_while_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("word");
        std::fs::write(&file, "s3cret\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let token = Some(Secret::File { file: file.clone() });
        let config = config::Inbound { token, ..config::Inbound::default() };
        let secrets = Secrets::of_process(std::path::Path::new("/nowhere"));
        let door = Door::new(&config, secrets.clone());
        let with = |value: &str| HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
        for stranger in ["Bearer s3cre", "Bearer s3cret2", "Bearer ", "Bearer", "Basic s3cret", "s3cret", ""]
        {
            assert_eq!(door.enter(&with(stranger)).await.err(), Some(Refused::Stranger), "{stranger}");
        }
        assert_eq!(door.enter(&HeaderMap::new()).await.err(), Some(Refused::Stranger));
        let mut inside = Vec::new();
        for _ in 0..AT_ONCE {
            inside.push(door.enter(&with("bearer s3cret")).await.unwrap());
        }
        assert_eq!(door.enter(&with("Bearer s3cret")).await.err(), Some(Refused::Busy));
        inside.pop();
        assert!(door.enter(&with("Bearer s3cret")).await.is_ok());

        std::fs::remove_file(&file).unwrap();
        let door = Door::new(&config, secrets);
        let refused = door.enter(&with("Bearer s3cret")).await.err();
        assert!(matches!(refused, Some(Refused::NoWord(_))), "{refused:?}");
    }
}
