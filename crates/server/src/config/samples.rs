//! Owns `[metrics]`: how samples are taken and kept, and how often rules look at them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Backend, Bytes, RemoteWrite, Span};

/// `[metrics]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// The time between two scrapes of a guard's `/metrics`.
    pub scrape_interval: Span,
    /// The time between two evaluations of the rules.
    pub evaluation_interval: Span,
    /// How long samples are kept, in memory and in the data directory.
    pub retention: Span,
    /// How much samples may take in memory, compressed; beyond it the oldest go first.
    pub bytes_max: Bytes,
    /// How many series are kept at most.
    pub series_max: usize,
    /// How many series of one server are kept at most.
    pub series_per_server_max: usize,
    /// How often samples are synced to the disk: what a machine that fails can lose.
    pub sync_interval: Span,
    /// The engine that answers rules in the place of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<Backend>,
    /// Where our samples are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_write: Option<RemoteWrite>,
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        Self {
            scrape_interval: Span::seconds(10),
            evaluation_interval: Span::seconds(5),
            retention: Span::seconds(2 * 60 * 60),
            bytes_max: Bytes(256 << 20),
            series_max: 100_000,
            series_per_server_max: 20_000,
            sync_interval: Span::seconds(5),
            backend: None,
            remote_write: None,
        }
    }
}
