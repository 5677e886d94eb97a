//! Owns one finding, its written form and its bounds.
//!
//! The form is version 1, one JSON object: `kind`, a lower_snake name, is all that it needs. `subject` says of
//! what, `value` is text, a number or a truth, `severity` is `critical`, `warning` or `info`, `message` is for
//! people. A new field is optional; one that is not known is passed over.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value as Json};

use crate::kind::Kind;
use crate::read::Fault;

/// The longest name of the catalogue has 25 bytes.
const KIND_BYTES_MAX: usize = 64;
/// A path, a host name or the name of a process fits; the same for a value that is text.
const SUBJECT_BYTES_MAX: usize = 256;
/// A sentence or two.
const MESSAGE_BYTES_MAX: usize = 1024;

/// A fact about a server, its machine or something that it needs. Always within its bounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Json")]
pub struct Finding {
    kind: String,
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Scalar>,
    severity: Severity,
    message: String,
}

/// How much a finding matters. A greater one matters more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    #[default]
    Info,
    /// Something is not as it should be.
    Warning,
    /// The server can not work like that.
    Critical,
}

/// The value of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Scalar {
    /// Yes or no.
    Truth(bool),
    /// A number; the kind says of what.
    Number(Number),
    /// A word, mostly one of those that the kind lists.
    Text(String),
}

// === impl Finding ===

impl Finding {
    /// Returns a finding of a known kind, without a value or a message, for information.
    pub fn new(kind: Kind, subject: &str) -> Self {
        Self {
            kind: kind.name.to_owned(),
            subject: bounded(subject, SUBJECT_BYTES_MAX),
            value: None,
            severity: Severity::Info,
            message: String::new(),
        }
    }

    /// Sets the value.
    #[must_use]
    pub fn with_value(self, value: impl Into<Scalar>) -> Self {
        Self { value: Some(value.into().bounded()), ..self }
    }

    /// Sets the severity.
    #[must_use]
    pub fn with_severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    /// Sets the message.
    #[must_use]
    pub fn with_message(self, message: &str) -> Self {
        Self { message: bounded(message, MESSAGE_BYTES_MAX), ..self }
    }

    /// The name of its kind, known or not.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Of what it is true; may be empty.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Its value, where the kind has one.
    pub fn value(&self) -> Option<&Scalar> {
        self.value.as_ref()
    }

    /// How much it matters.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// A sentence for people; may be empty.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The written form: one line of JSON, without its end.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).expect("texts, a scalar and a word are always JSON")
    }

    /// Understands a finding, and tells what of it had to be left out.
    pub(crate) fn understand(json: Json) -> Result<(Self, Vec<Fault>), Fault> {
        let Json::Object(mut fields) = json else { return Err(Fault::NotAnObject) };
        let kind = match fields.remove("kind") {
            Some(Json::String(kind)) if is_name(&kind) => kind,
            Some(Json::String(kind)) => return Err(Fault::BadKind { kind: bounded(&kind, KIND_BYTES_MAX) }),
            _ => return Err(Fault::NoKind),
        };
        let mut faults = Vec::new();
        let subject = text(&mut fields, "subject", SUBJECT_BYTES_MAX, &mut faults);
        let message = text(&mut fields, "message", MESSAGE_BYTES_MAX, &mut faults);
        let severity = severity(fields.remove("severity"), &mut faults);
        let value = match fields.remove("value") {
            None | Some(Json::Null) => None,
            Some(Json::Bool(truth)) => Some(Scalar::Truth(truth)),
            Some(Json::Number(number)) => Some(Scalar::Number(number)),
            Some(Json::String(text)) => Some(Scalar::Text(text).bounded()),
            Some(Json::Array(_) | Json::Object(_)) => {
                faults.push(Fault::Ignored { field: "value" });
                None
            }
        };
        Ok((Self { kind, subject, value, severity, message }, faults))
    }
}

impl TryFrom<Json> for Finding {
    type Error = Fault;

    fn try_from(json: Json) -> Result<Self, Fault> {
        Self::understand(json).map(|(finding, _)| finding)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if !self.subject.is_empty() {
            write!(f, " of `{}`", self.subject)?;
        }
        if let Some(value) = &self.value {
            write!(f, " is {value}")?;
        }
        if !self.message.is_empty() {
            write!(f, " ({})", self.message)?;
        }
        Ok(())
    }
}

// === impl Scalar ===

impl Scalar {
    /// The number that it is; one in quotes counts too, as shell scripts like to write it.
    pub fn number(&self) -> Option<f64> {
        let number = match self {
            Self::Truth(_) => None,
            Self::Number(number) => number.as_f64(),
            Self::Text(text) => text.parse().ok(),
        };
        number.filter(|number: &f64| number.is_finite())
    }

