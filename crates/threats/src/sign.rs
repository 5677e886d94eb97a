//! Owns what a sign of an attack says: which rule, which kind of attack, where, how sure.

use std::fmt;

use logs::secrets::Secret;
use serde::{Deserialize, Serialize};

/// The longest excerpt that a sign shows, in characters.
const SHOWN_CHARS: usize = 120;

/// So far around an excerpt it is looked for secrets that it cuts through: a long private key.
const AROUND_BYTES: usize = 8 << 10;

/// A kind of attack on an MCP server or its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Class {
    /// A tool is another than the one that was approved.
    RugPull,
    /// The description of a tool gives orders to the model that reads it.
    ToolPoisoning,
    /// A path leads out of where it may.
    PathTraversal,
    /// A value is made to be run.
    CommandInjection,
    /// A secret goes where it does not belong.
    SecretExposure,
    /// Something is made to take a reader's time or memory, or to have it fetch something.
    ResourceAbuse,
    /// Somebody looks for what there is, or for what they may.
    Probing,
}

/// How sure a sign is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// Honest ones do this too, now and then.
    Likely,
    /// No honest one does.
    Certain,
}

/// A sign of an attack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sign {
    /// The rule that found it.
    pub rule: &'static str,
    /// The kind of attack that it is one of.
    pub class: Class,
    /// How sure.
    pub certainty: Certainty,
    /// Where, as a JSON pointer into what was looked at.
    pub at: String,
    /// What was seen, cut off, with secrets hidden and nothing that moves a cursor.
    pub shown: String,
}

// === impl Class ===

impl Class {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::RugPull,
        Self::ToolPoisoning,
        Self::PathTraversal,
        Self::CommandInjection,
        Self::SecretExposure,
        Self::ResourceAbuse,
        Self::Probing,
    ];

    /// Its name, as settings, logs and metrics have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::RugPull => "rug_pull",
            Self::ToolPoisoning => "tool_poisoning",
            Self::PathTraversal => "path_traversal",
            Self::CommandInjection => "command_injection",
            Self::SecretExposure => "secret_exposure",
            Self::ResourceAbuse => "resource_abuse",
            Self::Probing => "probing",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl Sign ===

impl Sign {
    pub(crate) fn new(
        (rule, class, certainty): (&'static str, Class, Certainty),
        at: &str,
        text: &str,
        found: std::ops::Range<usize>,
    ) -> Self {
        Self { rule, class, certainty, at: at.to_owned(), shown: shown(text, found) }
    }

    /// The sign of a secret, which shows nothing of it but its form and how long it is.
    pub(crate) fn of_secret(rule: &'static str, certainty: Certainty, at: &str, secret: &Secret) -> Self {
        let shown = format!("{} of {} bytes", secret.form, secret.at.len());
        Self { rule, class: Class::SecretExposure, certainty, at: at.to_owned(), shown }
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) at `{}`: {}", self.class, self.rule, self.at, self.shown)
    }
}

/// What stands around what was found. What is not seen on a screen is written as its number, and secrets are hidden, also
/// those that the excerpt cuts through.
fn shown(text: &str, found: std::ops::Range<usize>) -> String {
    let before = text[..found.start].chars().rev().take(SHOWN_CHARS / 4).map(char::len_utf8).sum::<usize>();
    let from = found.start - before;
    let around = near(text, from.saturating_sub(AROUND_BYTES))..near(text, from + AROUND_BYTES);
    let spans: Vec<_> = logs::redact::spans(&text[around.clone()]);
    let hidden = |at: usize| spans.iter().position(|span| span.contains(&(at - around.start)));
    let mut out = String::with_capacity(SHOWN_CHARS);
    let mut last = None;
    for (at, c) in text[from..around.end].char_indices().take(SHOWN_CHARS) {
        match hidden(from + at) {
            Some(span) if last == Some(span) => {}
            Some(span) => {
                out.push_str(logs::redact::REDACTED);
                last = Some(span);
            }
            None if c.is_control() || crate::prose::is_hidden(c) => {
                out.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
            }
            None => out.push(c),
        }
    }
    out
}

/// The place of a character at this byte or after it.
fn near(text: &str, mut at: usize) -> usize {
    while at < text.len() && !text.is_char_boundary(at) {
        at += 1;
    }
    at.min(text.len())
}
