//! Owns `[metrics.backend]` and `[metrics.remote_write]`: the engine that answers rules in the place of ours, and the one
//! that our samples are sent to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use metrics::Engine;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{Bytes, Config, Remote, Secret, Span, remote};

/// `[metrics.backend]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// `prometheus`, `thanos`, `mimir` or `victoriametrics`.
    #[serde(with = "engine")]
    #[schemars(schema_with = "engine_schema")]
    pub engine: Engine,
    /// What its API begins with: `/api/v1/query` is added.
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
    /// How long one answer may take.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// More parameters of each query, for example `dedup`.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// How many series an answer may have.
    #[serde(default = "default_series_max")]
    pub series_max: usize,
    /// The largest answer.
    #[serde(default = "default_bytes_max")]
    pub bytes_max: Bytes,
}

/// `[metrics.remote_write]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteWrite {
    /// Where samples are sent, whole: `http://prometheus:9090/api/v1/write`.
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
    #[serde(default = "default_write_timeout")]
    pub timeout: Span,
    /// The time between two requests, where there is something to send.
    #[serde(default = "default_interval")]
    pub interval: Span,
    /// How far behind it may be; what is older is left out and counted.
    #[serde(default = "default_behind")]
    pub behind_max: Span,
    /// How many samples one request has at most.
    #[serde(default = "default_samples_max")]
    pub samples_max: usize,
    /// Labels of all series that are sent, where they have none of that name.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

fn default_timeout() -> Span {
    Span::seconds(5)
}

fn default_write_timeout() -> Span {
    Span::seconds(30)
}

fn default_series_max() -> usize {
    10_000
}

fn default_bytes_max() -> Bytes {
    Bytes(16 << 20)
}

fn default_interval() -> Span {
    Span::seconds(5)
}

fn default_behind() -> Span {
    Span::seconds(60 * 60)
}

fn default_samples_max() -> usize {
    2_000
}

fn engine_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": Engine::ALL.map(Engine::name) })
}

mod engine {
    use metrics::Engine;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(engine: &Engine, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(engine.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Engine, D::Error> {
        let name = String::deserialize(deserializer)?;
        Engine::ALL.into_iter().find(|engine| engine.name() == name).ok_or_else(|| {
            let known = Engine::ALL.map(Engine::name).join("`, `");
            D::Error::custom(format!("`{name}` is no engine that is known; `{known}` are"))
        })
    }
}

// === impl Backend ===

impl Backend {
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

// === impl RemoteWrite ===

impl RemoteWrite {
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

/// What is wrong with the backend, each with its key.
pub(super) fn backend_problems(config: &Config) -> Vec<(&'static str, String)> {
    let Some(backend) = &config.metrics.backend else { return Vec::new() };
    let mut found: Vec<_> = remote::problem(&backend.remote()).into_iter().collect();
    if backend.series_max == 0 {
        found.push(("series_max", "no answer has no series at all; 1 is the least".to_owned()));
    }
    if backend.bytes_max < Bytes(1024) {
        found.push(("bytes_max", "no answer is so short; 1KiB is the least".to_owned()));
    }
    if let Some(name) = backend.parameters.keys().find(|name| ["query", "time"].contains(&name.as_str())) {
        found.push(("parameters", format!("`{name}` is what is asked")));
    }
    found
}

/// What is wrong with the other one.
pub(super) fn write_problems(config: &Config) -> Vec<(&'static str, String)> {
    let Some(write) = &config.metrics.remote_write else { return Vec::new() };
    let mut found: Vec<_> = remote::problem(&write.remote()).into_iter().collect();
    for (key, span) in [("interval", write.interval), ("behind_max", write.behind_max)] {
        if span.ms() < 10 {
            found.push((key, format!("`{span}` is too short; 10ms is the least")));
        }
    }
    if !(1..=100_000).contains(&write.samples_max) {
        found.push(("samples_max", "a request has 1 to 100000 samples".to_owned()));
    }
    if let Some(name) = write.labels.keys().find(|name| !metrics::is_label_name(name)) {
        found.push(("labels", format!("`{name}` is no name of a label")));
    }
    found
}
