//! Owns what a sign of an intrusion says: when, who, what, how sure, and what shows it.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A kind of attack, as a machine shows it. The kinds that messages of MCP show have names of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attack {
    /// Somebody tries passwords.
    Guessing,
    /// Somebody is in who does not belong.
    StolenAccess,
    /// Somebody became another user, or tried.
    PrivilegeEscalation,
    /// A process runs that does not belong.
    ForeignProcess,
    /// Something takes connections, or keeps one, that does not belong.
    ForeignConnection,
    /// Data leave.
    DataLeaving,
    /// Something was put where it is started again, or lets somebody in again.
    Persistence,
    /// The server's own software or configuration is another.
    SoftwareChanged,
}

/// How sure it is that this is an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// Operators do this too, now and then.
    Likely,
    /// Nobody does this whose work it is.
    Certain,
}

/// A sign of an intrusion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sign {
    /// When it happened, or was seen where nothing tells that: milliseconds since 1970.
    pub at_ms: i64,
    /// Where it was seen: `journal`, a log, `processes`, `files`, `traffic`.
    pub source: String,
    /// The rule that found it.
    pub rule: String,
    /// The kind of attack.
    pub attack: Attack,
    /// How sure.
    pub certainty: Certainty,
    /// What was seen, in a sentence.
    pub what: String,
    /// The line or the place that shows it, with secrets hidden.
    pub raw: String,
    /// The process that took part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// The user who took part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The address that took part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// How much it was, where that is known, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

// === impl Attack ===

impl Attack {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Guessing,
        Self::StolenAccess,
        Self::PrivilegeEscalation,
        Self::ForeignProcess,
        Self::ForeignConnection,
        Self::DataLeaving,
        Self::Persistence,
        Self::SoftwareChanged,
    ];

    /// Its name, as logs, findings and metrics have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Guessing => "guessing",
            Self::StolenAccess => "stolen_access",
            Self::PrivilegeEscalation => "privilege_escalation",
            Self::ForeignProcess => "foreign_process",
            Self::ForeignConnection => "foreign_connection",
            Self::DataLeaving => "data_leaving",
            Self::Persistence => "persistence",
            Self::SoftwareChanged => "software_changed",
        }
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl Certainty ===

impl fmt::Display for Certainty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Likely => "likely",
            Self::Certain => "certain",
        })
    }
}

// === impl Sign ===

impl Sign {
    pub(crate) fn new(at_ms: i64, source: &str, rule: &str, attack: Attack, what: String) -> Self {
        Self {
            at_ms,
            source: source.to_owned(),
            rule: rule.to_owned(),
            attack,
            certainty: Certainty::Likely,
            what,
            raw: String::new(),
            pid: None,
            user: None,
            peer: None,
            bytes: None,
        }
    }

    pub(crate) fn certain_if(self, is_certain: bool) -> Self {
        let certainty = if is_certain { Certainty::Certain } else { self.certainty };
        Self { certainty, ..self }
    }

    pub(crate) fn with_raw(self, raw: impl Into<String>) -> Self {
        Self { raw: raw.into(), ..self }
    }

    /// What makes it the same sign when it is seen again.
    pub fn key(&self) -> (String, String) {
        (self.rule.clone(), self.what.clone())
    }
}
