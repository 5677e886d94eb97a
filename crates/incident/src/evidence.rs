//! Owns the evidence that is kept before the first change: what the host says of itself and of the server's processes.

use diagnosis::Finding;
use journal::Blobs;

use crate::findings;
use crate::record::Captured;
use crate::world::World;

/// Takes the host snapshot and keeps it. Never fails: what is missing is part of the record.
///
/// `target` is the process whose tree is looked at closely, where it is known. `now_ms` and `took` (which
/// returns the milliseconds since the start) come from the caller.
pub(crate) async fn capture(
    world: &impl World,
    blobs: &Blobs,
    target: Option<i32>,
    now_ms: i64,
    took: impl FnOnce() -> u64,
) -> (Captured, Vec<Finding>) {
    let roots = world.roots();
    let take = move || {
        let snapshot = host::snapshot(&roots, target, now_ms);
        let processes = snapshot.processes.len();
        (serde_json::to_vec(&snapshot), processes, findings::of_snapshot(&snapshot))
    };
    let taken = world.aside(take).await;
    let mut captured = Captured {
        what: "host snapshot".to_owned(),
        summary: String::new(),
        sha256: None,
        bytes: 0,
        took_ms: 0,
        problem: None,
    };
    let mut found = Vec::new();
    match taken {
        Ok((Ok(bytes), processes, findings)) => {
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
