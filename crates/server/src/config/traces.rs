//! Owns `[traces]` and `[traces.export]`: how much is kept of traces, who may send them, and where they are sent on.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bytes, Config, Remote, Secret, Span, remote};

/// The largest message that may be allowed.
const BODY_MAX: Bytes = Bytes(32 << 20);

/// `[traces]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Traces {
    /// How long a trace is kept, in memory and in the data directory, after its last span came.
    pub keep: Span,
    /// How much traces may take in memory; on the disk it is twice as much at most.
    pub bytes_max: Bytes,
    /// How many spans are kept at most.
    pub spans_max: usize,
    /// The largest message that is taken, packed and unpacked.
    pub body_max: Bytes,
    /// Whether spans are taken from other machines, where `listen` is an address that they reach.
    pub from_network: bool,
    /// Where spans are sent on to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export: Option<TraceExport>,
}

/// `[traces.export]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TraceExport {
    /// Where spans are sent, whole: `http://collector:4318/v1/traces`.
    pub url: String,
    /// The value of the header `X-Scope-OrgID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
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
    /// How long one request may take.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// The time between two requests, where there is something to send.
    #[serde(default = "default_interval")]
    pub interval: Span,
    /// How many spans wait at most; the oldest are given up and counted.
    #[serde(default = "default_queue")]
    pub queue_max: usize,
}

fn default_timeout() -> Span {
    Span::seconds(10)
}

fn default_interval() -> Span {
    Span::seconds(2)
}

fn default_queue() -> usize {
    20_000
}

// === impl Traces, TraceExport ===

impl Default for Traces {
    fn default() -> Self {
        Self {
            keep: Span::seconds(3 * 24 * 60 * 60),
            bytes_max: Bytes(64 << 20),
            spans_max: 100_000,
            body_max: Bytes(4 << 20),
            from_network: false,
            export: None,
        }
    }
}

impl TraceExport {
    /// Where it is, and who we are to it.
    pub(crate) fn remote(&self) -> Remote<'_> {
        Remote {
            url: &self.url,
            authorization: self.authorization.as_ref(),
            tenant: self.tenant.as_deref(),
            ca: self.ca.as_deref(),
            certificate: self.certificate.as_deref(),
            key: self.key.as_ref(),
            timeout: self.timeout,
        }
    }
}

/// What is wrong with `[traces]`, each with its key.
pub(super) fn problems(config: &Config) -> Vec<(&'static str, String)> {
    let traces = &config.traces;
    let mut found = Vec::new();
    if !(Bytes(1 << 10)..=BODY_MAX).contains(&traces.body_max) {
        found.push(("body_max", format!("a message has at least 1KiB and at most {BODY_MAX}")));
    }
    if traces.keep.ms() < 1_000 {
        found.push(("keep", format!("`{}` is too short; 1s is the least", traces.keep)));
    }
    found
}

/// What is wrong with `[traces.export]`, each with its key.
pub(super) fn export_problems(config: &Config) -> Vec<(&'static str, String)> {
    let Some(export) = &config.traces.export else { return Vec::new() };
    let mut found: Vec<_> = remote::problem(&export.remote()).into_iter().collect();
    if export.interval.ms() < 10 {
        found.push(("interval", format!("`{}` is too short; 10ms is the least", export.interval)));
    }
    if export.queue_max == 0 {
        found.push(("queue_max", "nothing could ever be sent; 1 is the least".to_owned()));
    }
    found
}
