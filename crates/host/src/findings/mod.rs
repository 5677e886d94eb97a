//! Owns what the machine says about one server, as findings: who is looked at, and one look at all of it.
//!
//! [`examine`] is the collector that a person's `diagnose` and the engine share. It reads, tries what the server's user
//! may do, and waits a second only where somebody seems to be stuck. [`findings`] is the pure part.

mod disks;
mod kernel;
mod machine;
mod network;
mod permissions;
mod ports;
mod subject;
#[cfg(test)]
mod tests;
mod tree;

use std::time::Duration;

use diagnosis::{Finding, Severity};

use crate::listeners::{Listener, listeners};
use crate::roots::Roots;
use crate::snapshot::{Snapshot, snapshot};

pub use subject::{Place, Subject};

/// The subject of what is true of the whole machine.
const MACHINE: &str = "machine";

/// Looks at the machine, and at the server closely where its process is found.
///
/// `wait` lets time pass; it is called once at most, where somebody seems to be stuck. Without such a wait it takes some
/// tens of milliseconds. Blocks, as all readers do.
pub fn examine(
    roots: &Roots,
    subject: &Subject,
    now_ms: i64,
    wait: impl FnOnce(Duration),
) -> (Snapshot, Vec<Finding>) {
    let listening = listeners(roots);
    let pid = subject.find(roots, &listening);
    let mut taken = snapshot(roots, pid, now_ms);
    taken.confirm(roots, wait);
    let mut found = findings(&taken, subject, &listening);
    found.extend(permissions::found(&taken, subject));
    found.extend(network::found(roots));
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity()));
    (taken, found)
}

/// Returns what a snapshot says about a server and its machine; what it could not read is not said.
pub fn findings(snapshot: &Snapshot, subject: &Subject, listening: &[Listener]) -> Vec<Finding> {
    let mut found = machine::found(snapshot);
    found.extend(kernel::found(snapshot, subject));
    found.extend(disks::found(snapshot, subject));
    found.extend(tree::found(snapshot, subject));
    found.extend(ports::found(snapshot, subject, listening));
    found
}

/// `critical` where `is` holds, and information otherwise.
fn critical_if(is: bool) -> Severity {
    if is { Severity::Critical } else { Severity::Info }
}

/// The same for a warning.
fn warning_if(is: bool) -> Severity {
    if is { Severity::Warning } else { Severity::Info }
}

fn rounded(percent: f64) -> f64 {
    (percent * 10.0).round() / 10.0
}

/// A size for people.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("bytes", 1)];
    let (unit, factor) = UNITS.into_iter().find(|(_, factor)| bytes >= *factor).unwrap_or(("bytes", 1));
    if factor == 1 { format!("{bytes} bytes") } else { format!("{:.1} {unit}", bytes as f64 / factor as f64) }
}
