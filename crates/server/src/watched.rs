//! Owns that a server is looked at more closely for a while: probes, looks for intruders and checks of its data come four
//! times as often, for as long as its controls say, which its guard reads too.

use std::time::Duration;

use incident::change::read_place;
use serde::Deserialize;

use crate::config::Config;
use crate::tuning::controls_path;

/// So many times as often: a probe each few seconds, a look for intruders each few. More would be load without news.
pub(crate) const TIMES: u32 = 4;

/// What of a server's controls is of interest here.
#[derive(Deserialize)]
struct Controls {
    watched: Option<Watched>,
}

/// Until when a server is looked at more closely, and on whose word.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Watched {
    until_ms: i64,
    set: Set,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Set {
    by: String,
}

// === impl Watched ===

impl Watched {
    /// Whether the server is looked at more closely by then. What cannot be read says nothing: its guard is read-only then,
    /// and tells why.
    pub(crate) fn of(config: &Config, server: &str, now_ms: i64) -> Option<Self> {
        Self::parse(&read_place(&controls_path(config, server)).ok()??, now_ms)
    }

    fn parse(text: &str, now_ms: i64) -> Option<Self> {
        let controls: Controls = serde_json::from_str(text).ok()?;
        controls.watched.filter(|watched| now_ms < watched.until_ms)
    }

    /// For people.
    pub(crate) fn words(&self) -> String {
        let until = chrono::DateTime::from_timestamp_millis(self.until_ms).unwrap_or_default();
        let until = until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        format!("{TIMES} times as often until {until}, and the arguments of all calls, by {}", self.set.by)
    }
}

/// The time between two looks at a server that is looked at every `usual`.
pub(crate) fn pace(usual: Duration, watched: Option<&Watched>) -> Duration {
    if watched.is_some() { usual / TIMES } else { usual }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_until_its_time() {
        let check = |text: &str, now_ms: i64, expect: Option<i64>| {
            let watched = Watched::parse(text, now_ms);
            assert_eq!(watched.as_ref().map(|watched| watched.until_ms), expect, "{text}");
            let expect = if expect.is_some() { 15 } else { 60 };
            assert_eq!(pace(Duration::from_secs(60), watched.as_ref()), Duration::from_secs(expect));
        };
        let text = r#"{"version":1,"blocks":[],"watched":{"until_ms":100,"set":{"by":"ada","at_ms":1}}}"#;
        check(text, 99, Some(100));
        check(text, 100, None);
        check(r#"{"version":1}"#, 0, None);
        check("nonsense", 0, None);
        let words = Watched::parse(text, 0).unwrap().words();
        assert!(words.contains("until 1970-01-01T00:00:00Z") && words.contains("by ada"), "{words}");
    }
}
