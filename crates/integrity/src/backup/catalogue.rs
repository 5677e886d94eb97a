//! Owns what is known of the backups of one server: which there are, what each should be, and what was proven of it.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use crate::hex::Hex;
use crate::manifest::End;

/// A record has some hundred bytes, and a path for each tree and each file that was being written.
pub(super) const RECORD_BYTES_MAX: u64 = 1 << 20;

/// What else of ours is in the folder.
const LOCK: &str = "lock";
const SCRATCH: &str = "scratch";
const OURS: [&str; 2] = [LOCK, SCRATCH];

/// How names of archives end.
const ARCHIVES: [&str; 3] = [".tar.gz", ".tgz", ".tar.zst"];

/// What a backup is: the last that the archive says of itself, and the last that is written beside it. Never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The form; 1.
    pub version: u32,
    /// Whose data they are.
    pub server: String,
    /// When it was begun: milliseconds since 1970. What was written later may be missing.
    pub created_ms: i64,
    /// Its trees, in the order of the archive.
    pub trees: Vec<TreeRecord>,
    /// Files that were written all the while they were read, so that nobody knows of which moment they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moving: Vec<String>,
    /// Databases that live elsewhere, by their addresses: the last tree has a dump of each, `0.dump`, `1.dump` and so on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<String>,
    /// How many devices, pipes, sockets and files that may change were left out.
    #[serde(default)]
    pub left_out: u64,
}

/// What the file of an archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Its size.
    #[serde(rename = "archive_bytes")]
    pub bytes: u64,
    /// SHA-256 of it.
    #[serde(rename = "archive_sha256")]
    pub sha256: Hex<32>,
}

/// What is written beside an archive: what an archive cannot say of itself is its own sum.
#[derive(Serialize, Deserialize)]
struct Written<R> {
    #[serde(flatten)]
    record: R,
    #[serde(flatten)]
    archive: Sum,
}

/// An archive in the folder that has no record beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LooseArchive {
    /// The name of the file.
    #[serde(rename = "id")]
    pub name: String,
    /// When it was written to last: milliseconds since 1970.
    pub modified_ms: i64,
    /// Its size.
    pub archive_bytes: u64,
}

/// One tree of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeRecord {
    /// Where it was.
    pub root: PathBuf,
    /// The end of its manifest.
    pub manifest: End,
}

/// What came of reading a backup again, to its end and into a tree of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// When: milliseconds since 1970.
    pub at_ms: i64,
    /// What is wrong with it; nothing where it is good.
    pub problem: Option<String>,
}

/// One backup of a catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Backup {
    /// Its name: the time at which it was begun, in UTC.
    pub id: String,
    /// What it is.
    #[serde(flatten)]
    pub record: Record,
    /// What its archive is.
    #[serde(flatten)]
    pub archive: Sum,
    /// The last proof, if somebody has asked for one.
    pub proof: Option<Proof>,
}

/// The backups in one folder.
#[derive(Clone, Debug)]
pub struct Catalogue {
    folder: PathBuf,
    /// Whether a record is enough: the archive is elsewhere.
    is_of_records: bool,
}

// === impl Backup ===

impl Backup {
    /// Whether it was read again and found whole.
    pub fn is_proven(&self) -> bool {
        self.proof.as_ref().is_some_and(|proof| proof.problem.is_none())
    }
}

// === impl Catalogue ===

