//! Owns what one line says, whatever program wrote it: JSON with the names that the field uses, or text.

use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
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
            let entry = Self::of_heads(|name| fields.get(name), clock);
            return Self { fields: Some(fields), ..entry };
        }
        Self::of_text(&String::from_utf8_lossy(line), clock)
    }

    /// Reads of a line of JSON only when it was written, how serious it is and whose it is, which costs a fraction. None
    /// where it is no JSON.
    pub(crate) fn peek(line: &[u8], clock: Clock) -> Option<Self> {
        if !line.trim_ascii_start().starts_with(b"{") {
            return None;
        }
        let Heads(heads) = serde_json::from_slice(line.trim_ascii_end()).ok()?;
        // Of two with one name the last counts, as in a map.
        let get = |name: &str| heads.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value);
        Some(Self { fields: Some(Map::new()), ..Self::of_heads(get, clock) })
    }

    /// What fields say, but for the fields themselves.
    fn of_heads<'v>(get: impl Fn(&str) -> Option<&'v Value>, clock: Clock) -> Self {
        let text = |names: &[&str]| names.iter().find_map(|name| get(name)?.as_str());
        let level = LEVELS.iter().find_map(|name| match get(name)? {
            Value::String(name) => Level::of_name(name),
            Value::Number(number) => Level::of_pino(number.as_i64()?),
            _ => None,
        });
        let levelno = || get("levelno").and_then(Value::as_i64).and_then(Level::of_python);
        Self {
            at_ms: TIMES.iter().find_map(|name| stamp::of_value(get(name)?, clock)),
            level: level.or_else(levelno),
            server: text(&SERVERS).map(str::to_owned),
            event: text(&["event"]).unwrap_or_default().to_owned(),
            message: text(&MESSAGES).unwrap_or_default().to_owned(),
            fields: None,
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

/// The fields that say when, how serious and whose; the others are passed over.
struct Heads(Vec<(&'static str, Value)>);

impl<'de> Deserialize<'de> for Heads {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadsVisitor)
    }
}

struct HeadsVisitor;

impl<'de> Visitor<'de> for HeadsVisitor {
    type Value = Heads;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Heads, A::Error> {
        // A time, a level, a server.
        let mut heads = Vec::with_capacity(4);
        while let Some(Key(name)) = map.next_key()? {
            match name {
                Some(name) => {
                    heads.push((name, map.next_value()?));
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Heads(heads))
    }
}

/// The name of a field, where it is one of the heads.
struct Key(Option<&'static str>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Key, E> {
        Ok(Key(head(name)))
    }
}

/// The name of a field that is one of the heads. Every name of every line comes by: this is told apart by length first.
fn head(name: &str) -> Option<&'static str> {
    Some(match name {
        "ts" => "ts",
        "time" => "time",
        "timestamp" => "timestamp",
        "@timestamp" => "@timestamp",
        "datetime" => "datetime",
        "asctime" => "asctime",
        "t" => "t",
        "level" => "level",
        "severity" => "severity",
        "lvl" => "lvl",
        "levelname" => "levelname",
        "log.level" => "log.level",
        "loglevel" => "loglevel",
        "levelno" => "levelno",
        "server" => "server",
        "server_name" => "server_name",
        "service" => "service",
        _ => return None,
    })
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
    use super::{Entry, LEVELS, SERVERS, TIMES, head};
    use crate::level::Level;
    use crate::stamp::Clock;

    #[test]
    fn every_head_is_known() {
        for name in TIMES.iter().chain(&LEVELS).chain(&SERVERS).chain(&["levelno"]) {
            assert_eq!(head(name), Some(*name));
        }
        assert_eq!(head("message"), None);
    }

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
            (r#"{"level":"info","level":"error","time":"soon","ts":1}"#, Some(1000), Some(Level::Error), ""),
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
            if let Some(heads) = Entry::peek(line.as_bytes(), clock) {
                assert_eq!((heads.at_ms, heads.level, heads.server), (at_ms, level, entry.server), "{line}");
            } else {
                assert!(entry.fields.is_none(), "{line}");
            }
        }
        let torn = Entry::read(b"\xff\xfe{", clock);
        assert_eq!(torn.message, "\u{fffd}\u{fffd}{");
    }
}
