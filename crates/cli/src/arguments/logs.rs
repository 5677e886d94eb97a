//! Owns the words of `paramedic server logs` and `paramedic logs`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use logs::Level;

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

#[derive(Debug, Args)]
pub(crate) struct SearchArguments {
    /// Files to read, each alone, also compressed ones; `-` is standard input [default: the logs of all servers, with what
    /// was rotated away]
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Lines that have this text; in any case, unless it has a capital
    #[arg(short, long, value_name = "PATTERN")]
    pub(crate) search: Option<String>,
    /// The pattern is a regular expression
    #[arg(long, requires = "search")]
    pub(crate) regex: bool,
    /// Lines of this level, and more serious ones: trace, debug, info, warning, error or critical
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pub(crate) level: Option<Level>,
    /// The log of this server, with what was rotated away, or the journal of its unit; with files, only lines of this
    /// server
    #[arg(long, value_name = "NAME")]
    pub(crate) server: Option<String>,
    /// Nothing older: a duration before now, or a time such as 2026-11-24T06:00:00Z
    #[arg(long, value_name = "DURATION|TIME", value_parser = since)]
    pub(crate) since: Option<Since>,
    /// Nothing newer: a duration before now, or a time
    #[arg(long, value_name = "DURATION|TIME", value_parser = since)]
    pub(crate) until: Option<Since>,
    /// Count: levels, kinds of lines, and the most frequent messages
    #[arg(long)]
    pub(crate) summary: bool,
    /// Say what stands out: messages that became more, errors by kind, calls that were slow or never answered
    #[arg(long, conflicts_with = "summary")]
    pub(crate) analyze: bool,
    /// Go on with what comes, across rotations
    #[arg(short, long, conflicts_with_all = ["summary", "analyze", "until"])]
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

fn level(text: &str) -> Result<Level, String> {
    Level::of_name(text).ok_or_else(|| {
        let names = Level::ALL.map(Level::name).join(", ");
        format!("`{text}` is no level; they are {names}")
    })
}

pub(super) fn since(text: &str) -> Result<Since, String> {
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
