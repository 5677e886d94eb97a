//! Owns the check of what is kept: the chain of the journal, and every blob that it names or that is there.

use std::collections::BTreeMap;
use std::path::Path;

use journal::{BlobError, Blobs, Digest, Reading, Verification};
use serde::Serialize;

use crate::record::Record;

/// How many entries are read from the journal at once.
const READ_BATCH: u32 = 1_000;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The chain.
    pub chain: Verification,
    /// How many blobs were checked.
    pub blobs: u64,
    /// Those that are not as they should be.
    pub bad_blobs: Vec<BadBlob>,
}

/// A blob that is missing, unreadable or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadBlob {
    /// Its name: the SHA-256 that its content should have.
    pub sha256: String,
    /// The first entry that names it, where one does.
    pub seq: Option<i64>,
    /// The incident of that entry.
    pub incident: Option<String>,
    /// What it is.
    pub what: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Who names a blob: the entry, its incident, and what the blob is to it.
type Named = (i64, Option<String>, String);

// === impl Verified ===

impl Verified {
    /// Whether everything is as it was written.
    pub fn is_whole(&self) -> bool {
        self.chain.broken.is_none() && self.bad_blobs.is_empty()
    }
}

/// Checks the journal at `journal` and the blobs in `blobs`, and writes to neither. `serve` may be running.
///
/// # Errors
/// Where there is no journal, it is none or a newer one, or it cannot be read for another reason than damage.
pub async fn verify_stores(journal: &Path, blobs: &Path) -> Result<Verified, journal::Error> {
    let found = check(journal, blobs).await?;
    // Beside a running `serve` a blob may have gone with its incident in between: once more tells.
    if found.bad_blobs.is_empty() { Ok(found) } else { check(journal, blobs).await }
}

async fn check(journal: &Path, blobs: &Path) -> Result<Verified, journal::Error> {
    let look = async |reading: &mut Reading| {
        let chain = reading.verify().await?;
        // Of what stands behind a break nobody knows who wrote it.
        let whole = chain.broken.map_or(i64::MAX, |broken| broken.seq - 1);
        Ok((chain, named(reading, whole).await?))
    };
    let (chain, named) = Reading::of(journal, look).await?;
    let blobs = Blobs::existing(blobs);
    let (checked, bad_blobs) =
        tokio::task::spawn_blocking(move || check_blobs(&blobs, named)).await.unwrap_or_default();
    Ok(Verified { chain, blobs: checked, bad_blobs })
}

/// The blobs that the entries up to `last` name, each with the first that does.
async fn named(reading: &mut Reading, last: i64) -> Result<BTreeMap<String, Named>, journal::Error> {
    let mut named = BTreeMap::new();
    let mut seq = 0;
    while seq < last {
        let limit = u32::try_from(last - seq).unwrap_or(u32::MAX).min(READ_BATCH);
        let entries = reading.entries_after(seq, limit).await?;
        for entry in &entries {
            seq = entry.seq;
            let Ok(record) = serde_json::from_value::<Record>(entry.body.clone()) else { continue };
            for (sha256, what) in record.blobs() {
                let names = || (entry.seq, entry.incident.clone(), what);
                named.entry(sha256.to_owned()).or_insert_with(names);
            }
        }
        if entries.len() < limit as usize {
            break;
        }
    }
    Ok(named)
}

fn check_blobs(blobs: &Blobs, mut named: BTreeMap<String, Named>) -> (u64, Vec<BadBlob>) {
    for sha256 in blobs.names().unwrap_or_default() {
        named.entry(sha256.to_string()).or_insert_with(|| (0, None, "a blob that no entry names".to_owned()));
    }
    let mut bad = Vec::new();
    for (sha256, (seq, incident, what)) in &named {
        let checked = sha256.parse::<Digest>().map(|digest| blobs.check(digest));
        let problem = match checked {
            Ok(Ok(())) => continue,
            Ok(Err(BlobError::Changed { .. })) => "it was changed".to_owned(),
            Ok(Err(BlobError::Read { source, .. })) if source.kind() == std::io::ErrorKind::NotFound => {
                // A leftover that has gone meanwhile is nobody's.
                if *seq == 0 {
                    continue;
                }
                "it is missing".to_owned()
            }
            Ok(Err(error)) => crate::error_chain(&error),
            Err(error) => error.to_string(),
        };
        let (incident, what) = (incident.clone(), what.clone());
        bad.push(BadBlob {
            sha256: sha256.clone(),
            seq: (*seq > 0).then_some(*seq),
            incident,
            what,
            problem,
        });
    }
    bad.sort_by_key(|one| one.seq.unwrap_or(i64::MAX));
    (named.len() as u64, bad)
}