    fn bounded(self) -> Self {
        match self {
            Self::Text(text) => Self::Text(bounded(&text, SUBJECT_BYTES_MAX)),
            other => other,
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truth(truth) => truth.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl From<bool> for Scalar {
    fn from(truth: bool) -> Self {
        Self::Truth(truth)
    }
}

impl From<i64> for Scalar {
    fn from(number: i64) -> Self {
        Self::Number(number.into())
    }
}

impl From<u64> for Scalar {
    fn from(number: u64) -> Self {
        Self::Number(number.into())
    }
}

impl From<f64> for Scalar {
    /// What is not finite has no JSON number: it becomes its word, which no rule takes for a number.
    fn from(number: f64) -> Self {
        Number::from_f64(number).map_or_else(|| Self::Text(number.to_string()), Self::Number)
    }
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Whether this may be the name of a kind.
pub(crate) fn is_name(text: &str) -> bool {
    let of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.len() <= KIND_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(of_name)
}

fn text(fields: &mut Map<String, Json>, field: &'static str, max: usize, faults: &mut Vec<Fault>) -> String {
    match fields.remove(field) {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(text)) => bounded(&text, max),
        // A port or a process.
        Some(Json::Number(number)) => number.to_string(),
        Some(_) => {
            faults.push(Fault::Ignored { field });
            String::new()
        }
    }
}

fn severity(json: Option<Json>, faults: &mut Vec<Fault>) -> Severity {
    let json = json.unwrap_or_default();
    if json.is_null() {
        return Severity::default();
    }
    Severity::deserialize(json).unwrap_or_else(|_| {
        faults.push(Fault::UnknownSeverity);
        Severity::default()
    })
}

/// One line of at most `max` bytes: what steers a terminal is replaced, and `…` stands for what is cut off.
fn bounded(text: &str, max: usize) -> String {
    let mut kept: String =
        text.chars().map(|c| if steers(c) { char::REPLACEMENT_CHARACTER } else { c }).collect();
    if kept.len() > max {
        kept.truncate(kept.floor_char_boundary(max - '…'.len_utf8()));
        kept.push('…');
    }
    kept
}

/// Control characters, ends of lines, and what turns the direction of writing around.
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::{Finding, MESSAGE_BYTES_MAX, SUBJECT_BYTES_MAX, Scalar, Severity, bounded};
    use crate::kind;

    #[test]
    fn the_written_form_is_frozen() {
        let full = Finding::new(kind::DEPENDENCY, "db")
            .with_value("refused")
            .with_severity(Severity::Critical)
            .with_message("connection refused");
        let line = r#"{"kind":"dependency","subject":"db","value":"refused","severity":"critical","message":"connection refused"}"#;
        assert_eq!(full.to_line(), line);
        assert_eq!(full.to_string(), "dependency of `db` is refused (connection refused)");
        let short = Finding::new(kind::READ_ONLY_MOUNT, "");
        assert_eq!(
            short.to_line(),
            r#"{"kind":"read_only_mount","subject":"","severity":"info","message":""}"#
        );
        assert_eq!(serde_json::from_str::<Finding>(r#"{"kind":"read_only_mount"}"#).unwrap(), short);
        assert_eq!(serde_json::from_str::<Finding>(line).unwrap(), full);
        for (value, expect) in
            [(Scalar::from(7_u64), "7"), (Scalar::from(-1.5), "-1.5"), (true.into(), "true")]
        {
            assert_eq!(serde_json::to_string(&value).unwrap(), expect);
        }
    }

    #[test]
    fn texts_are_one_line_and_bounded() {
        assert_eq!(bounded("a\n\u{1b}[31m\u{202e}b", 99), "a\u{fffd}\u{fffd}[31m\u{fffd}b");
        assert_eq!(bounded("1234567", 7), "1234567");
        assert_eq!(bounded("12345678", 7), "1234…");
        assert_eq!(bounded("ääää", 7), "ää…");
        let long = Finding::new(kind::SIGNAL, &"x".repeat(999)).with_message(&"y".repeat(9999));
        assert_eq!((long.subject().len(), long.message().len()), (SUBJECT_BYTES_MAX, MESSAGE_BYTES_MAX));
    }

    #[test]
    fn numbers_in_quotes_are_numbers() {
        for (value, expect) in [
            (Scalar::from("97"), Some(97.0)),
            (Scalar::from(97.5), Some(97.5)),
            (Scalar::from("97 %"), None),
            (Scalar::from("inf"), None),
            (Scalar::from(f64::NAN), None),
            (Scalar::from(true), None),
        ] {
            assert_eq!(value.number(), expect, "{value}");
        }
    }
}
