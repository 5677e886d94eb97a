//! Owns the incident clocks as histograms: each clock of each incident counts once, when it has stopped for good.
//!
//! They are filled from the incidents that the engine holds, so that after a restart they are what the journal says;
//! what it holds is bounded, and so is what is remembered of it here.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use incident::{Clocks, Incident, IncidentId, Source};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// From what a machine takes to what takes a working day, in seconds.
const BUCKETS: [f64; 16] = [
    0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 14_400.0,
    28_800.0,
];

/// What the clocks are called, and what they mean, in the order in which an incident stops them.
const NAMES: [(&str, &str); 5] = [
    ("detect", "From the first sign of trouble until the incident was opened"),
    ("acknowledge", "From the first sign of trouble until somebody, or the runbook's own step, took notice"),
    (
        "diagnose",
        "From the first sign of trouble until a cause was named or, without one, the procedure begun",
    ),
    ("mitigate", "From the first sign of trouble until service was back and verified"),
    ("resolve", "From the first sign of trouble until the alert was over as well"),
];

/// All clocks have counted.
const ALL: u8 = (1 << NAMES.len()) - 1;

/// The histograms, and what has counted in them.
#[derive(Debug)]
pub(crate) struct IncidentClocks {
    histograms: [Histogram; NAMES.len()],
    /// A bit for each clock of an incident that has counted.
    counted: Mutex<HashMap<IncidentId, u8>>,
}

// === impl IncidentClocks ===

impl Default for IncidentClocks {
    fn default() -> Self {
        Self { histograms: NAMES.map(|_| Histogram::new(BUCKETS)), counted: Mutex::default() }
    }
}

impl IncidentClocks {
    /// Takes in all incidents that are held. Those that a person follows by hand have no clocks.
    pub(crate) fn take<'a>(&self, all: impl Iterator<Item = &'a Incident>) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *counted);
        for incident in all.filter(|incident| incident.alarm.source != Source::Person) {
            let had = before.get(&incident.id).copied().unwrap_or(0);
            let has = if had == ALL { ALL } else { self.count(incident, had) };
            counted.insert(incident.id.clone(), has);
        }
    }

    fn count(&self, incident: &Incident, had: u8) -> u8 {
        let clocks = Clocks::of(incident);
        let is_over = !incident.state.is_open();
        // The trouble may come back, and a better cause be found, until it is over.
        let stopped = [
            Some(clocks.detected_ms),
            clocks.acknowledged_ms,
            clocks.diagnosed_ms.filter(|_| is_over),
            clocks.mitigated_ms.filter(|_| is_over),
            clocks.resolved_ms,
        ];
        let mut has = had;
        for (place, (histogram, at_ms)) in self.histograms.iter().zip(stopped).enumerate() {
            let bit = 1 << place;
            if let Some(at_ms) = at_ms.filter(|_| had & bit == 0) {
                // A clock that was set back meanwhile makes no negative time.
                histogram.observe(clocks.after_ms(at_ms).max(0) as f64 / 1_000.0);
                has |= bit;
            }
        }
        has
    }

    /// Puts the histograms on a page.
    pub(crate) fn register(&self, registry: &mut Registry) {
        for ((name, help), histogram) in NAMES.iter().zip(&self.histograms) {
            registry.register(format!("paramedic_incident_time_to_{name}_seconds"), *help, histogram.clone());
        }
    }
}
