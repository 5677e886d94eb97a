//! Owns the evidence that is kept before the first change: what the host says of itself and of the server's processes.

use std::thread;

use diagnosis::Finding;
use host::Subject;
use journal::Blobs;

use crate::record::Captured;
use crate::world::{Preserved, World};

/// What one look at a host says: they have to fit into one record.
const FINDINGS_MAX: usize = 100;

/// What the last piece of evidence is called that is kept before the first step.
pub(crate) const SNAPSHOT: &str = "host snapshot";

/// The record of a bundle, whose manifest goes into the blob store: its sum is the bundle's hash.
pub(crate) fn preserved(blobs: &Blobs, one: Preserved, started_ms: i64, now_ms: i64) -> Captured {
    let mut captured = Captured {
        what: "evidence bundle".to_owned(),
        summary: one.summary,
        sha256: None,
        bytes: one.bytes,
        took_ms: u64::try_from(now_ms - started_ms).unwrap_or(0),
        problem: one.problem,
    };
    if !one.manifest.is_empty() {
        match blobs.put(&one.manifest) {
            Ok(kept) => captured.sha256 = Some(kept.sha256.to_string()),
            Err(error) => {
                captured.problem.get_or_insert_with(|| format!("its manifest could not be kept: {error}"));
            }
        }
    }
    captured
}

/// Takes the host snapshot and keeps it, with what it says about the server. Never fails: what is missing is part of the record.
///
/// The tree of the process of `subject` is looked at closely, where it is found. `now_ms` and `took` (which
/// returns the milliseconds since the start) come from the caller.
pub(crate) async fn capture(
    world: &impl World,
    blobs: &Blobs,
    subject: Subject,
    now_ms: i64,
    took: impl FnOnce() -> u64,
) -> (Captured, Vec<Finding>) {
    let roots = world.roots();
    let take = move || {
        let (snapshot, mut found) = host::examine(&roots, &subject, now_ms, thread::sleep);
        found.extend(runtimes::look(&snapshot, &subject.name));
        found.truncate(FINDINGS_MAX);
        let target = snapshot.target.as_ref().map(|target| target.pid);
        (serde_json::to_vec(&snapshot), snapshot.processes.len(), target, found)
    };
    let taken = world.aside(take).await;
    let mut captured = Captured {
        what: SNAPSHOT.to_owned(),
        summary: String::new(),
        sha256: None,
        bytes: 0,
        took_ms: 0,
        problem: None,
    };
    let mut found = Vec::new();
    match taken {
        Ok((Ok(bytes), processes, target, findings)) => {
            found = findings;
            captured.summary = match target {
                Some(pid) => {
                    format!("{processes} processes, memory, sockets and mounts; closely: the tree of {pid}")
                }
                None => format!("{processes} processes, memory and mounts"),
            };
            captured.bytes = bytes.len() as u64;
            match blobs.put(&bytes) {
                Ok(kept) => captured.sha256 = Some(kept.sha256.to_string()),
                Err(error) => captured.problem = Some(format!("it could not be kept: {error}")),
            }
        }
        Ok((Err(error), ..)) => captured.problem = Some(format!("it could not be written down: {error}")),
        Err(error) => captured.problem = Some(format!("taking it failed: {error}")),
    }
    captured.took_ms = took();
    (captured, found)
}
