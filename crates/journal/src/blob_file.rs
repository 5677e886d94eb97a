//! Owns the file of one blob: its name, its form, and how it comes to be.
//!
//! `HEX` is the content as it is, `HEX.zst` the content compressed with zstd; `HEX` is the SHA-256 of the
//! content either way. A file is written under a name of its own (`.new-…`), synced and renamed, so a name
//! always has its whole content. While it is written it is locked (`flock`): one that is not has no writer any
//! more.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};
use zstd::stream::{read::Decoder, write::Encoder};

use crate::disk::{BLOCK_BYTES, NEW_PREFIX, Unfinished};
use crate::{BlobRef, Digest};

/// The longest content kept plain, in bytes: a shorter file would take no less of the disk.
const PLAIN_BYTES_MAX: usize = BLOCK_BYTES as usize;

/// zstd's own default: as fast as a disk, and logs shrink to a tenth.
const LEVEL: i32 = 3;

/// The largest window that reading allows, as a power of two: 8 MiB of memory. The level above uses 2 MiB.
const WINDOW_LOG_MAX: u32 = 23;

/// How the content stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is.
    Plain,
    /// Compressed.
    Zstd,
}

/// A blob that is being written; it is deleted unless it is kept.
pub(crate) struct New<'a> {
    folder: &'a Path,
    path: Unfinished,
    form: Form,
    sink: Sink,
    hasher: Sha256,
    bytes: u64,
}

enum Sink {
    Plain(File),
    Zstd(Encoder<'static, File>),
}

// === impl Form ===

impl Form {
    /// Both, in the order in which a reader looks: long content written before there was compression may be
    /// there in both, and the compressed one is the newer.
    pub(crate) const ALL: [Self; 2] = [Self::Zstd, Self::Plain];

    /// Returns the form for content of so many bytes.
    pub(crate) fn of(bytes: usize) -> Self {
        if bytes > PLAIN_BYTES_MAX { Self::Zstd } else { Self::Plain }
    }

    /// Returns the name of the file.
    pub(crate) fn name(self, sha256: Digest) -> String {
        match self {
            Self::Plain => sha256.to_string(),
            Self::Zstd => format!("{sha256}.zst"),
        }
    }

    /// Returns whose content a file of this name has, in any form.
    pub(crate) fn parse(name: &str) -> Option<Digest> {
        name.strip_suffix(".zst").unwrap_or(name).parse().ok()
    }

    /// Opens the content for reading. Content that is not of this form is an error without a code of the operating
    /// system.
    pub(crate) fn open(self, file: File) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Self::Plain => Box::new(file),
            Self::Zstd => {
                let mut decoder = Decoder::new(file)?;
                decoder.window_log_max(WINDOW_LOG_MAX)?;
                Box::new(decoder)
            }
        })
    }

    /// Returns the content, but at most `bytes_max` bytes of it.
    pub(crate) fn read(self, file: File, bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(file)?.take(bytes_max).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

// === impl New ===

impl<'a> New<'a> {
    pub(crate) fn create(folder: &'a Path, form: Form) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{NEW_PREFIX}{}-{count}", std::process::id()));
            let file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => file,
                // Left by a process that had our id; the count gets past it.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            };
            let path = Unfinished(path);
            file.lock()?;
            let sink = match form {
                Form::Plain => Sink::Plain(file),
                Form::Zstd => Sink::Zstd(Encoder::new(file, LEVEL)?),
            };
            return Ok(Self { folder, path, form, sink, hasher: Sha256::new(), bytes: 0 });
        }
    }

    /// Returns how many bytes were written so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.sink {
            Sink::Plain(file) => file.write_all(bytes)?,
            Sink::Zstd(encoder) => encoder.write_all(bytes)?,
        }
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Gives the file its name. It is on disk when this returns.
    pub(crate) fn keep(self) -> io::Result<BlobRef> {
        let file = match self.sink {
            Sink::Plain(file) => file,
            Sink::Zstd(encoder) => encoder.finish()?,
        };
        file.sync_all()?;
        let blob = BlobRef { sha256: self.hasher.into(), bytes: self.bytes };
        let folder = File::open(self.folder)?;
        // While somebody looks whether a blob of this name is old enough to go, it must not become new.
        folder.lock_shared()?;
        // Over one of the same name as well: that may be damaged, this one is not.
        fs::rename(&self.path.0, self.folder.join(self.form.name(blob.sha256)))?;
        folder.sync_all()?;
        Ok(blob)
    }
}
