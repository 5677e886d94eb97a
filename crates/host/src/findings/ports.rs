//! Owns what is found about the port of a server: whether somebody else has it.

use diagnosis::{Finding, Severity, kind};

use super::Subject;
use super::subject::ancestors;
use crate::listeners::Listener;
use crate::snapshot::Snapshot;

pub(super) fn found(snapshot: &Snapshot, subject: &Subject, listening: &[Listener]) -> Option<Finding> {
    let port = subject.port?;
    let tree: Vec<i32> =
        snapshot.target.iter().flat_map(|target| &target.tree).map(|details| details.id.pid).collect();
    let above = snapshot.target.as_ref().map(|target| ancestors(&snapshot.processes, target.pid));
    let above = above.unwrap_or_default();
    // Who listens at another address is in nobody's way.
    let at = |one: &&Listener| subject.address.is_none_or(|ip| one.takes(ip));
    let held = listening.iter().filter(|one| one.address.port() == port).filter(at);
    // Whose a socket is that nobody may look at, nobody knows.
    let owner = held
        .filter_map(|one| Some((one, one.process.as_ref()?)))
        .find(|(_, process)| !subject.is_own(process, &tree, &above));
    let subject_of = port.to_string();
    let Some((listener, process)) = owner else {
        return Some(Finding::new(kind::PORT_OWNER, &subject_of).with_value(false));
    };
    let command = process.cmdline.as_deref().unwrap_or_default().join(" ");
    let group = process.cgroup.as_deref().filter(|group| group.len() > 1);
    let message = format!(
        "process {} has {}: {command}{}",
        process.id.pid,
        listener.address,
        group.map(|group| format!(" (in {group})")).unwrap_or_default()
    );
    let value = format!("{} {}", process.id.pid, process.comm);
    let finding = Finding::new(kind::PORT_OWNER, &subject_of).with_value(value.as_str());
    Some(finding.with_severity(Severity::Critical).with_message(&message))
}
