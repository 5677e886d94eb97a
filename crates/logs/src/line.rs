//! Owns one line of a log: its bytes as they are, and what it says where it is JSON.

use chrono::DateTime;
use serde_json::{Map, Value};

/// A line, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// As it stands in the file; what is over a mebibyte is cut off.
    pub bytes: Vec<u8>,
}

/// What a line of JSON says.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: Option<i64>,
    /// How serious it is.
    pub level: String,
    /// What it is about.
    pub event: String,
    /// What it says.
    pub message: String,
    /// All its fields.
    pub fields: Map<String, Value>,
}

// === impl Line ===

impl Line {
    /// What it says; nothing where it is no JSON object, such as a line that was cut off.
    pub fn said(&self) -> Option<Said> {
        let fields: Map<String, Value> = serde_json::from_slice(&self.bytes).ok()?;
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let at = text("ts").and_then(|ts| DateTime::parse_from_rfc3339(ts).ok());
        Some(Said {
            at_ms: at.map(|at| at.timestamp_millis()),
            level: text("level").unwrap_or_default().to_owned(),
            event: text("event").unwrap_or_default().to_owned(),
            message: text("message").unwrap_or_default().to_owned(),
            fields,
        })
    }

    /// The line as text; what is no text in it is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// When it was written, where it says so.
    pub(crate) fn at_ms(&self) -> Option<i64> {
        self.said()?.at_ms
    }
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn what_lines_say() {
        let said = |text: &str| Line { bytes: text.into() }.said();
        let full = said(
            r#"{"ts":"1970-01-01T00:00:01.500Z","level":"error","event":"system","message":"m","pid":7}"#,
        )
        .unwrap();
        assert_eq!((full.at_ms, full.level.as_str(), full.event.as_str()), (Some(1500), "error", "system"));
        assert_eq!((full.message.as_str(), full.fields["pid"].as_i64()), ("m", Some(7)));
        let bare = said(r#"{"ts":"soon","level":3}"#).unwrap();
        assert_eq!((bare.at_ms, bare.level.as_str(), bare.message.as_str()), (None, "", ""));
        for text in ["", "Traceback (most recent call last):", "[1]", "7", r#"{"ts":"1970-01-01T00"#] {
            assert_eq!(said(text), None, "{text}");
        }
    }
}
