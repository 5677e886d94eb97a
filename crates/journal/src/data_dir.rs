//! Owns the data directory as a whole: what its parts take on the disk, and the carrying out of a plan.
//!
//! Order: runs, reports and unfinished blobs, then the journal, which on a full disk needs the room of those,
//! then the blobs that its entries named. Whatever is cut off in between is planned again: an incident until
//! its entries are gone, and a blob once nobody names it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::retention::GRACE_MS;
use crate::{BlobFile, Blobs, Digest, Error, Journal, Plan, Stock, disk};

/// The parts of a data directory.
#[derive(Debug, Clone)]
pub struct DataDir {
    /// The journal.
    pub journal: Journal,
    /// The blobs that its entries name.
    pub blobs: Blobs,
    /// The folder with a folder of runs for each incident, by its name.
    pub runs: PathBuf,
    /// The folder of reports, each named by its incident and a suffix.
    pub reports: PathBuf,
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Freed {
    /// How many entries of the journal.
    pub entries: u64,
    /// How many blobs.
    pub blobs: u64,
    /// How many unfinished blobs of writers that are gone.
    pub unfinished: u64,
    /// What all that was removed took, in bytes, about.
    pub bytes: u64,
}

// === impl DataDir ===

impl DataDir {
    /// Returns what there is. Reads the whole journal and looks at every file.
    ///
    /// # Errors
    ///
    /// The journal cannot be read, or a folder cannot be looked through.
    pub async fn measure(&self) -> Result<Stock, Error> {
        let newest = self.journal.head().await?.map_or(0, |head| head.seq);
        let incidents = self.journal.incident_bytes().await?;
        let journal_bytes = self.journal.used_bytes().await?;
        let dir = self.clone();
        let (blobs, folders, log_bytes) =
            blocking(move || Ok((dir.blobs_there()?, dir.folders_there()?, dir.log_bytes()?))).await?;
        let rest = journal_bytes.saturating_sub(incidents.values().sum());
        let loose = BTreeMap::new();
        let mut stock = Stock { newest, incidents, blobs, loose, other_bytes: rest + log_bytes };
        for (incident, bytes) in folders {
            *stock.incidents.get_mut(&incident).unwrap_or(&mut stock.other_bytes) += bytes;
        }
        Ok(stock)
    }

    /// Removes what `plan` says, and what writers that are gone left unfinished.
    ///
    /// # Errors
    ///
    /// The chain of the journal is broken ([`Error::Broken`]), an incident of the plan has got an entry since
    /// ([`Error::Outdated`]): then nothing was removed. Or the journal cannot be written, or a file cannot be
    /// removed: then a part is gone, and the rest is planned again the next time.
    pub async fn carry_out(&self, plan: &Plan, now_ms: i64) -> Result<Freed, Error> {
        self.journal.check_prunable(plan).await?;
        let (dir, incidents) = (self.clone(), plan.incidents.clone());
        let first = blocking(move || dir.remove_before_entries(&incidents, now_ms)).await?;
        let before = self.journal.used_bytes().await?;
        let entries = self.journal.prune(plan, now_ms).await?;
        let of_entries = before.saturating_sub(self.journal.used_bytes().await?);
        let (dir, sha256s) = (self.clone(), plan.blobs.clone());
        let last = blocking(move || dir.remove_blobs(&sha256s, now_ms)).await?;
        let bytes = first.bytes + of_entries + last.bytes;
        Ok(Freed { entries, blobs: last.blobs, unfinished: first.unfinished, bytes })
    }

    fn blobs_there(&self) -> Result<BTreeMap<Digest, BlobFile>, Error> {
        let path = self.blobs.folder();
        self.blobs.list().map_err(|source| Error::Measure { path: path.to_owned(), source })
    }

    /// Returns the runs and reports: the incident by whose name they go, and the bytes.
    fn folders_there(&self) -> Result<Vec<(String, u64)>, Error> {
        let mut folders = Vec::new();
        for (incident, _) in children(&self.runs)? {
            let path = self.runs.join(&incident);
            let bytes = disk::tree_room(&path).map_err(|source| Error::Measure { path, source })?;
            folders.push((incident, bytes));
        }
        for (report, metadata) in children(&self.reports)? {
            folders.push((incident_of(&report).to_owned(), disk::room(&metadata)));
        }
        Ok(folders)
    }

    /// Removes runs, reports and unfinished blobs.
    fn remove_before_entries(&self, incidents: &[String], now_ms: i64) -> Result<Freed, Error> {
        let gone: BTreeSet<_> = incidents.iter().map(String::as_str).collect();
        // Names that are there, so that none leads anywhere else.
        let (runs, reports) = (children(&self.runs)?, children(&self.reports)?);
        let runs = runs.iter().filter(|(name, _)| gone.contains(&**name));
        let reports = reports.iter().filter(|(name, _)| gone.contains(incident_of(name)));
        let runs = runs.map(|(name, _)| self.runs.join(name));
        let reports = reports.map(|(name, _)| self.reports.join(name));
        let mut freed = Freed::default();
        for path in runs.chain(reports) {
            freed.bytes += disk::remove_tree(&path).map_err(|source| Error::Remove { path, source })?;
        }
        let unfinished = self.blobs.remove_unfinished(now_ms.saturating_sub(GRACE_MS));
        for bytes in unfinished.map_err(|source| self.unremoved(source))? {
            freed.unfinished += 1;
            freed.bytes += bytes;
        }
        Ok(freed)
    }

    fn remove_blobs(&self, sha256s: &[Digest], now_ms: i64) -> Result<Freed, Error> {
        let new_ms = now_ms.saturating_sub(GRACE_MS);
        let mut freed = Freed::default();
        for sha256 in sha256s {
            let removed = self.blobs.remove(*sha256, new_ms).map_err(|source| self.unremoved(source))?;
            if let Some(bytes) = removed {
                freed.blobs += 1;
                freed.bytes += bytes;
            }
        }
        Ok(freed)
    }

    fn unremoved(&self, source: io::Error) -> Error {
        Error::Remove { path: self.blobs.folder().to_owned(), source }
    }

    /// Returns what SQLite's log beside the database takes.
    fn log_bytes(&self) -> Result<u64, Error> {
        let mut path = self.journal.path.as_os_str().to_owned();
        path.push("-wal");
        let path = PathBuf::from(path);
        disk::tree_room(&path).map_err(|source| Error::Measure { path, source })
    }
}

fn children(folder: &Path) -> Result<Vec<(String, Metadata)>, Error> {
    disk::children(folder).map_err(|source| Error::Measure { path: folder.to_owned(), source })
}

/// Returns the incident of a report: all before the last dot of its name.
fn incident_of(report: &str) -> &str {
    report.rsplit_once('.').map_or(report, |(incident, _)| incident)
}

/// Does what blocks on the disk beside the tasks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .expect("the work does not panic, and whoever waits is not cancelled")
}
