//! Owns the name of an incident: short enough to type at 3 a.m., and sorted by time.

use std::fmt;

use chrono::DateTime;
use serde::{Deserialize, Serialize};

/// The name of an incident: the UTC time at which it was opened and four random hexadecimal digits, as in
/// `20261123-184501-7f3a`.
///
/// A person may type any part of it that names one incident only (see [`IncidentId::matches`]).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentId(String);

impl IncidentId {
    /// Makes the name of an incident opened at `at_ms` (milliseconds since the Unix epoch).
    pub fn new(at_ms: i64, random: u16) -> Self {
        let opened = DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
        Self(format!("{}-{random:04x}", opened.format("%Y%m%d-%H%M%S")))
    }

    /// Takes a name as it stands, for example from the journal.
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether what a person typed can mean this incident: its whole name, its beginning or its end.
    pub fn matches(&self, typed: &str) -> bool {
        typed.len() >= 4 && (self.0.starts_with(typed) || self.0.ends_with(typed))
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_time_and_four_digits() {
        assert_eq!(IncidentId::new(1_795_459_501_250, 0x7f3a).as_str(), "20261123-184501-7f3a");
        assert_eq!(IncidentId::new(951_782_400_000, 0).as_str(), "20000229-000000-0000");
    }

    #[test]
    fn a_part_that_names_it_is_enough() {
        let id = IncidentId::new(1_795_459_501_250, 0x7f3a);
        assert!(id.matches("20261123-184501-7f3a") && id.matches("7f3a") && id.matches("20261123"));
        assert!(!id.matches("3a") && !id.matches("184501"));
    }
}
