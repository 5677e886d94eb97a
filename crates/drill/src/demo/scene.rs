//! Owns how the demonstration looks: one line for everything that happens, with the time since the trouble.

use std::time::Instant;

use incident::{Happening, Incident, Record, describe};

/// The time since the trouble began.
pub(super) struct Scene {
    began: Instant,
}

// === impl Scene ===

impl Scene {
    pub(super) fn new() -> Self {
        Self { began: Instant::now() }
    }

    /// The trouble begins.
    pub(super) fn begin(&mut self) {
        self.began = Instant::now();
    }

    pub(super) fn line(&self, server: &str, what: &str) -> String {
        format!("{:>7.3} s  {server:<6} {what}", self.began.elapsed().as_secs_f64())
    }

    /// The line for a record; none for those that only matter to the machine.
    pub(super) fn record(&self, incident: &Incident, happening: &Happening) -> Option<String> {
        let mut what = describe(&happening.record)?;
        if let (Record::Opened { .. }, Some(alert)) = (&happening.record, &incident.alarm.alert) {
            what = format!("ALERT {} ({}); {what}", alert.name, alert.severity);
        }
        let indent = match happening.record {
            Record::Intent { .. }
            | Record::Outcome { .. }
            | Record::BackgroundEnded { .. }
            | Record::UnitVerified { .. } => "    ",
            Record::StepStarted { .. } | Record::Restarted { .. } => "  ",
            _ => "",
        };
        Some(self.line(&incident.server, &format!("{indent}{what}")))
    }
}
