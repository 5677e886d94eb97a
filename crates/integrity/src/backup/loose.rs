//! Owns an archive that is alone: what it says of itself becomes a catalogue with this one backup in it.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::Path;

use super::catalogue::{Backup, Catalogue, RECORD_BYTES_MAX, Record, id_of};
use super::inside::Inside;
use super::unpack::UnpackError;
use super::{member, stream};

/// A seal has some hundred bytes.
const SEAL_BYTES_MAX: u64 = 16 << 10;
/// A manifest is a small part of what it is of; a larger one is none of ours.
const MANIFEST_BYTES_MAX: u64 = 64 << 30;

/// What an archive says of itself.
#[derive(Debug)]
pub struct Told {
    /// A catalogue in which it is the one backup. All of it may be a lie: what proves a backup proves this one as well.
    pub catalogue: Catalogue,
    /// The backup.
    pub backup: Backup,
    /// What the seal is of.
    pub record: Vec<u8>,
    /// Who stands for it, if anybody does.
    pub seal: Option<Vec<u8>>,
}

/// Reads an archive to its end for what it says of itself, into a folder that is not there yet; nothing where it says
/// nothing.
///
/// # Errors
/// If it cannot be read, or what it says cannot be so.
pub fn told(archive: &Path, into: &Path) -> Result<Option<Told>, UnpackError> {
    let at_folder = |source| UnpackError::Io { path: into.to_owned(), source };
    let unreadable = |source| UnpackError::of_archive(archive, source);
    DirBuilder::new().mode(0o700).create(into).map_err(at_folder)?;
    let mut opened = stream::open(archive).map_err(unreadable)?;
    let mut members = opened.entries().map_err(unreadable)?.raw(true);
    let (mut record, mut seal, mut manifests) = (None, None, 0);
    while let Some(mut member) = member::next(&mut members).map_err(unreadable)? {
        let Some(what) = Inside::of(&member) else { continue };
        let most = match what {
            Inside::Manifest(_) => MANIFEST_BYTES_MAX,
            Inside::Record => RECORD_BYTES_MAX,
            Inside::Seal => SEAL_BYTES_MAX,
        };
        if member.content.size() > most {
            return Err(refused(&format!("{} in it is too long", member.name.display())));
        }
        match what {
            Inside::Manifest(n) if n == manifests => {
                let file = File::create_new(into.join(n.to_string())).map_err(at_folder)?;
                io::copy(&mut member.content, &mut &file).map_err(unreadable)?;
                manifests += 1;
            }
            Inside::Record if record.is_none() => {
                record = Some(bytes(&mut member.content).map_err(unreadable)?)
            }
            Inside::Seal if seal.is_none() => seal = Some(bytes(&mut member.content).map_err(unreadable)?),
            _ => return Err(refused(&format!("{} in it comes twice, or too soon", member.name.display()))),
        }
    }
    stream::end(opened).map_err(unreadable)?;
    let Some(document) = record else { return Ok(None) };
    let record: Record = serde_json::from_slice(&document).map_err(|error| refused(&error.to_string()))?;
    if record.version != 1 || record.trees.len() != manifests {
        return Err(refused("it is of another version, or manifests of it are missing"));
    }
    let (catalogue, id) = (Catalogue::at(into.to_owned()), id_of(record.created_ms));
    let placed = (|| {
        for n in 0..manifests {
            fs::rename(into.join(n.to_string()), catalogue.manifest(&id, n))?;
        }
        symlink(archive.canonicalize()?, catalogue.archive(&id))?;
        catalogue.set_record(&id, &record, stream::sum(archive)?)
    })();
    placed.map_err(at_folder)?;
    let backup = catalogue.find(&id).ok_or_else(|| refused("it changes while it is read"))?;
    Ok(Some(Told { catalogue, backup, record: document, seal }))
}

fn bytes(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn refused(what: &str) -> UnpackError {
    UnpackError::Refused { what: format!("what it says of itself cannot be so: {what}") }
}
