//! Owns what is found about the whole machine: its memory, and what its tasks wait for.

use diagnosis::{Finding, kind};

use super::{MACHINE, rounded, size, warning_if};
use crate::snapshot::Snapshot;

/// As the rules see it.
const AVAILABLE_LOW_PERCENT: f64 = 10.0;

pub(super) fn found(snapshot: &Snapshot) -> Vec<Finding> {
    let mut found = Vec::new();
    let memory = snapshot.memory.as_ref();
    if let Some((total, available)) = memory.and_then(|memory| memory.total_bytes.zip(memory.available_bytes))
        && total > 0
    {
        let percent = rounded(available as f64 * 100.0 / total as f64);
        let message = format!("{} of {} are available", size(available), size(total));
        let finding = Finding::new(kind::MEMORY_AVAILABLE_PERCENT, MACHINE).with_value(percent);
        found
            .push(finding.with_severity(warning_if(percent <= AVAILABLE_LOW_PERCENT)).with_message(&message));
    }
    for (kind, stalls, high) in [
        (kind::CPU_PRESSURE_AVG60, &snapshot.pressure.cpu, 20.0),
        (kind::MEMORY_PRESSURE_AVG60, &snapshot.pressure.memory, 5.0),
        (kind::IO_PRESSURE_AVG60, &snapshot.pressure.io, 20.0),
    ] {
        let some = stalls.as_ref().and_then(|stalls| stalls.some.as_ref());
        if let Some(percent) = some.and_then(|stall| stall.seconds_60_percent) {
            found.push(
                Finding::new(kind, MACHINE).with_value(percent).with_severity(warning_if(percent >= high)),
            );
        }
    }
    found
}