impl Catalogue {
    /// The backups in this folder; it need not be there yet.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder, is_of_records: false }
    }

    /// The same, where records alone are in the folder: a backup is there before its archive is.
    pub fn of_records(folder: PathBuf) -> Self {
        Self { folder, is_of_records: true }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All backups, newest first, and the names in the folder that belong to none.
    ///
    /// # Errors
    /// If the folder is there and cannot be read.
    pub fn list(&self) -> io::Result<(Vec<Backup>, Vec<String>)> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
            entries => entries?,
        };
        let names: Vec<String> = entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<_>>()?;
        let ids = names.iter().filter_map(|name| name.strip_suffix(".json")).filter(|id| is_id(id));
        let mut backups: Vec<Backup> = ids.filter_map(|id| self.find(id)).collect();
        backups.sort_by(|one, two| (two.record.created_ms, &two.id).cmp(&(one.record.created_ms, &one.id)));
        let is_ours = |name: &str| {
            OURS.contains(&name)
                || backups
                    .iter()
                    .any(|one| name.strip_prefix(&one.id).is_some_and(|rest| rest.starts_with('.')))
        };
        let mut others: Vec<String> = names.iter().filter(|name| !is_ours(name)).cloned().collect();
        others.sort_unstable();
        Ok((backups, others))
    }

    /// The archives among names that belong to no backup, the newest first.
    pub fn loose(&self, others: &[String]) -> Vec<LooseArchive> {
        let look = |name: &String| {
            let file = self.folder.join(name).symlink_metadata().ok().filter(|file| file.is_file())?;
            Some(LooseArchive {
                name: name.clone(),
                modified_ms: file.mtime().saturating_mul(1000),
                archive_bytes: file.len(),
            })
        };
        let mut loose: Vec<LooseArchive> =
            others.iter().filter(|name| is_archive(name)).filter_map(look).collect();
        loose.sort_by(|one, two| (two.modified_ms, &two.name).cmp(&(one.modified_ms, &one.name)));
        loose
    }

    /// One backup by its name, if it is whole enough to be one.
    pub fn find(&self, id: &str) -> Option<Backup> {
        let Written { record, archive } = read_json::<Written<Record>>(&self.record(id))?;
        let is_there = self.is_of_records || self.archive(id).metadata().is_ok_and(|file| file.is_file());
        (record.version == 1 && is_there).then(|| {
            let proof = read_json(&self.proof_path(id));
            Backup { id: id.to_owned(), record, archive, proof }
        })
    }

    /// The lock of whoever does something about these backups.
    pub fn lock(&self) -> PathBuf {
        self.folder.join(LOCK)
    }

    /// The folder for what is needed in between.
    pub fn scratch(&self) -> PathBuf {
        self.folder.join(SCRATCH)
    }

    /// The archive of a backup.
    pub fn archive(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.tar.zst"))
    }

    /// The manifest of one of its trees.
    pub fn manifest(&self, id: &str, tree: usize) -> PathBuf {
        self.folder.join(format!("{id}.{tree}.jsonl"))
    }

    /// What a backup is, as it was written.
    pub fn record(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    /// Who stands for that.
    pub fn seal(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.seal.json"))
    }

    /// Writes down who stands for a backup.
    ///
    /// # Errors
    /// If the folder takes nothing more.
    pub fn set_seal(&self, id: &str, seal: &impl Serialize) -> io::Result<()> {
        self.write_json(&self.seal(id), seal)
    }

    /// Writes down what came of reading a backup again.
    ///
    /// # Errors
    /// If the folder takes nothing more.
    pub fn set_proof(&self, id: &str, proof: &Proof) -> io::Result<()> {
        self.write_json(&self.proof_path(id), proof)
    }

    /// Makes a backup one, when all its other files are on disk.
    pub(super) fn set_record(&self, id: &str, record: &Record, archive: Sum) -> io::Result<()> {
        self.write_json(&self.record(id), &Written { record, archive })
    }

    /// All files of a backup, whether they are there or not; its record is the last.
    pub fn files_of(&self, backup: &Backup) -> Vec<PathBuf> {
        let id = &backup.id;
        let manifests = (0..backup.record.trees.len()).map(|tree| self.manifest(id, tree));
        let first = std::iter::once(self.archive(id)).chain(manifests);
        first.chain([self.proof_path(id), self.seal(id), self.record(id)]).collect()
    }

    /// Deletes a backup: its record first, so that it is none from then on.
    ///
    /// # Errors
    /// If the folder cannot be written to.
    pub fn remove(&self, backup: &Backup) -> io::Result<()> {
        for path in self.files_of(backup).into_iter().rev() {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Which backups go so that the newest `keep` stay. The newest that is proven good stays as well, and so does
    /// whatever is not older than it.
    pub fn surplus(backups: &[Backup], keep: usize) -> &[Backup] {
        let proven = backups.iter().position(Backup::is_proven).map_or(backups.len(), |at| at + 1);
        &backups[proven.max(keep.max(1)).min(backups.len())..]
    }

    fn proof_path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.proof.json"))
    }

    fn write_json(&self, path: &Path, document: &impl Serialize) -> io::Result<()> {
        let beside = path.with_extension("new");
        let mut file = File::create(&beside)?;
        rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(0o600))?;
        file.write_all(&serde_json::to_vec_pretty(document)?)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(&self.folder)?.sync_all()
    }
}

