//! Owns who stands for a backup: its record, signed with the key of this host, with which evidence is sealed as well.
//!
//! The record has the sums of all else. Whoever can write to the folder of the backups can make one that is consistent
//! with itself, and cannot make the seal.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use evidence::{Digest, PublicKey, Signed, SigningKey};
use integrity::backup::{Backup, Catalogue, ProveError, Told, told};
use serde::{Deserialize, Serialize};

use super::BackupError;

/// What a statement says that it is: of the record beside an archive, which has the sum of it, or of the one in it.
const BESIDE: &str = "paramedic backup seal";
const INSIDE: &str = "paramedic backup seal inside";
/// A seal has some hundred bytes.
const SEAL_BYTES_MAX: u64 = 16 << 10;
/// A record has some hundred bytes, and more where many files were being written.
const RECORD_BYTES_MAX: u64 = 1 << 20;

/// What is signed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    what: String,
    id: String,
    record_sha256: Digest,
    /// The first 16 digits of the sum of the key.
    key: String,
}

/// Seals a backup with the key of this host, which is made if there is none.
pub(super) fn set(catalogue: &Catalogue, id: &str, keys: &Path) -> Result<(), BackupError> {
    let seal = sign(BESIDE, id, &record(catalogue, id)?, &SigningKey::open(keys)?);
    let path = catalogue.folder().to_owned();
    catalogue.set_seal(id, &seal).map_err(|source| BackupError::Folder { path, source })
}

/// What stands in an archive for the record in it.
pub(super) fn inside(id: &str, record: &[u8], keys: &Path) -> Result<Vec<u8>, evidence::Error> {
    let seal = sign(INSIDE, id, record, &SigningKey::open(keys)?);
    Ok(serde_json::to_vec_pretty(&seal).expect("a seal is always JSON"))
}

fn sign(what: &str, id: &str, record: &[u8], key: &SigningKey) -> Signed {
    let statement = Statement {
        what: what.to_owned(),
        id: id.to_owned(),
        record_sha256: Digest::of(record),
        key: key.public().fingerprint(),
    };
    Signed::new(&statement, key)
}

/// Whether this host has sealed a backup as it is.
pub(super) fn check_own(catalogue: &Catalogue, id: &str, keys: &Path) -> Result<(), BackupError> {
    check(catalogue, id, PublicKey::of_folder(keys)?)
}

fn check(catalogue: &Catalogue, id: &str, key: PublicKey) -> Result<(), BackupError> {
    let seal = match read(&catalogue.seal(id), SEAL_BYTES_MAX) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(BackupError::Folder { path: catalogue.seal(id), source }),
    };
    verify(BESIDE, id, seal.as_deref(), &record(catalogue, id)?, key)
}

/// Whether an archive has what this host has sealed in it.
pub(super) fn check_inside(told: &Told, keys: &Path) -> Result<(), BackupError> {
    verify(INSIDE, &told.backup.id, told.seal.as_deref(), &told.record, PublicKey::of_folder(keys)?)
}

fn verify(
    what: &str,
    id: &str,
    seal: Option<&[u8]>,
    record: &[u8],
    key: PublicKey,
) -> Result<(), BackupError> {
    let not = |problem: String| Err(BackupError::Seal { id: id.to_owned(), problem });
    let Some(seal) = seal else { return not("it has no seal".to_owned()) };
    let signed = serde_json::from_slice::<Signed>(seal).ok();
    let statement = signed.as_ref().and_then(Signed::read::<Statement>).filter(|one| one.what == what);
    let (Some(signed), Some(statement)) = (signed, statement) else {
        return not("its seal is none".to_owned());
    };
    if !signed.is_by(key) {
        return not(format!("its seal is by the key {}, not by {}", statement.key, key.fingerprint()));
    }
    if statement.record_sha256 != Digest::of(record) {
        return not("its seal is one of another record".to_owned());
    }
    // The name of one that is alone is made of what the record says, and may lack the number behind it.
    let is_same = statement.id == id || what == INSIDE && statement.id.starts_with(id);
    if is_same { Ok(()) } else { not("its seal is one of another backup".to_owned()) }
}

/// Checks a backup with nothing but its files, or its archive alone, and a public key; dumps of databases are not restored.
/// `scratch` is a folder of this process alone.
///
/// # Errors
/// If it is not sealed by that key, or not good.
pub fn verify_bundle(archive: &Path, key: &Path, scratch: &Path) -> Result<Backup, BackupError> {
    let key = PublicKey::read(key)?;
    let folder = archive.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = archive.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let id = name.strip_suffix(".tar.zst").unwrap_or(&name).to_owned();
    let beside = Catalogue::at(folder.to_owned());
    let (catalogue, backup) = match beside.find(&id) {
        Some(backup) => {
            check(&beside, &id, key)?;
            (beside, backup)
        }
        None => {
            let bad = |source| BackupError::Bad { id: id.clone(), source: ProveError::from(source) };
            let Some(told) = told(archive, &scratch.join("alone")).map_err(bad)? else {
                let problem = "nothing beside it or in it says what it is".to_owned();
                return Err(BackupError::Seal { id, problem });
            };
            verify(INSIDE, &told.backup.id, told.seal.as_deref(), &told.record, key)?;
            (told.catalogue, told.backup)
        }
    };
    integrity::backup::prove(&catalogue, &backup, scratch, |_| Ok(()))
        .map_err(|source| BackupError::Bad { id, source })?;
    Ok(backup)
}

fn record(catalogue: &Catalogue, id: &str) -> Result<Vec<u8>, BackupError> {
    let path = catalogue.record(id);
    read(&path, RECORD_BYTES_MAX).map_err(|source| BackupError::Folder { path, source })
}

fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let is = fs::symlink_metadata(path)?;
    if !is.is_file() || is.len() > most {
        return Err(io::ErrorKind::InvalidData.into());
    }
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}
