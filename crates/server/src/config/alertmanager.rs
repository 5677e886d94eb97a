//! Owns `[alertmanager]`: the Alertmanager that is asked for what it left out, and silenced where somebody takes notice.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Config, Remote, Secret, Span, remote};

/// The shortest silence, in milliseconds: it is renewed when half of it is over.
const SILENCE_MS_MIN: i64 = 1_000;

/// The longest: whatever becomes of us, it ends by itself before long.
const SILENCE_MS_MAX: i64 = 24 * 60 * 60_000;

/// `[alertmanager]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alertmanager {
    /// Its address, with the prefix of its routes where it has one.
    pub url: String,
    /// Where the value of the header `Authorization` is, read anew each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Secret>,
    /// For HTTPS: the certificates that are trusted in place of those of this machine, a PEM file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// For HTTPS: our own certificate, a PEM file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Where the key of our own certificate is, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Secret>,
    /// How long one question may take.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// The time between two looks whether what it told of still fires there; what three of them miss is over.
    #[serde(default = "default_interval")]
    pub interval: Span,
    /// Whether the alerts of an incident are silenced there from when somebody takes notice until it is over.
    #[serde(default)]
    pub silence_on_ack: bool,
    /// How long a silence lasts that nobody renews.
    #[serde(default = "default_silence")]
    pub silence: Span,
}

fn default_timeout() -> Span {
    Span::seconds(5)
}

fn default_interval() -> Span {
    Span::seconds(60)
}

fn default_silence() -> Span {
    Span::seconds(15 * 60)
}

// === impl Alertmanager ===

impl Alertmanager {
    /// Where it is, and who we are to it.
    pub(crate) fn remote(&self) -> Remote<'_> {
        Remote {
            url: &self.url,
            authorization: self.authorization.as_ref(),
            tenant: None,
            ca: self.ca.as_deref(),
            certificate: self.certificate.as_deref(),
            key: self.key.as_ref(),
            timeout: self.timeout,
        }
    }
}

/// What is wrong with it, each with its key.
pub(super) fn problems(config: &Config) -> Vec<(&'static str, String)> {
    let Some(one) = &config.alertmanager else { return Vec::new() };
    let mut found: Vec<_> = remote::problem(&one.remote()).into_iter().collect();
    if !(SILENCE_MS_MIN..=SILENCE_MS_MAX).contains(&one.silence.ms()) {
        found.push(("silence", format!("`{}` is no length of a silence; 1s to 24h is", one.silence)));
    }
    if one.interval.ms() < 10 {
        found.push(("interval", format!("`{}` is too short; 10ms is the least", one.interval)));
    }
    found
}
