//! Owns who stands for a backup: its record, signed with the key of this host, with which evidence is sealed as well.
//!
//! The record has the sums of all else. Whoever can write to the folder of the backups can make one that is consistent
//! with itself, and cannot make the seal.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use evidence::{Digest, PublicKey, Signed, SigningKey};
use integrity::backup::{Backup, Catalogue};
use serde::{Deserialize, Serialize};

use super::BackupError;

/// What a statement says that it is.
const WHAT: &str = "paramedic backup seal";
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
    let key = SigningKey::open(keys)?;
    let statement = Statement {
        what: WHAT.to_owned(),
        id: id.to_owned(),
        record_sha256: Digest::of(&record(catalogue, id)?),
        key: key.public().fingerprint(),
    };
    let path = catalogue.folder().to_owned();
    let seal = Signed::new(&statement, &key);
    catalogue.set_seal(id, &seal).map_err(|source| BackupError::Folder { path, source })
}

/// Whether this host has sealed a backup as it is.
pub(super) fn check_own(catalogue: &Catalogue, id: &str, keys: &Path) -> Result<(), BackupError> {
    check(catalogue, id, PublicKey::of_folder(keys)?)
}

fn check(catalogue: &Catalogue, id: &str, key: PublicKey) -> Result<(), BackupError> {
    let not = |problem: String| Err(BackupError::Seal { id: id.to_owned(), problem });
    let seal = match read(&catalogue.seal(id), SEAL_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return not("it has no seal".to_owned()),
        Err(source) => return Err(BackupError::Folder { path: catalogue.seal(id), source }),
    };
    let signed = serde_json::from_slice::<Signed>(&seal).ok();
    let statement = signed.as_ref().and_then(Signed::read::<Statement>).filter(|one| one.what == WHAT);
    let (Some(signed), Some(statement)) = (signed, statement) else {
        return not("its seal is none".to_owned());
    };
    if !signed.is_by(key) {
        return not(format!("its seal is by the key {}, not by {}", statement.key, key.fingerprint()));
    }
    if statement.id != id || statement.record_sha256 != Digest::of(&record(catalogue, id)?) {
        return not("its seal is one of another record".to_owned());
    }
    Ok(())
}

/// Checks the files of one backup with nothing but them and a public key; dumps of databases are not restored. `scratch` is
/// a folder of this process alone.
///
/// # Errors
/// If it is not sealed by that key, or not good.
pub fn verify_bundle(archive: &Path, key: &Path, scratch: &Path) -> Result<Backup, BackupError> {
    let key = PublicKey::read(key)?;
    let folder = archive.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = archive.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let id = name.strip_suffix(".tar.zst").unwrap_or(&name).to_owned();
    let catalogue = Catalogue::at(folder.to_owned());
    let backup = catalogue.find(&id).ok_or_else(|| BackupError::Seal {
        id: id.clone(),
        problem: format!("`{id}.json` and `{id}.tar.zst` are not both in {}", folder.display()),
    })?;
    check(&catalogue, &id, key)?;
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
