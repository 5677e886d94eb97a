//! Owns what the journal says of calling people: deadlines that passed, and what is told to whom.

use serde::{Deserialize, Serialize};

/// A deadline of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "which", rename_all = "snake_case")]
pub enum Deadline {
    /// Nobody has taken notice: the next level is called.
    Level {
        /// Which call this is since somebody was wanted last, from 1.
        call: u32,
        /// The level, from 1.
        level: u32,
        /// The round through the levels, from 1.
        round: u32,
    },
    /// All levels were called as often as is allowed.
    NobodyAnswered {},
    /// The time of a phase is over, and the phase is not.
    Phase {
        /// Its title.
        phase: String,
    },
    /// Whoever took notice has done nothing since: their word counts no more.
    AckTimeout {
        /// Who.
        by: String,
    },
    /// Whoever took notice is reminded.
    AckReminder {
        /// Who.
        by: String,
        /// The how-manieth time since something was done, from 1.
        number: u32,
    },
}

/// What somebody is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// An incident was opened.
    Opened,
    /// More people are called.
    Escalated,
    /// Nobody answered, however often all levels were called.
    NobodyAnswered,
    /// A phase takes longer than it should.
    Late,
    /// Somebody has taken notice and done nothing since.
    Reminder,
    /// A unit waits for a yes.
    ApprovalWanted,
    /// The machine is done, and somebody has to look.
    PersonNeeded,
    /// Service is back.
    Recovered,
    /// It is over.
    Resolved,
}

// === impl News ===

impl News {
    /// The name under which contacts get it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Escalated => "escalated",
            Self::NobodyAnswered => "nobody_answered",
            Self::Late => "late",
            Self::Reminder => "reminder",
            Self::ApprovalWanted => "approval_wanted",
            Self::PersonNeeded => "person_needed",
            Self::Recovered => "recovered",
            Self::Resolved => "resolved",
        }
    }
}