/// Whether this is the name of an archive.
pub fn is_archive(name: &str) -> bool {
    ARCHIVES.iter().any(|end| name.ends_with(end))
}

/// The name of a backup that was begun then, as far as the time makes it.
pub(super) fn id_of(created_ms: i64) -> String {
    DateTime::from_timestamp_millis(created_ms).unwrap_or_default().format("%Y%m%dT%H%M%SZ").to_string()
}

/// Whether this is the name of a backup: `20261126T201500Z`, and a number where there are several of one second.
pub fn is_id(text: &str) -> bool {
    let (time, number) = text.split_once('-').unwrap_or((text, "1"));
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_time = time
        .strip_suffix('Z')
        .and_then(|time| time.split_once('T'))
        .is_some_and(|(day, hour)| digits(day, 8) && digits(hour, 6));
    is_time && (1..=3).contains(&number.len()) && digits(number, number.len())
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Option<T> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(RECORD_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup(n: i64, is_proven: Option<bool>) -> Backup {
        let record = Record {
            version: 1,
            server: "notes".to_owned(),
            created_ms: n,
            trees: Vec::new(),
            moving: Vec::new(),
            databases: Vec::new(),
            left_out: 0,
        };
        let proof = is_proven.map(|good| Proof { at_ms: n, problem: (!good).then(|| "cut".to_owned()) });
        let archive = Sum { bytes: 0, sha256: Hex([0; 32]) };
        Backup { id: n.to_string(), record, archive, proof }
    }

    #[test]
    fn the_newest_stay_and_so_does_the_newest_that_is_proven() {
        let check = |proofs: &[Option<bool>], keep: usize, expected: usize| {
            let backups: Vec<Backup> = (0..).zip(proofs).map(|(n, proof)| backup(-n, *proof)).collect();
            assert_eq!(Catalogue::surplus(&backups, keep).len(), expected, "{proofs:?} {keep}");
        };
        let (good, bad, nobody_knows) = (Some(true), Some(false), None);
        check(&[], 2, 0);
        check(&[good, good, good, good], 2, 2);
        check(&[bad, nobody_knows, bad, good, good], 2, 1);
        // Without any that is proven nothing goes.
        check(&[bad, bad, nobody_knows, nobody_knows], 1, 0);
        check(&[good, good], 0, 1);
    }

    #[test]
    fn a_record_is_read_as_versions_before_have_written_it() {
        let text = r#"{"version": 1, "server": "notes", "created_ms": 5, "trees": [], "archive_bytes": 7,
            "archive_sha256": "0000000000000000000000000000000000000000000000000000000000000000", "left_out": 2}"#;
        let folder = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::at(folder.path().to_owned());
        let id = id_of(0);
        fs::write(catalogue.record(&id), text).unwrap();
        fs::write(catalogue.archive(&id), "1234567").unwrap();
        let found = catalogue.find(&id).unwrap();
        assert_eq!((found.record.created_ms, found.record.left_out, found.archive.bytes), (5, 2, 7));
        catalogue.set_record(&id, &found.record, found.archive).unwrap();
        assert_eq!(catalogue.find(&id), Some(found));
    }

    #[test]
    fn names_of_backups() {
        for good in ["20261126T201500Z", "20261126T201500Z-2", "20261126T201500Z-12"] {
            assert!(is_id(good), "{good}");
        }
        for bad in [
            "",
            "x",
            "20261126",
            "20261126T2015Z",
            "20261126T201500Z-",
            "20261126T201500Z-1234",
            "../20261126T201500Z",
        ] {
            assert!(!is_id(bad), "{bad}");
        }
    }
}
