//! Owns the forms of servers, of `serve` itself, and of what is done to them.

use incident::change::Change;
use process::control::Package;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schemas;
use crate::controls::Control;

/// An order to a server.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Makes it idempotent: the same key is carried out once.
    pub key: String,
    /// Who gives it.
    pub by: String,
}

/// What operators have the guard of a server do.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderControl {
    /// Who.
    pub by: String,
    /// Why, for whoever is refused.
    #[serde(default)]
    pub reason: Option<String>,
    /// What.
    pub order: Control,
}

/// What tells whether a server is well while clients begin to write again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Signs {
    /// The first sign that something is not well; none where all is.
    pub bad: Option<String>,
    /// What came of one real read through it; none where it did not come to that.
    pub read: Option<SignsRead>,
}

/// What came of a read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignsRead {
    /// Whether it was right.
    pub outcome: Outcome,
    /// In words.
    pub words: String,
}

/// Whether a read was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was.
    Right,
    /// It was not, or there was no answer.
    Wrong,
    /// Nothing is known that could be read.
    Nothing,
}

/// How a server is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ServerStatus {
    /// Its name.
    pub name: String,
    /// `ready`, `starting`, `installing`, `exited`, `failed`, `stopped`, `no guard`, `upstream`, `absent` or
    /// `unknown`.
    pub phase: String,
    /// What the last probe said: `healthy`, `degraded`, `unhealthy` or `unknown`.
    pub health: String,
    /// In words.
    pub reason: String,
    /// Where clients connect.
    pub endpoint: String,
    /// `configuration`, `unit`, `upstream` or `client`.
    pub source: String,
    /// Who restarts it: `serve`, `systemd`, `upstream` or `client`.
    pub restart_owner: String,
    /// The package that is really run, where that is known.
    #[serde(default)]
    #[schemars(schema_with = "schemas::package")]
    pub package: Option<Package>,
    /// Its process.
    pub pid: Option<i32>,
    /// The process of its guard.
    pub guard_pid: Option<i32>,
    /// How often its guard has started it.
    pub starts: Option<u64>,
    /// How its last process ended.
    pub last_exit: Option<String>,
    /// When that was, in milliseconds since the Unix epoch.
    pub last_exit_ms: Option<i64>,
    /// Its last words on standard error.
    pub stderr: Vec<String>,
    /// Who stopped it, where a person did.
    pub stopped_by: Option<String>,
    /// What operators have laid down that clients notice.
    #[serde(default)]
    pub restriction: Option<String>,
    /// That it is looked at more closely, until when and by whose word.
    #[serde(default)]
    pub watched: Option<String>,
    /// Whether its guard runs with other arguments than the configuration has for it now.
    #[serde(default)]
    pub outdated: bool,
}

/// What an order brought about.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// The server as it is now.
    pub server: ServerStatus,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Whether anything was done: its owner may have restarted it by itself already.
    pub anew: bool,
}

/// What a person has changed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// Who.
    pub by: String,
    /// The server that it is about; none where it is the machine.
    pub server: Option<String>,
    /// What.
    #[schemars(schema_with = "schemas::change")]
    pub change: Change,
}

/// The health of `serve` itself.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// `healthy`, `unhealthy`, or `degraded` where a runbook is not used, or another engine does not answer.
    pub status: String,
    /// What is wrong.
    pub reason: String,
    /// Servers watched.
    pub servers: usize,
    /// Incidents that are open.
    pub open_incidents: usize,
}

// === impl Signs ===

impl From<crate::signs::Look> for Signs {
    fn from(look: crate::signs::Look) -> Self {
        use crate::signs::Read;
        let read = look.read.map(|read| match read {
            Read::Right(words) => SignsRead { outcome: Outcome::Right, words },
            Read::Wrong(words) => SignsRead { outcome: Outcome::Wrong, words },
            Read::Nothing(words) => SignsRead { outcome: Outcome::Nothing, words },
        });
        Self { bad: look.bad, read }
    }
}
