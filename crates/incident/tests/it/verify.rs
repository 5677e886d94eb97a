//! Tests the check of what is kept, on journals and blobs that were really changed.

use std::fs;
use std::path::PathBuf;

use incident::{Incident, Record, Verified, verify_stores};

use crate::stage::Stage;
use crate::world::Reply;

const LOOK: &str = "echo looked";

/// A resolved incident with an output, and its stage.
async fn resolved() -> (Stage, Incident) {
    let stage = Stage::new("1. **Look**\n\n   ```bash\n   echo looked\n   ```\n");
    stage.world.state().problem = None;
    stage.world.reply(LOOK, Reply::exit(0).printing("looked"));
    let life = stage.open().await;
    let id = life.fire().await;
    let incident = life.resolved(&id).await;
    (stage, incident)
}

async fn verify(stage: &Stage) -> Verified {
    verify_stores(&stage.path("journal.db"), &stage.path("blobs")).await.unwrap()
}

/// The files of the blobs that the records of an incident name: runbook, snapshot, output.
fn blobs(stage: &Stage, incident: &Incident) -> Vec<PathBuf> {
    let named = incident.timeline.iter().flat_map(|(_, record)| record.blobs());
    let file = |sha256: &str| {
        let plain = stage.path("blobs").join(sha256);
        if plain.exists() { plain } else { plain.with_extension("zst") }
    };
    named.map(|(sha256, _)| file(sha256)).collect()
}

#[tokio::test]
async fn what_is_whole_is_whole_with_the_engine_running() {
    let (stage, incident) = resolved().await;
    let _life = stage.open().await;
    let found = verify(&stage).await;
    assert!(found.is_whole(), "{found:?}");
    assert_eq!(found.chain.entries as usize, incident.timeline.len());
    assert_eq!(found.blobs, 3);
}

#[tokio::test]
async fn each_changed_or_missing_blob_is_named_with_its_entry() {
    let (stage, incident) = resolved().await;
    let files = blobs(&stage, &incident);
    assert_eq!(files.len(), 3);
    fs::write(&files[0], b"another runbook").unwrap();
    fs::remove_file(&files[1]).unwrap();
    fs::write(stage.path("blobs").join("0".repeat(64)), b"a stranger").unwrap();
    let found = verify(&stage).await;
    assert!(!found.is_whole() && found.chain.broken.is_none());
    let bad: Vec<_> =
        found.bad_blobs.iter().map(|one| (one.what.as_str(), one.problem.as_str(), one.seq)).collect();
    let captured = incident.timeline.iter().position(|(_, record)| matches!(record, Record::Captured(_)));
    assert_eq!(
        bad,
        [
            ("the runbook `down.md`", "it was changed", Some(1)),
            ("host snapshot", "it is missing", captured.map(|idx| idx as i64 + 1)),
            ("a blob that no entry names", "it was changed", None),
        ]
    );
    assert_eq!(found.bad_blobs[0].incident.as_deref(), Some(incident.id.as_str()));
}

#[tokio::test]
async fn a_changed_entry_is_named_and_what_stands_before_it_is_still_checked() {
    let (stage, incident) = resolved().await;
    fs::remove_file(&blobs(&stage, &incident)[0]).unwrap();
    stage.tamper("UPDATE entry SET at_ms = at_ms + 1 WHERE seq = 3").await;
    let found = verify(&stage).await;
    let broken = found.chain.broken.unwrap();
    assert_eq!(broken.to_string(), "entry 3 was changed: its digest does not match");
    assert_eq!((found.chain.entries, found.bad_blobs.len()), (2, 1), "{found:?}");
}
