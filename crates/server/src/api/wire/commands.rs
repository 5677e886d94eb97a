//! Owns the forms of what commands on this machine do for somebody far away.

use std::collections::BTreeMap;
use std::net::IpAddr;

use diagnosis::Finding;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Done, schemas};

/// What is known of a server after a look at it and its machine.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    /// The server.
    pub server: String,
    /// The process whose tree was looked at.
    pub pid: Option<i32>,
    /// Of the causes that are possible the one that stands out; none is an answer.
    pub cause: Option<String>,
    /// What that means.
    pub means: Option<String>,
    /// What usually helps.
    pub helps: Option<String>,
    /// What was found, the worst first.
    #[schemars(schema_with = "schemas::findings")]
    pub findings: Vec<Finding>,
    /// Which causes the findings speak for, and why; those that are ruled out stand at the end, and why not.
    pub causes: Vec<Value>,
    /// How long the look took, in milliseconds.
    pub took_ms: u64,
}

/// How a server is to be started from its next start on. What is not said stays as it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tune {
    /// Who.
    pub by: String,
    /// The largest heap of its runtime, in bytes.
    #[serde(default)]
    pub heap_bytes: Option<u64>,
    /// The memory of the server and all that it starts, in bytes.
    #[serde(default)]
    pub memory_limit_bytes: Option<u64>,
    /// The memory from which on it is slowed down, in bytes; of a unit of systemd.
    #[serde(default)]
    pub memory_high_bytes: Option<u64>,
    /// How much of one processor it gets, in percent; of a unit of systemd.
    #[serde(default)]
    pub cpu_quota_percent: Option<u32>,
    /// How many processes and threads it may have; of a unit of systemd.
    #[serde(default)]
    pub tasks: Option<u32>,
    /// How many descriptors it may have open.
    #[serde(default)]
    pub open_files: Option<u64>,
    /// Variables of its environment; they take an admin.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// More arguments, behind those of its command; they take an admin.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// What is taken out again: `heap`, `memory-limit`, `memory-high`, `cpu-quota`, `tasks`, `open-files`, `arguments`, or
    /// the name of a variable.
    #[serde(default)]
    pub unset: Vec<String>,
    /// Puts back what the last change has changed; nothing else is said beside it.
    #[serde(default)]
    pub undo: bool,
    /// Restarts the server afterwards, where something was changed.
    #[serde(default)]
    pub restart: bool,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Tuned {
    /// What was changed, with the value before; none where it was so already.
    pub change: Option<Value>,
    /// In words.
    pub remarks: String,
    /// The restart, where there was one.
    pub restarted: Option<Done>,
}

/// Evidence that is to be collected.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Collect {
    /// Who.
    pub by: String,
    /// The server that it is about; none for the machine alone.
    #[serde(default)]
    pub server: Option<String>,
    /// The incident that it belongs to.
    #[serde(default)]
    pub incident: Option<String>,
    /// How deep to look.
    #[serde(default)]
    pub depth: Depth,
    /// From when on the journal, and what changed on the disk, is taken, in milliseconds since the Unix epoch; without it the
    /// journal of the machine for half an hour, all else for a day.
    #[serde(default)]
    pub since_ms: Option<i64>,
    /// With `t2`: the most memory of all of the server's processes together, in bytes; without it 256 MiB.
    #[serde(default)]
    pub memory_bytes_max: Option<u64>,
    /// With `t2`: how long packets are captured, in seconds, 0 for none; without it 10.
    #[serde(default)]
    #[schemars(range(max = 300))]
    pub packets_s: Option<u32>,
    /// With `t2`: only packets from or to this address.
    #[serde(default)]
    pub peer: Option<IpAddr>,
    /// With `t2`: only packets from or to this port.
    #[serde(default)]
    pub port: Option<u16>,
}

/// How deep to look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// What the next change ends. Takes less than a second.
    T0,
    /// Also files. Takes up to a minute.
    #[default]
    T1,
    /// Also memory and packets, which hold what is nobody's business: it takes an approver.
    T2,
}

/// A bundle that was collected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Collected {
    /// Its name.
    pub bundle: String,
    /// The hash of it all.
    pub sha256: String,
    /// The size of its items, packed, in bytes.
    pub bytes: u64,
    /// How many items it has.
    pub items: u64,
    /// How many were looked for in vain.
    pub missing: u64,
    /// Why it is not whole, where it is not.
    pub interrupted: Option<String>,
    /// Why it was not copied elsewhere, where it was to be.
    pub not_copied: Option<String>,
}

/// The public key with which bundles of this machine are checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceKey {
    /// In PEM.
    pub pem: String,
}
