//! Owns what the settings say of sessions: whether they share a child, how many there may be, and when one is over.
//!
//! ```toml
//! [sessions]
//! child = "shared"              # or "each": a child of its own for every session
//! most = 64                     # at once: 10000 where they share, 64 where each has a child
//! idle_seconds = 1800           # without a request or an open stream
//! ```

use std::time::Duration;

use serde::Deserialize;

/// Ten thousand sessions take a few megabytes.
const SHARED_MOST: usize = 10_000;
/// As many servers as a machine runs beside its work; each is some tens of megabytes.
const EACH_MOST: usize = 64;
/// A client that comes back later than this initializes again.
const IDLE: Duration = Duration::from_secs(30 * 60);

/// What sessions are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// Whose child they talk to.
    pub child: Sharing,
    /// How many there may be at once; at least one.
    pub most: usize,
    /// How long one may be idle; at least a second.
    pub idle: Duration,
}

/// Whose child sessions talk to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sharing {
    /// All to one.
    #[default]
    Shared,
    /// Each to one of its own.
    Each,
}

/// The table of the settings.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Table {
    child: Sharing,
    most: Option<usize>,
    idle_seconds: Option<u64>,
}

// === impl SessionSettings, Table ===

impl Default for SessionSettings {
    fn default() -> Self {
        Self { child: Sharing::Shared, most: SHARED_MOST, idle: IDLE }
    }
}

impl Table {
    /// # Errors
    /// In words, when it makes no sense.
    pub(super) fn read(&self) -> Result<SessionSettings, String> {
        let most = match (self.most, self.child) {
            (Some(most), _) if (1..=SHARED_MOST).contains(&most) => most,
            (Some(_), _) => return Err(format!("`most` is 1 to {SHARED_MOST}")),
            (None, Sharing::Shared) => SHARED_MOST,
            (None, Sharing::Each) => EACH_MOST,
        };
        let idle = match self.idle_seconds {
            Some(0) => return Err("`idle_seconds` must not be 0".to_owned()),
            Some(seconds) => Duration::from_secs(seconds),
            None => IDLE,
        };
        Ok(SessionSettings { child: self.child, most, idle })
    }
}

#[cfg(test)]
mod tests {
    use super::{SessionSettings, Table};

    #[test]
    fn what_is_said_of_sessions_is_read() {
        let read = |text| toml::from_str::<Table>(text).unwrap().read();
        assert_eq!(read(""), Ok(SessionSettings::default()));
        assert_eq!(read("child = 'each'").unwrap().most, 64);
        let all = read("child = 'each'\nmost = 3\nidle_seconds = 5").unwrap();
        assert_eq!((all.most, all.idle.as_secs()), (3, 5));
        for wrong in ["most = 0", "most = 10001", "idle_seconds = 0"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
