//! Owns silences: stretches of time in which alerts that match are nobody's business.
//!
//! They are stored as one JSON document, `{"version":1,"last":3,"silences":[…]}`, in version 1 of its form, with the
//! matchers as text. What is not understood of it silences nothing: whoever reads it has to say so.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::labels::Labels;
use crate::matcher::{Matcher, all_match};

/// The version of the form below.
const VERSION: u32 = 1;

/// How many silences there may be: more are a mistake in a loop, and each is tried on each alert.
const SILENCES_MAX: usize = 1_000;

/// How long a silence that is over is still shown; the same as in Alertmanager.
const EXPIRED_RETENTION_MS: i64 = 5 * 24 * 60 * 60_000;

/// The longest comment or name, in bytes: it stands in lists.
const TEXT_BYTES_MAX: usize = 1_024;

/// Where a silence stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SilenceState {
    /// It has not begun.
    Pending,
    /// It silences.
    Active,
    /// It is over.
    Expired,
}

/// Whether a silence may be about nearly everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breadth {
    /// It may not.
    Narrow,
    /// It may: somebody has said that it is meant.
    Any,
}

/// A stretch of time in which the alerts that match are silent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Silence {
    /// Its number, by which it is ended. No other silence ever has it.
    pub number: u32,
    /// All of them have to match.
    #[schemars(with = "Vec<String>")]
    pub matchers: Vec<Matcher>,
    /// When it begins, in milliseconds since the Unix epoch.
    pub starts_ms: i64,
    /// When it is over, in milliseconds since the Unix epoch.
    pub ends_ms: i64,
    /// Who said so.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// All silences.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Silences {
    last: u32,
    silences: Vec<Silence>,
}

/// Why a silence or a list of them cannot be taken.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SilenceError {
    #[error("it is no list of silences")]
    Form(#[from] serde_json::Error),
    #[error("it is of version {0}, and this Paramedic knows version {VERSION}")]
    Version(u32),
    #[error("it would hold {0} silences, and {SILENCES_MAX} are the most")]
    TooMany(usize),
    #[error("the silence has to end after it begins, and after now")]
    Empty,
    #[error("the {0} is empty, or longer than {TEXT_BYTES_MAX} bytes")]
    Text(&'static str),
    #[error(
        "it would silence nearly everything: no matcher leaves anything out (an absent label is an empty one)"
    )]
    Broad,
    #[error("there is no silence {0} that is not over; `paramedic alert silence list` shows them")]
    None(u32),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    last: u32,
    silences: Vec<Silence>,
}

/// The version alone, so that a later form is called by its name.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

// === impl Silence ===

impl Silence {
    /// Returns where it stands.
    pub fn state(&self, now_ms: i64) -> SilenceState {
        if self.ends_ms <= now_ms {
            SilenceState::Expired
        } else if now_ms < self.starts_ms {
            SilenceState::Pending
        } else {
            SilenceState::Active
        }
    }
}

// === impl Silences ===

impl Silences {
    /// Reads the stored form.
    ///
    /// # Errors
    /// Where it is not understood as a whole.
    pub fn parse(text: &str) -> Result<Self, SilenceError> {
        let Versioned { version } = serde_json::from_str(text)?;
        if version != VERSION {
            return Err(SilenceError::Version(version));
        }
        let Document { last, silences, .. } = serde_json::from_str(text)?;
        if silences.len() > SILENCES_MAX {
            return Err(SilenceError::TooMany(silences.len()));
        }
        // The stored list may have been written by hand.
        let last = silences.iter().map(|one| one.number).max().unwrap_or(0).max(last);
        Ok(Self { last, silences })
    }

    /// The stored form.
    ///
    /// # Errors
    /// Where it has no JSON form.
    pub fn to_json(&self) -> Result<String, SilenceError> {
        let document = Document { version: VERSION, last: self.last, silences: self.silences.clone() };
        Ok(serde_json::to_string_pretty(&document)? + "\n")
    }

    /// All of them, oldest first, those too that were over within the last five days.
    pub fn all(&self, now_ms: i64) -> impl Iterator<Item = &Silence> {
        self.silences.iter().filter(move |one| is_kept(one, now_ms))
    }

    /// The numbers of those that silence an alert with these labels now.
    pub fn silencing(&self, labels: &Labels, now_ms: i64) -> Vec<u32> {
        let silences =
            |one: &&Silence| one.state(now_ms) == SilenceState::Active && all_match(&one.matchers, labels);
        self.silences.iter().filter(silences).map(|one| one.number).collect()
    }

    /// Adds a silence, and forgets those that were over long ago. It gets a number of its own, which is returned.
    ///
    /// # Errors
    /// Where it is over already, says nothing, is about nearly everything and must not be, or is one too many.
    pub fn add(&mut self, silence: Silence, breadth: Breadth, now_ms: i64) -> Result<u32, SilenceError> {
        if silence.ends_ms <= silence.starts_ms.max(now_ms) {
            return Err(SilenceError::Empty);
        }
        for (name, text) in [("comment", &silence.comment), ("name", &silence.created_by)] {
            if text.trim().is_empty() || text.len() > TEXT_BYTES_MAX {
                return Err(SilenceError::Text(name));
            }
        }
        if breadth == Breadth::Narrow && silence.matchers.iter().all(Matcher::is_open) {
            return Err(SilenceError::Broad);
        }
        self.silences.retain(|one| is_kept(one, now_ms));
        if self.silences.len() >= SILENCES_MAX {
            return Err(SilenceError::TooMany(self.silences.len() + 1));
        }
        self.last = self.last.saturating_add(1);
        self.silences.push(Silence { number: self.last, ..silence });
        Ok(self.last)
    }

    /// Ends a silence now, and returns it.
    ///
    /// # Errors
    /// Where there is none of this number that is not over.
    pub fn expire(&mut self, number: u32, now_ms: i64) -> Result<Silence, SilenceError> {
        let is_it = |one: &&mut Silence| one.number == number && one.state(now_ms) != SilenceState::Expired;
        let one = self.silences.iter_mut().find(is_it).ok_or(SilenceError::None(number))?;
        one.starts_ms = one.starts_ms.min(now_ms);
        one.ends_ms = now_ms;
        Ok(one.clone())
    }
}

fn is_kept(silence: &Silence, now_ms: i64) -> bool {
    now_ms.saturating_sub(silence.ends_ms) < EXPIRED_RETENTION_MS
}

#[cfg(test)]
mod tests;
