//! Owns `[inbound]`: who may tell of alerts over the network, and where a message has what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bytes, Config, Secret, Span};

/// The largest message that may be allowed: one of Alertmanager with ten thousand alerts has less.
const BODY_MAX: Bytes = Bytes(64 << 20);

/// The least that may be allowed: less holds no alert.
const BODY_MIN: Bytes = Bytes(1 << 10);

/// `[inbound]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Inbound {
    /// Where the word is that senders give as `Authorization: Bearer WORD`. Without it nobody may tell of alerts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// The largest message.
    pub body_max: Bytes,
    /// How long a message may take to arrive, and to be written down.
    pub timeout: Span,
    /// An alert that nobody told of again for so long counts as over.
    pub stale_after: Span,
    /// Where the messages of the webhook have what.
    pub fields: Fields,
}

/// `[inbound.fields]`: JSON pointers (RFC 6901), from an alert of a message; `list` from the whole message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fields {
    /// The list of alerts; where there is none, the message is one alert, or a list of them.
    pub list: String,
    /// The alert's name.
    pub name: String,
    /// The server that it is about.
    pub server: String,
    /// Whether it fires: one of `resolved` where it does not.
    pub status: String,
    /// Its severity.
    pub severity: String,
    /// What tells it from others of the same name and server.
    pub id: String,
    /// One sentence for people.
    pub summary: String,
    /// When it began: RFC 3339, or seconds or milliseconds since the Unix epoch.
    pub starts_at: String,
    /// When it ended, in the same way.
    pub ends_at: String,
    /// More labels: an object of texts.
    pub labels: String,
    /// What `status` says of an alert that is over, in whatever case.
    pub resolved: Vec<String>,
}

// === impl Inbound ===

impl Default for Inbound {
    fn default() -> Self {
        Self {
            token: None,
            body_max: Bytes(8 << 20),
            timeout: Span::seconds(10),
            stale_after: Span::seconds(24 * 60 * 60),
            fields: Fields::default(),
        }
    }
}

// === impl Fields ===

impl Default for Fields {
    fn default() -> Self {
        let text = str::to_owned;
        Self {
            list: text("/alerts"),
            name: text("/name"),
            server: text("/server"),
            status: text("/status"),
            severity: text("/severity"),
            id: text("/id"),
            summary: text("/summary"),
            starts_at: text("/starts_at"),
            ends_at: text("/ends_at"),
            labels: text("/labels"),
            resolved: ["resolved", "ok", "closed", "recovered"].map(text).to_vec(),
        }
    }
}

impl Fields {
    fn pointers(&self) -> [(&'static str, &str); 10] {
        [
            ("list", &self.list),
            ("name", &self.name),
            ("server", &self.server),
            ("status", &self.status),
            ("severity", &self.severity),
            ("id", &self.id),
            ("summary", &self.summary),
            ("starts_at", &self.starts_at),
            ("ends_at", &self.ends_at),
            ("labels", &self.labels),
        ]
    }
}

/// What is wrong with it, each with its key.
pub(super) fn problems(config: &Config) -> Vec<(&'static str, String)> {
    let inbound = &config.inbound;
    let mut found = Vec::new();
    if !(BODY_MIN..=BODY_MAX).contains(&inbound.body_max) {
        found.push(("body_max", format!("a message has at least {BODY_MIN} and at most {BODY_MAX}")));
    }
    for (key, span, least) in [("timeout", inbound.timeout, 10), ("stale_after", inbound.stale_after, 1_000)]
    {
        if span.ms() < least {
            found.push((key, format!("`{span}` is too short; {least}ms is the least")));
        }
    }
    let bad = |(_, pointer): &(&str, &str)| !pointer.is_empty() && !pointer.starts_with('/');
    for (key, pointer) in inbound.fields.pointers().into_iter().filter(bad) {
        found.push((key, format!("`{pointer}` is no JSON pointer; write it as /{pointer}")));
    }
    found
}
