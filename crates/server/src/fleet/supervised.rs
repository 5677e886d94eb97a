//! Owns what is known of a server that somebody here looks after, whether by its guard or by systemd.

use process::ProcessId;
use process::control::{Exit, Phase, Status};

use super::unit::UnitStatus;

/// What is known of a supervised server.
#[derive(Debug, Clone, Default)]
pub struct Supervised {
    /// The guard's own words; none while there is no guard.
    pub status: Option<Status>,
    /// What systemd says of its unit, for those that live in one.
    pub unit: Option<UnitStatus>,
    /// Why nothing is known, or not all.
    pub problem: Option<String>,
}

// === impl Supervised ===

impl Supervised {
    /// Where it is in its life.
    pub fn phase(&self) -> Option<Phase> {
        let of_unit = || Some(self.unit.as_ref()?.phase);
        self.status.as_ref().map(|status| status.phase).or_else(of_unit)
    }

    /// Its process, while one runs.
    pub fn child(&self) -> Option<ProcessId> {
        let of_unit = || self.unit.as_ref()?.main;
        self.status.as_ref().and_then(|status| status.child).or_else(of_unit)
    }

    /// How often it was started: by its guard, or by systemd since somebody started the unit.
    pub fn starts(&self) -> Option<u64> {
        let of_unit = || Some(self.unit.as_ref()?.restarts + 1);
        self.status.as_ref().map(|status| status.starts).or_else(of_unit)
    }

    /// How it ended last.
    pub fn last_exit(&self) -> Option<&Exit> {
        let of_unit = || self.unit.as_ref()?.last_exit.as_ref();
        self.status.as_ref().and_then(|status| status.last_exit.as_ref()).or_else(of_unit)
    }

    /// Who stopped it, where somebody did.
    pub fn stopped_by(&self) -> Option<&str> {
        let of_unit = || self.unit.as_ref()?.stopped_by.as_deref();
        self.status.as_ref().and_then(|status| status.stopped_by.as_deref()).or_else(of_unit)
    }
}
