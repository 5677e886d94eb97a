//! Owns the words of `paramedic server logs`.

use std::time::Duration;

use clap::Args;

use super::duration;
use super::hold::moment;

#[derive(Debug, Args)]
pub(crate) struct LogsArguments {
    /// The server
    pub(crate) name: String,
    /// Nothing older: a duration before now, or a time such as 2026-11-24T06:00:00Z
    #[arg(long, value_name = "DURATION|TIME", value_parser = since)]
    pub(crate) since: Option<Since>,
    /// At most so many lines, the newest
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub(crate) lines: u32,
    /// Go on with what comes
    #[arg(short, long)]
    pub(crate) follow: bool,
}

/// From when on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// So long before now.
    Ago(Duration),
    /// A moment, in milliseconds since the Unix epoch.
    Moment(i64),
}

// === impl Since ===

impl Since {
    /// The moment, in milliseconds since the Unix epoch.
    pub(crate) fn at_ms(self, now_ms: i64) -> i64 {
        match self {
            Self::Ago(time) => now_ms.saturating_sub(super::millis(time)),
            Self::Moment(at_ms) => at_ms,
        }
    }
}

fn since(text: &str) -> Result<Since, String> {
    duration(text).map(Since::Ago).or_else(|_| moment(text).map(Since::Moment)).map_err(|_| {
        format!("`{text}` is neither a duration, such as 10m, nor a time, such as 2026-11-24T06:00:00Z")
    })
}

#[cfg(test)]
mod tests {
    use super::since;

    #[test]
    fn moments() {
        let at = |text| since(text).map(|since| since.at_ms(100_000));
        for (text, expect) in [
            ("10s", Some(90_000)),
            ("1m30s", Some(10_000)),
            ("1970-01-01T00:00:05Z", Some(5_000)),
            ("1970-01-01T01:00:05+01:00", Some(5_000)),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(at(text).ok(), expect, "{text}");
        }
    }
}
