//! Owns what is found in the kernel's log: who was ended for want of memory, and what was made read-only.

use std::collections::BTreeMap;

use diagnosis::{Finding, Severity, kind};

use super::Subject;
use crate::kernel_log::{KernelEvent, KernelNote};
use crate::snapshot::Snapshot;

/// What is older belongs to another trouble.
const RECENT_SECONDS: u64 = 30 * 60;

pub(super) fn found(snapshot: &Snapshot, subject: &Subject) -> Vec<Finding> {
    let events = snapshot.kernel_log.iter().flatten().filter(|event| event.seconds_ago <= RECENT_SECONDS);
    // By kind and whose it was: how often, and the last of them in words.
    let mut ends: BTreeMap<(&str, String), (u64, String)> = BTreeMap::new();
    for event in events {
        let Some((kind, whose)) = end(event, snapshot, subject) else { continue };
        let known = ends.entry((kind, whose)).or_default();
        *known = (known.0 + 1, words(event));
    }
    let mut found: Vec<Finding> = ends
        .into_iter()
        .map(|((name, whose), (count, words))| {
            let (kind, severity) = match name {
                "ours" => (kind::OOM_KILL, Severity::Critical),
                "machine" => (kind::OOM_KILL, Severity::Warning),
                _ => (kind::OOM_KILL_AT_LIMIT, Severity::Info),
            };
            Finding::new(kind, &whose).with_value(count).with_severity(severity).with_message(&words)
        })
        .collect();
    found.extend(of_group(snapshot));
    found
}

/// Whose end it was: of the server, for want of memory of the whole machine, or at somebody else's own limit.
fn end(event: &KernelEvent, snapshot: &Snapshot, subject: &Subject) -> Option<(&'static str, String)> {
    let KernelNote::OutOfMemory { pid, name, limit_of, cgroup } = &event.what else { return None };
    let group = cgroup.as_deref().unwrap_or_default();
    let target = snapshot.target.as_ref().and_then(|target| target.cgroup_memory.as_ref());
    // Everybody is in the group at the root.
    let in_its_group = target.is_some_and(|own| own.path == group && group.len() > 1);
    if subject.ended_pid == Some(*pid) || in_its_group || subject.owns_group(group) {
        return Some(("ours", subject.name.clone()));
    }
    match limit_of {
        None => Some(("machine", format!("process {name}"))),
        Some(limit_of) if limit_of.is_empty() => Some(("elsewhere", format!("process {name}"))),
        Some(limit_of) => Some(("elsewhere", limit_of.clone())),
    }
}

fn words(event: &KernelEvent) -> String {
    let KernelNote::OutOfMemory { pid, name, limit_of, .. } = &event.what else { return String::new() };
    let at = match limit_of {
        None => "the machine had nothing left".to_owned(),
        Some(limit_of) if limit_of.is_empty() => "its control group had nothing left".to_owned(),
        Some(limit_of) => format!("the control group {limit_of} had nothing left"),
    };
    format!("process {pid} ({name}) was ended {} s ago: {at}", event.seconds_ago)
}

/// Where the log may not be read, the count of the server's group says at least that there was something.
fn of_group(snapshot: &Snapshot) -> Option<Finding> {
    let own = snapshot.target.as_ref()?.cgroup_memory.as_ref()?;
    let kills = own.oom_kills.filter(|kills| *kills > 0)?;
    (snapshot.kernel_log.is_none() && own.path.len() > 1).then(|| {
        let message =
            "since the control group was made; when, only the kernel's log says, and it may not be read";
        Finding::new(kind::OOM_KILL_AT_LIMIT, &own.path).with_value(kills).with_message(message)
    })
}
