//! Owns the file in which the store outlives `serve`: `spans.otlp`, messages of OTLP in protobuf, one after another, which
//! is one message again: `curl --data-binary @spans.otlp` takes it to any receiver.
//!
//! New spans are added at the end. When the file has twice what is held, and 4 MiB at least, it is written anew. A
//! machine that fails may lose the last of it, and its last message may be broken: that one is left out.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Span, Store, protobuf, to_protobuf};

/// A file that is smaller is not worth writing anew.
const REWRITE_BYTES_MIN: u64 = 4 << 20;

/// A longer file is not ours: the store's own is twice its bound at most, and that is bounded.
const FILE_BYTES_MAX: u64 = 4 << 30;

/// So many spans are in one message, so that a broken one loses no more.
const MESSAGE_SPANS: usize = 512;

/// The file of a store.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    file: File,
    written: u64,
    rewrite_at: u64,
}

// === impl Disk ===

impl Disk {
    /// Opens the file of a folder, which is made, and puts what it has into the store.
    ///
    /// # Errors
    /// When it can be neither read nor written.
    pub fn open(folder: &Path, store: &mut Store, now_ms: i64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join("spans.otlp");
        let whole = load(&path, store, now_ms)?;
        let file = own(File::options().create(true).append(true), &path)?;
        // Behind a broken message nothing would be found again.
        file.set_len(whole)?;
        Ok(Self { path, file, written: whole, rewrite_at: (2 * whole).max(REWRITE_BYTES_MIN) })
    }

    /// Puts what a folder has into a store, and changes nothing: for whoever asks while no `serve` runs.
    ///
    /// # Errors
    /// When it is there and can not be read.
    pub fn read(folder: &Path, store: &mut Store, now_ms: i64) -> io::Result<()> {
        load(&folder.join("spans.otlp"), store, now_ms).map(drop)
    }

    /// Adds spans. Says whether the file should be written anew.
    ///
    /// # Errors
    /// When it can not be written; what was written of it is taken back, or it would break all that follows.
    pub fn add(&mut self, spans: &[Arc<Span>]) -> io::Result<bool> {
        let message = to_protobuf(spans.iter().map(|span| &**span));
        if let Err(error) = self.file.write_all(&message) {
            self.file.set_len(self.written)?;
            return Err(error);
        }
        self.written += message.len() as u64;
        Ok(self.written >= self.rewrite_at)
    }

    /// Writes the file anew, with these spans and no others.
    ///
    /// # Errors
    /// When it can not be written; then the old one stays.
    pub fn rewrite(&mut self, spans: &[Arc<Span>]) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = own(File::options().write(true).create(true).truncate(true), &new)?;
        let mut written = 0;
        for some in spans.chunks(MESSAGE_SPANS) {
            let message = to_protobuf(some.iter().map(|span| &**span));
            file.write_all(&message)?;
            written += message.len() as u64;
        }
        file.sync_all()?;
        drop(file);
        let file = File::options().append(true).open(&new)?;
        fs::rename(&new, &self.path)?;
        *self =
            Self { path: self.path.clone(), file, written, rewrite_at: (2 * written).max(REWRITE_BYTES_MIN) };
        Ok(())
    }
}

/// Opens a file that nobody else may read: calls of all clients stand in it.
fn own(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.mode(0o600).open(path)
}

/// Says how many bytes of the file are whole messages.
fn load(path: &Path, store: &mut Store, now_ms: i64) -> io::Result<u64> {
    let length = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() && metadata.len() <= FILE_BYTES_MAX => metadata.len(),
        Ok(_) => return Err(io::Error::other("it is no file of spans")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    if length == 0 {
        return Ok(0);
    }
    let file = fs::read(path)?;
    let whole = protobuf::decode_each(&file, |decoded| {
        for span in decoded.spans {
            // When it was heard of was not written down; it was soon after it had ended.
            let heard_ms =
                i64::try_from(span.end_ns / 1_000_000).map_or(now_ms, |ended_ms| ended_ms.min(now_ms));
            store.add(vec![span], heard_ms);
        }
    });
    store.expire(now_ms);
    Ok(whole as u64)
}
