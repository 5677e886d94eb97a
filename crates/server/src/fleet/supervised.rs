//! Owns what is known of a server that somebody here looks after, whether by its guard or by systemd.

use process::ProcessId;
use process::control::{Exit, Phase, Status};

use super::unit::UnitStatus;

/// What is known of a supervised server.
#[derive(Debug, Clone, Default)]
pub struct Supervised {
    /// The guard's own words; none while there is no guard.
    pub status: Option<Status>,
    /// What systemd says of its unit, for those that live in one: then that counts, and the guard says what systemd
    /// cannot know.
    pub unit: Option<UnitStatus>,
    /// Why nothing is known, or not all.
    pub problem: Option<String>,
    /// Whether its guard runs with other arguments than the configuration has for it now.
    pub outdated: bool,
}

// === impl Supervised ===

impl Supervised {
    /// Where it is in its life. A unit is active as soon as the guard runs; whether the server is ready says the guard.
    pub fn phase(&self) -> Option<Phase> {
        let own = self.status.as_ref().map(|status| status.phase);
        match (self.unit.as_ref().map(|unit| unit.phase), own) {
            (Some(Phase::Ready), Some(own @ (Phase::Starting | Phase::Installing))) => Some(own),
            (Some(phase), _) => Some(phase),
            (None, own) => own,
        }
    }

    /// Its process, while one runs.
    pub fn child(&self) -> Option<ProcessId> {
        match &self.unit {
            Some(unit) => unit.main,
            None => self.status.as_ref()?.child,
        }
    }

    /// How often it was started: by its guard, or by systemd since somebody started the unit.
    pub fn starts(&self) -> Option<u64> {
        match &self.unit {
            Some(unit) => Some(unit.restarts + 1),
            None => Some(self.status.as_ref()?.starts),
        }
    }

    /// How it ended last.
    pub fn last_exit(&self) -> Option<&Exit> {
        match &self.unit {
            Some(unit) => unit.last_exit.as_ref(),
            None => self.status.as_ref()?.last_exit.as_ref(),
        }
    }

    /// Who stopped it, where somebody did.
    pub fn stopped_by(&self) -> Option<&str> {
        match &self.unit {
            Some(unit) => unit.stopped_by.as_deref(),
            None => self.status.as_ref()?.stopped_by.as_deref(),
        }
    }
}
