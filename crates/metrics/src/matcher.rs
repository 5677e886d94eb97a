//! Owns matchers: which alerts a silence or an inhibition is about, in Alertmanager's notation and with its meaning.
//!
//! `name="value"`, `!=`, `=~` and `!~`. Regular expressions match the whole value. A label that an alert does not have
//! has the empty value.

mod parse;

use std::fmt;
use std::str::FromStr;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::labels::{Labels, is_label_name, quoted};

pub use parse::parse_matchers;

/// The largest compiled regular expression, in bytes: a list of names is far below it, and it is held for each matcher.
const REGEX_BYTES_MAX: usize = 1024 * 1024;

/// A value that no label has: whoever accepts it accepts nearly everything.
const UNLIKELY_VALUE: &str = "\u{fffd}no label has this value\u{fffd}";

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Matches,
    /// `!~`
    MatchesNot,
}

/// A condition on one label.
#[derive(Clone)]
pub struct Matcher {
    name: String,
    comparison: Comparison,
    value: String,
    regex: Option<Regex>,
}

/// A text that is no matcher, and where it goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {position} of `{text}`: {problem}")]
pub struct MatcherError {
    /// The whole text.
    pub text: String,
    /// The character at which it goes wrong, from 1.
    pub position: usize,
    /// What is wrong there.
    pub problem: String,
}

// === impl Comparison ===

impl Comparison {
    fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Matches => "=~",
            Self::MatchesNot => "!~",
        }
    }

    fn is_regex(self) -> bool {
        matches!(self, Self::Matches | Self::MatchesNot)
    }
}

// === impl Matcher ===

impl Matcher {
    /// Returns the matcher of these parts.
    ///
    /// # Errors
    /// Where the name is empty, or the value is no regular expression and has to be one.
    pub fn new(name: &str, comparison: Comparison, value: &str) -> Result<Self, MatcherError> {
        Self::of_parts(name, comparison, value).map_err(|problem| MatcherError {
            text: format!("{name}{}{value}", comparison.sign()),
            position: 1,
            problem,
        })
    }

    fn of_parts(name: &str, comparison: Comparison, value: &str) -> Result<Self, String> {
        if name.is_empty() {
            return Err("the name of a label is not empty".to_owned());
        }
        let regex = comparison.is_regex().then(|| anchored(value)).transpose()?;
        Ok(Self { name: name.to_owned(), comparison, value: value.to_owned(), regex })
    }

    /// Tells whether these labels fulfil the condition.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.accepts(labels.get(&self.name).unwrap_or_default())
    }

    /// Tells whether the condition leaves out next to nothing: it holds where the label is absent, or for any value.
    pub fn is_open(&self) -> bool {
        self.accepts("") || self.accepts(UNLIKELY_VALUE)
    }

    fn accepts(&self, value: &str) -> bool {
        let same = match &self.regex {
            Some(regex) => regex.is_match(value),
            None => self.value == value,
        };
        same == matches!(self.comparison, Comparison::Equal | Comparison::Matches)
    }
}

/// Tells whether labels fulfil all conditions; where there is none, they do.
pub fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels))
}

fn anchored(pattern: &str) -> Result<Regex, String> {
    // Alone first: a parenthesis that closes ours must not pass.
    let build = |text: &str| RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).build();
    build(pattern)
        .and_then(|_| build(&format!("^(?:{pattern})$")))
        .map_err(|error| format!("it is no regular expression: {}", last_line(&error.to_string())))
}

/// The reason stands in the last line; those before it draw the pattern.
fn last_line(text: &str) -> String {
    let line = text.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.comparison, &self.value) == (&other.name, other.comparison, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if is_label_name(&self.name) { self.name.clone() } else { quoted(&self.name) };
        write!(f, "{name}{}{}", self.comparison.sign(), quoted(&self.value))
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Matcher {
    type Err = MatcherError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut matchers = parse_matchers(text)?;
        match matchers.pop() {
            Some(only) if matchers.is_empty() => Ok(only),
            _ => Err(MatcherError {
                text: text.to_owned(),
                position: 1,
                problem: "exactly one matcher is wanted, for example server_name=\"a\"".to_owned(),
            }),
        }
    }
}

impl Serialize for Matcher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
