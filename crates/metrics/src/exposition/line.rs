//! Owns the scanner for one series as a metrics page writes it: `name{label="value",…}`.

use std::borrow::Cow;

use crate::labels::{Labels, METRIC_NAME, is_metric_byte};

/// Real series have a handful of labels; Prometheus' own advice is to stay below 10.
const LABELS_MAX: usize = 64;

/// Why a line is not a sample.
#[derive(Debug, thiserror::Error)]
pub(super) enum Malformed {
    #[error("line is longer than {0} bytes")]
    Long(usize),
    #[error("expected the name of a metric at `{0}`")]
    Name(String),
    #[error("expected the name of a label in `{0}`")]
    LabelName(String),
    #[error("label `{0}` is given twice")]
    Twice(String),
    #[error("series has more than {0} labels")]
    Labels(usize),
    #[error("expected `{expected}` at `{near}`")]
    Expected { expected: char, near: String },
    #[error("text starting at `{0}` has no closing quote")]
    Open(String),
    #[error("series `{0}` has no value")]
    NoValue(Labels),
    #[error("value `{1}` of `{0}` is not a number")]
    Value(Labels, String),
    #[error("timestamp `{1}` of `{0}` cannot be read")]
    Time(Labels, String),
    #[error("unexpected `{1}` after the value of `{0}`")]
    Trailing(Labels, String),
}

type Pair<'l> = (Cow<'l, str>, Cow<'l, str>);

struct Cursor<'l> {
    line: &'l str,
    /// A byte offset that always lies between two characters: it only moves past ASCII, or to a delimiter.
    at: usize,
}

/// Reads the series at the start of a line; returns it and what follows it.
pub(super) fn series(line: &str) -> Result<(Labels, &str), Malformed> {
    let mut cursor = Cursor { line, at: 0 };
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    let name = cursor.word();
    if !name.is_empty() {
        pairs.push((METRIC_NAME.into(), name.into()));
    }
    cursor.skip_blanks();
    if cursor.eat('{') {
        cursor.labels(&mut pairs)?;
    }
    let named = pairs.iter().any(|(name, _)| name == METRIC_NAME);
    if !named || name.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(Malformed::Name(excerpt(line)));
    }
    Ok((pairs.into_iter().collect(), cursor.rest()))
}

// === impl Cursor ===

impl<'l> Cursor<'l> {
    fn rest(&self) -> &'l str {
        &self.line[self.at..]
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn eat(&mut self, expected: char) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len_utf8();
        }
        found
    }

    fn expect(&mut self, expected: char) -> Result<(), Malformed> {
        self.skip_blanks();
        if self.eat(expected) {
            return Ok(());
        }
        Err(Malformed::Expected { expected, near: excerpt(self.rest()) })
    }

    /// Takes an unquoted name, which may be empty.
    fn word(&mut self) -> &'l str {
        let rest = self.rest();
        let length = rest.bytes().take_while(|byte| is_metric_byte(*byte)).count();
        self.at += length;
        &rest[..length]
    }

    /// Takes everything up to the closing brace, whose opening one is taken already.
    fn labels(&mut self, pairs: &mut Vec<Pair<'l>>) -> Result<(), Malformed> {
        loop {
            self.skip_blanks();
            if self.eat('}') {
                return Ok(());
            }
            let pair = self.label()?;
            if pairs.iter().any(|(known, _)| *known == pair.0) {
                return Err(Malformed::Twice(pair.0.into_owned()));
            }
            if pairs.len() > LABELS_MAX {
                return Err(Malformed::Labels(LABELS_MAX));
            }
            pairs.push(pair);
            self.skip_blanks();
            if !self.eat(',') {
                return self.expect('}');
            }
        }
    }

    /// Takes `name="value"`, `"quoted name"="value"`, or a quoted name alone, which is the metric's.
    fn label(&mut self) -> Result<Pair<'l>, Malformed> {
        let name = if self.rest().starts_with('"') {
            let name = self.quoted()?;
            self.skip_blanks();
            if !self.rest().starts_with('=') {
                return Ok((METRIC_NAME.into(), name));
            }
            name
        } else {
            Cow::Borrowed(self.word())
        };
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) || name == METRIC_NAME {
            return Err(Malformed::LabelName(excerpt(self.line)));
        }
        self.expect('=')?;
        self.skip_blanks();
        Ok((name, self.quoted()?))
    }

    /// Takes a quoted text and undoes its escapes; an unknown escape stays as it is written.
    fn quoted(&mut self) -> Result<Cow<'l, str>, Malformed> {
        let whole = self.rest();
        self.expect('"')?;
        let rest = self.rest();
        let mut escaped = false;
        let end = rest.bytes().position(|byte| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        });
        let end = end.ok_or_else(|| Malformed::Open(excerpt(whole)))?;
        self.at += end + 1;
        Ok(unescape(&rest[..end]))
    }
}

fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => plain.push('\n'),
            Some(known @ ('\\' | '"')) => plain.push(known),
            Some(other) => plain.extend(['\\', other]),
            None => plain.push('\\'),
        }
    }
    Cow::Owned(plain)
}

/// The beginning of a text, short enough for a message.
fn excerpt(text: &str) -> String {
    const CHARACTERS: usize = 40;
    let mut short: String = text.chars().take(CHARACTERS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
