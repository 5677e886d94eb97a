//! Owns what is found about permissions: what the user of a server needs, tried as that user.

use std::path::{Path, PathBuf};

use diagnosis::{Finding, Severity, kind};

use super::Subject;
use super::subject::argument_paths;
use crate::mounts::mount_of;
use crate::permissions::{Denied, Need, Needed, denied};
use crate::snapshot::Snapshot;

/// The kernel is asked for each part of each path.
const NEEDED_MAX: usize = 100;

pub(super) fn found(snapshot: &Snapshot, subject: &Subject) -> Vec<Finding> {
    // In a container its paths are others.
    let target = snapshot.target.as_ref().filter(|target| target.has_own_mounts != Some(true));
    let Some(target) = target else { return Vec::new() };
    let Some(user) = &target.user else { return Vec::new() };
    let mut needed: Vec<Needed> = Vec::new();
    let mut need = |path: PathBuf, need| {
        if needed.len() < NEEDED_MAX && is_answered(snapshot, &path) {
            needed.push(Needed { path, need });
        }
    };
    for place in subject.places.iter().filter(|place| place.is_needed) {
        need(place.path.clone(), Need::Read);
    }
    let of_tree = |pid: i32| target.tree.iter().any(|details| details.id.pid == pid);
    for path in argument_paths(snapshot.processes.iter().filter(|process| of_tree(process.id.pid))) {
        need(path, Need::Read);
    }
    needed.dedup();
    let Some(denied) = denied(user, &needed) else { return Vec::new() };
    let allowed = needed.iter().filter(|one| !denied.iter().any(|denied| denied.path == one.path));
    let allowed: Vec<Finding> = allowed
        .filter(|one| subject.places.iter().any(|place| place.path == one.path))
        .map(|one| Finding::new(kind::FILE_PERMISSION, &one.path.to_string_lossy()).with_value(false))
        .collect();
    denied.iter().map(|denied| finding(denied, user.uid)).chain(allowed).collect()
}

fn finding(denied: &Denied, uid: u32) -> Finding {
    let Denied { path, need, at } = denied;
    let message = if at == path {
        format!("the user {uid} of the server may not {} {}", need.name(), path.display())
    } else {
        format!(
            "the user {uid} of the server may not go through {}, on the way to {}",
            at.display(),
            path.display()
        )
    };
    let finding = Finding::new(kind::FILE_PERMISSION, &path.to_string_lossy()).with_value(need.name());
    finding.with_severity(Severity::Critical).with_message(&message)
}

/// Only what lies on a local file system: another one may never answer.
fn is_answered(snapshot: &Snapshot, path: &Path) -> bool {
    let mounts = snapshot.mounts.as_deref().unwrap_or_default();
    path.is_absolute() && mount_of(mounts, path).is_some_and(|mount| mount.space.is_some() && !mount.may_hang)
}
