//! Owns the reading of one sample as a metrics page writes it: `name{label="value",…} value timestamp # exemplar`.

use std::borrow::Cow;

use super::{Format, PageLimits};
use crate::labels::{Labels, METRIC_NAME, is_metric_byte};

/// Why a line is not a sample.
#[derive(Debug, thiserror::Error)]
pub(super) enum Malformed {
    #[error("line is longer than {0} bytes")]
    Long(usize),
    #[error("line is not UTF-8")]
    Utf8,
    #[error("expected the name of a metric at `{0}`")]
    Name(String),
    #[error("expected the name of a label in `{0}`")]
    LabelName(String),
    #[error("label `{0}` is given twice")]
    Twice(String),
    #[error("series has more than {0} labels")]
    Labels(usize),
    #[error("name or value of a label is longer than {max} bytes: `{near}`")]
    LongLabel { max: usize, near: String },
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
    #[error("exemplar `{1}` of `{0}` cannot be read; the sample is kept")]
    Exemplar(Labels, String),
}

/// The labels of a series in the order of the page, the name of the metric among them.
pub(crate) type Pairs<'l> = Vec<Pair<'l>>;

type Pair<'l> = (Cow<'l, str>, Cow<'l, str>);

/// What follows a series.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tail<'l> {
    pub(super) value: f64,
    pub(super) at_ms: Option<i64>,
    /// The exemplar as it is written, without its `#`.
    exemplar: Option<&'l str>,
}

/// Why something that follows a series cannot be read; it becomes a message beside the series.
#[derive(Debug)]
pub(super) enum BadTail<'l> {
    NoValue,
    Value(&'l str),
    Time(&'l str),
    Trailing(&'l str),
}

struct Cursor<'l> {
    line: &'l str,
    /// A byte offset that always lies between two characters: it only moves past ASCII, or to a delimiter.
    at: usize,
    limits: PageLimits,
}

/// Reads the series at the start of a line; returns it and what follows it.
///
/// What it takes does not depend on what follows, other than that a name ends there.
pub(super) fn series<'l>(line: &'l str, limits: &PageLimits) -> Result<(Pairs<'l>, &'l str), Malformed> {
    let mut cursor = Cursor { line, at: 0, limits: *limits };
    let mut pairs = Pairs::with_capacity(8);
    let name = cursor.word();
    if !name.is_empty() {
        cursor.bound(name)?;
        pairs.push((METRIC_NAME.into(), name.into()));
    }
    let bare = cursor.at;
    cursor.skip_blanks();
    if cursor.eat('{') {
        cursor.labels(&mut pairs)?;
    } else {
        cursor.at = bare;
    }
    let named = pairs.iter().any(|(name, _)| name == METRIC_NAME);
    if !named || name.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(Malformed::Name(excerpt(line)));
    }
    Ok((pairs, cursor.rest()))
}

/// Reads the value, the timestamp and the place of the exemplar.
pub(super) fn tail(rest: &str, format: Format) -> Result<Tail<'_>, BadTail<'_>> {
    let (rest, exemplar) = match (format, rest.split_once('#')) {
        (Format::OpenMetrics, Some((rest, exemplar))) => (rest, Some(exemplar)),
        _ => (rest, None),
    };
    let mut words = rest.split_ascii_whitespace();
    let word = words.next().ok_or(BadTail::NoValue)?;
    let value = word.parse().map_err(|_| BadTail::Value(word))?;
    let mut at_ms = None;
    if let Some(word) = words.next() {
        if word.starts_with('#') {
            return Err(BadTail::Trailing(word));
        }
        at_ms = Some(timestamp(word, format).ok_or(BadTail::Time(word))?);
    }
    match words.next() {
        Some(word) => Err(BadTail::Trailing(word)),
        None => Ok(Tail { value, at_ms, exemplar }),
    }
}

fn timestamp(word: &str, format: Format) -> Option<i64> {
    match format {
        Format::Text => word.parse().ok(),
        Format::OpenMetrics => {
            let seconds: f64 = word.parse().ok()?;
            let at_ms = (seconds * 1000.0).round();
            // A float reaches far beyond what a timestamp can hold.
            (at_ms.abs() < i64::MAX as f64).then_some(at_ms as i64)
        }
    }
}

fn shown(pairs: &Pairs<'_>) -> Labels {
    pairs.iter().map(|(name, value)| (name, value)).collect()
}

// === impl Tail ===

impl Tail<'_> {
    /// Looks at the exemplar, if there is one: `{label="value",…} value timestamp`.
    pub(super) fn check_exemplar(&self, pairs: &Pairs<'_>, limits: &PageLimits) -> Result<(), Malformed> {
        let Some(text) = self.exemplar.map(str::trim_start) else { return Ok(()) };
        let mut cursor = Cursor { line: text, at: 0, limits: *limits };
        let mut labels = Pairs::new();
        let read = cursor.eat('{') && cursor.labels(&mut labels).is_ok();
        let tail = || tail(cursor.rest(), Format::OpenMetrics);
        if read && tail().is_ok_and(|tail| tail.exemplar.is_none()) {
            return Ok(());
        }
        Err(Malformed::Exemplar(shown(pairs), excerpt(text)))
    }
}

// === impl BadTail ===

impl BadTail<'_> {
    pub(super) fn of(self, pairs: &Pairs<'_>) -> Malformed {
        match self {
            Self::NoValue => Malformed::NoValue(shown(pairs)),
            Self::Value(word) => Malformed::Value(shown(pairs), excerpt(word)),
            Self::Time(word) => Malformed::Time(shown(pairs), excerpt(word)),
            Self::Trailing(word) => Malformed::Trailing(shown(pairs), excerpt(word)),
        }
    }
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

    /// Refuses a name or a value that is too long.
    fn bound(&self, text: &str) -> Result<(), Malformed> {
        let max = self.limits.label_bytes_max;
        if text.len() > max { Err(Malformed::LongLabel { max, near: excerpt(text) }) } else { Ok(()) }
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
            // The name of the metric is among the pairs.
            if pairs.len() > self.limits.labels_max {
                return Err(Malformed::Labels(self.limits.labels_max));
            }
            self.bound(&pair.0)?;
            self.bound(&pair.1)?;
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
        let mut end = 0;
        loop {
            match memchr::memchr2(b'"', b'\\', &rest.as_bytes()[end..]) {
                Some(found) if rest.as_bytes()[end + found] == b'"' => {
                    end += found;
                    break;
                }
                // What follows a backslash is not looked at.
                Some(found) if end + found + 2 <= rest.len() => end += found + 2,
                _ => return Err(Malformed::Open(excerpt(whole))),
            }
        }
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
