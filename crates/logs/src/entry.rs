//! Owns what one line says, whatever program wrote it: JSON with the names that the field uses, or text.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::level::Level;
use crate::stamp::{self, Clock};

/// What a line says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: Option<i64>,
    /// How serious it is.
    pub level: Option<Level>,
    /// Whose line it is, where it says so.
    pub server: Option<String>,
    /// What it is about; empty where it does not say.
    pub event: String,
    /// What it says.
    pub message: String,
    /// All fields of a line of JSON; none of a line of text.
    pub fields: Option<Map<String, Value>>,
}

const TIMES: [&str; 7] = ["ts", "time", "timestamp", "@timestamp", "datetime", "asctime", "t"];
const LEVELS: [&str; 6] = ["level", "severity", "lvl", "levelname", "log.level", "loglevel"];
const SERVERS: [&str; 3] = ["server", "server_name", "service"];
const MESSAGES: [&str; 5] = ["message", "msg", "text", "error", "event"];

// === impl Entry ===

impl Entry {
    /// Reads a line, without its end. Never fails: what is not understood is text without a time.
    pub fn read(line: &[u8], clock: Clock) -> Self {
        let line = line.trim_ascii_end();
        if line.trim_ascii_start().starts_with(b"{")
            && let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(line)
        {
            return Self::of_fields(fields, clock);
        }
        Self::of_text(&String::from_utf8_lossy(line), clock)
    }

    fn of_fields(fields: Map<String, Value>, clock: Clock) -> Self {
        let text = |names: &[&str]| names.iter().find_map(|name| fields.get(*name)?.as_str());
        let level = LEVELS.iter().find_map(|name| match fields.get(*name)? {
            Value::String(name) => Level::of_name(name),
            Value::Number(number) => Level::of_pino(number.as_i64()?),
            _ => None,
        });
        let levelno = || fields.get("levelno").and_then(Value::as_i64).and_then(Level::of_python);
        Self {
            at_ms: TIMES.iter().find_map(|name| stamp::of_value(fields.get(*name)?, clock)),
            level: level.or_else(levelno),
            server: text(&SERVERS).map(str::to_owned),
            event: text(&["event"]).unwrap_or_default().to_owned(),
            message: text(&MESSAGES).unwrap_or_default().to_owned(),
            fields: Some(fields),
        }
    }

    fn of_text(line: &str, clock: Clock) -> Self {
        let (at_ms, rest) = match stamp::of_line(line, clock) {
            Some((at_ms, end)) => (Some(at_ms), line[end..].trim_start()),
            None => (None, line),
        };
        let level = Level::of_text(rest).or_else(|| klog(rest, at_ms));
        Self { at_ms, level, server: None, event: String::new(), message: rest.to_owned(), fields: None }
    }

    /// A text of one of its fields.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.as_ref()?.get(name)?.as_str()
    }

    /// A number of one of its fields.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.fields.as_ref()?.get(name)?.as_f64()
    }
}

/// The level that klog writes as the first letter of a line, which then says its time.
fn klog(text: &str, at_ms: Option<i64>) -> Option<Level> {
    at_ms?;
    text.as_bytes().get(1).filter(|byte| byte.is_ascii_digit())?;
    Some(match text.as_bytes()[0] {
        b'I' => Level::Info,
        b'W' => Level::Warning,
        b'E' => Level::Error,
        b'F' => Level::Critical,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::Entry;
    use crate::level::Level;
    use crate::stamp::Clock;

    #[test]
    fn what_lines_say() {
        let clock = Clock { local: |time| time.and_utc().timestamp_millis(), written_ms: 1_780_000_000_000 };
        for (line, at_ms, level, message) in [
            (
                r#"{"ts":"1970-01-01T00:00:01Z","level":"error","event":"system","message":"m"}"#,
                Some(1000),
                Some(Level::Error),
                "m",
            ),
            (
                r#"{"time":1767322800000,"level":30,"msg":"m"}"#,
                Some(1_767_322_800_000),
                Some(Level::Info),
                "m",
            ),
            (r#"{"levelno":30,"msg":"m"}"#, None, Some(Level::Warning), "m"),
            (r#"{"level":"x"}"#, None, None, ""),
            (
                "1970-01-01 00:00:01,000 - root - ERROR - m",
                Some(1000),
                Some(Level::Error),
                "- root - ERROR - m",
            ),
            (
                "W0102 03:04:05.000000 1 x.go:1] m",
                Some(1_767_323_045_000),
                Some(Level::Warning),
                "W0102 03:04:05.000000 1 x.go:1] m",
            ),
            ("{\"ts\":\"2026", None, None, "{\"ts\":\"2026"),
            ("  at x (y:1)\r", None, None, "  at x (y:1)"),
            ("", None, None, ""),
        ] {
            let entry = Entry::read(line.as_bytes(), clock);
            assert_eq!((entry.at_ms, entry.level, entry.message.as_str()), (at_ms, level, message), "{line}");
        }
        let torn = Entry::read(b"\xff\xfe{", clock);
        assert_eq!(torn.message, "\u{fffd}\u{fffd}{");
    }
}
