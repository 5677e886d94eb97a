//! Owns what a decision is asked about, and what it can be.

use std::time::Duration;

use runbook::{Effect, Severity};

use super::maintenance::Hold;

/// Whether the kill switch is thrown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kill {
    /// Nothing is changed by anybody through Paramedic.
    On,
    /// Business as usual.
    Off,
}

/// When a unit needs a person's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approve {
    /// As the policy says.
    Policy,
    /// Always.
    Always,
}

/// Whether what the incident was opened for still stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It does.
    Stands,
    /// The alert is resolved: a change would come too late.
    Resolved,
}

/// What a decision is asked about: the unit, and how things stand at this moment.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The effect of the unit.
    pub effect: Effect,
    /// Why it has that effect.
    pub effect_reason: &'a str,
    /// Whether the author wants a person's word always.
    pub approve: Approve,
    /// The name of the alert that the procedure answers; empty where it answers none.
    pub alert: &'a str,
    /// How bad the alert is, where that is known.
    pub severity: Option<Severity>,
    /// The kill switch, read a moment ago.
    pub kill: Kill,
    /// Whether what the incident was opened for still stands.
    pub trouble: Trouble,
    /// Why the incident counts as flapping, where it does.
    pub flapping: Option<String>,
    /// The maintenance that is going on, read a moment ago.
    pub maintenance: Option<Hold>,
    /// Now, in milliseconds since the Unix epoch.
    pub now_ms: i64,
    /// Restarts of this server in the last hour, from the journal.
    pub restarts_last_hour: u32,
    /// Changes of all servers in the last hour, from the journal.
    pub changes_last_hour: u32,
    /// When the procedure last changed this server in another run, in milliseconds since the Unix epoch; none where
    /// something was seen since then that no change can have undone: the end of a process, a failed verification.
    pub last_change_ms: Option<i64>,
    /// How far the query of the alert looks back: what was so before a change is seen in it for that long.
    pub look_back: Duration,
    /// How many servers got into trouble at about the same time, and are in it; see [`super::Storm::count`].
    pub servers_in_trouble: u32,
}

/// What to do with a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Run it.
    Run,
    /// Ask a person; the reason is for them.
    Ask(String),
    /// Do not run it; the reason says what would allow it.
    Skip(String),
}

// === impl Request ===

impl<'a> Request<'a> {
    /// A request at a quiet moment: the trouble stands, and nothing else has happened.
    pub fn quiet(effect: Effect, effect_reason: &'a str) -> Self {
        Self {
            effect,
            effect_reason,
            approve: Approve::Policy,
            alert: "",
            severity: None,
            kill: Kill::Off,
            trouble: Trouble::Stands,
            flapping: None,
            maintenance: None,
            now_ms: 0,
            restarts_last_hour: 0,
            changes_last_hour: 0,
            last_change_ms: None,
            look_back: Duration::ZERO,
            servers_in_trouble: 0,
        }
    }
}
