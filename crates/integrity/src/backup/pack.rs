//! Owns writing an archive: tar with GNU's long names in zstd, and the digest of what reached the disk.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};
use zstd::stream::write::Encoder;

use super::catalogue::Sum;
use super::member::{self, ATTRIBUTE};
use crate::attributes::Attributes;
use crate::entry::{Entry, Kind};
use crate::hex::Hex;

/// Of zstd: half the time of the level above is spent here, and little is lost.
const LEVEL: i32 = 3;
/// The bytes that a header of tar has for a name.
const NAME_BYTES: usize = 100;
/// The name under which GNU tar hands on a longer one.
const LONG_NAME: &str = "././@LongLink";

/// An archive cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The archive cannot be written.
    #[error("the archive {} cannot be written", path.display())]
    Write {
        /// The archive.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The folder of the backups cannot be used.
    #[error("the folder {} cannot be used", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file of the tree cannot be read, so the backup would not be whole.
    #[error("{} cannot be read: without it the backup is not whole", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The manifest cannot be written.
    #[error(transparent)]
    Manifest(#[from] crate::manifest::ManifestError),
    /// Nobody could stand for it.
    #[error("the backup could not be sealed: {reason}")]
    Seal {
        /// Why not.
        reason: String,
    },
    /// A database cannot be copied as it is at one moment.
    #[error("no whole copy of the database {} could be made: {reason}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// An archive that is being written.
pub(super) struct Pack {
    path: PathBuf,
    tar: Builder<Encoder<'static, Summed>>,
}

/// A file, and the digest of all that was written to it.
struct Summed {
    file: File,
    hasher: Sha256,
    bytes: u64,
}

// === impl Pack ===

impl Pack {
    pub(super) fn create(path: &Path) -> Result<Self, PackError> {
        let begun = (|| {
            let file = File::create_new(path)?;
            rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(0o600))?;
            let mut encoder = Encoder::new(Summed { file, hasher: Sha256::new(), bytes: 0 }, LEVEL)?;
            encoder.include_checksum(true)?;
            Ok(Builder::new(encoder))
        })();
        match begun {
            Ok(tar) => Ok(Self { path: path.to_owned(), tar }),
            Err(source) => Err(PackError::Write { path: path.to_owned(), source }),
        }
    }

    /// Adds one thing, under its path in tree number `tree`. A file has exactly the bytes that its entry says.
    pub(super) fn add(
        &mut self,
        tree: usize,
        entry: &Entry,
        target: Option<&Path>,
        attributes: &Attributes,
        content: impl Read,
    ) -> Result<(), PackError> {
        let kind = match entry.kind {
            Kind::File => EntryType::Regular,
            Kind::Link => EntryType::Symlink,
            Kind::Folder | Kind::Mount | Kind::Special => EntryType::Directory,
        };
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(u32::from(entry.mode));
        header.set_uid(entry.uid.into());
        header.set_gid(entry.gid.into());
        header.set_size(entry.size);
        header.set_mtime(u64::try_from(entry.modified_ns / 1_000_000_000).unwrap_or_default());
        let name = member::name(tree, entry.path.as_path());
        let added = (|| {
            self.attributes(attributes)?;
            self.name(EntryType::GNULongName, name.as_os_str(), &mut header, |header| {
                &mut header.as_old_mut().name
            })?;
            if let Some(target) = target {
                self.name(EntryType::GNULongLink, target.as_os_str(), &mut header, |header| {
                    &mut header.as_old_mut().linkname
                })?;
            }
            header.set_cksum();
            self.tar.append(&header, content)
        })();
        added.map_err(|source| PackError::Write { path: self.path.clone(), source })
    }

    /// Adds a file that is of no tree.
    pub(super) fn add_file(
        &mut self,
        name: &Path,
        bytes: u64,
        created_ms: i64,
        content: impl Read,
    ) -> Result<(), PackError> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o600);
        header.set_size(bytes);
        header.set_mtime(u64::try_from(created_ms / 1000).unwrap_or_default());
        let added = header.set_path(name).and_then(|()| {
            header.set_cksum();
            self.tar.append(&header, content)
        });
        added.map_err(|source| PackError::Write { path: self.path.clone(), source })
    }

    /// Puts attributes before a member.
    fn attributes(&mut self, attributes: &Attributes) -> io::Result<()> {
        let named: Vec<(String, &[u8])> = attributes
            .iter()
            .map(|(name, value)| match std::str::from_utf8(name) {
                Ok(name) => Ok((format!("{ATTRIBUTE}{name}"), value)),
                Err(_) => Err(io::Error::other("the name of an attribute is no text")),
            })
            .collect::<io::Result<_>>()?;
        self.tar.append_pax_extensions(named.iter().map(|(name, value)| (name.as_str(), *value)))
    }

    /// Puts a name into its place in a header, or before it where it is too long for that.
    fn name(
        &mut self,
        long: EntryType,
        name: &OsStr,
        header: &mut Header,
        place: impl Fn(&mut Header) -> &mut [u8; NAME_BYTES],
    ) -> io::Result<()> {
        let name = name.as_bytes();
        if name.len() > NAME_BYTES {
            let mut before = Header::new_gnu();
            before.as_old_mut().name[..LONG_NAME.len()].copy_from_slice(LONG_NAME.as_bytes());
            before.set_entry_type(long);
            before.set_size(name.len() as u64 + 1);
            before.set_mode(0);
            before.set_cksum();
            self.tar.append(&before, [name, &[0]].concat().as_slice())?;
        }
        let fits = name.len().min(NAME_BYTES);
        place(header)[..fits].copy_from_slice(&name[..fits]);
        Ok(())
    }

    /// Ends the archive, on disk before this returns.
    pub(super) fn finish(self) -> Result<Sum, PackError> {
        let Self { path, tar } = self;
        let ended = (|| {
            let Summed { file, hasher, bytes } = tar.into_inner()?.finish()?;
            file.sync_all()?;
            Ok(Sum { bytes, sha256: Hex(hasher.finalize().into()) })
        })();
        ended.map_err(|source| PackError::Write { path, source })
    }
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
