//! Owns the files of a store: a log of what it takes, and from time to time a checkpoint of all that it holds.
//!
//! ```text
//! log-00000007         a segment: what the store took, in order; stands for itself
//! checkpoint-00000007  the series as they were when segment 7 began; the segments before it are not needed any more
//! ```
//!
//! The store only collects records; `flush` writes them, without a lock on the store. What was taken after the last
//! flush is lost with the process, what was written after the last sync with the machine. A start reads the newest
//! checkpoint and the segments from its number on, and begins a segment of its own: a torn end is never written after.
//! What is broken is named and left where it is until the next checkpoint, which makes it superfluous.

mod files;

use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::frame::{self, Broken, Records};
use crate::labels::LabelWriter;
use crate::store::{Replay, Store};
pub use files::Files;
use files::Folder;

const LOG: &[u8; 8] = b"PMDC-LOG";
const CHECKPOINT: &[u8; 8] = b"PMDC-CHK";
/// Of both kinds of files. A file of a later version is refused, one of an earlier version would be read.
const VERSION: u32 = 1;
/// The log grows at least by so much before there is a checkpoint.
const LOG_BYTES_MIN: u64 = 16 << 20;
/// So many segments are read at a start at most: each start begins one.
const SEGMENTS_MAX: usize = 16;
/// So many series are written at a time, between which others can use the store.
const SERIES_AT_ONCE: usize = 1_000;
/// A checkpoint that is being written.
const UNFINISHED: &str = "checkpoint.tmp";

/// Why a store cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The folder cannot be used.
    #[error("samples cannot be kept in the folder `{folder}`")]
    Folder {
        /// The folder.
        folder: String,
        /// Why not.
        source: io::Error,
    },
    /// A later version of this program has written there.
    #[error(
        "file `{file}` of the samples is in format {found}, which is later than {VERSION}: use the program that wrote \
         it, or move the folder away"
    )]
    Newer {
        /// The file.
        file: String,
        /// Its version.
        found: u32,
    },
    /// A file cannot be written. It is tried again with the next flush; nothing is lost meanwhile unless it lasts.
    #[error("file `{file}` of the samples cannot be written")]
    Write {
        /// The file.
        file: String,
        /// Why not.
        source: io::Error,
    },
}

/// Something on the disk that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: String,
    /// What is wrong with it, and from where on.
    pub message: String,
}

/// What came back at a start.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Samples that are there again, those that are older than the retention not counted out.
    pub samples: usize,
    /// What could not be read.
    pub damage: Vec<Damage>,
}

/// The files of one store.
pub struct Disk {
    files: Box<dyn Files>,
    sync_every_ms: i64,
    segment: u32,
    /// How many bytes of the segment are whole.
    segment_bytes: u64,
    /// Records that were taken from the store, and could not be written yet.
    unwritten: Vec<u8>,
    /// Bytes of all segments since the last checkpoint.
    log_bytes: u64,
    n_segments: usize,
    checkpoint_bytes: u64,
    is_synced: bool,
    synced_ms: i64,
    /// How often the store had given up records at the last checkpoint: what they held is only in memory.
    overflows: u64,
}

// === impl Disk ===

impl Disk {
    /// Opens a folder, makes it where there is none, and puts what it holds into an empty store, whose samples it will
    /// keep from now on. The log is synced every `sync_every_ms`.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be read, or a file in it is of a later version.
    pub fn open(
        folder: &Path,
        sync_every_ms: i64,
        store: &mut Store,
        now_ms: i64,
    ) -> Result<(Self, Recovery), DiskError> {
        let unusable = |source| DiskError::Folder { folder: folder.display().to_string(), source };
        let files = Folder::open(folder).map_err(unusable)?;
        Self::open_in(Box::new(files), sync_every_ms, store, now_ms)
    }

    /// Opens a folder of any kind; see [`Disk::open`].
    ///
    /// # Errors
    ///
    /// As [`Disk::open`].
    pub fn open_in(
        files: Box<dyn Files>,
        sync_every_ms: i64,
        store: &mut Store,
        now_ms: i64,
    ) -> Result<(Self, Recovery), DiskError> {
        let unusable = |source| DiskError::Folder { folder: ".".to_owned(), source };
        let mut names = files.list().map_err(unusable)?;
        names.sort();
        let numbers = |prefix: &str| -> Vec<u32> {
            names.iter().filter_map(|name| name.strip_prefix(prefix)?.parse().ok()).collect()
        };
        let (checkpoints, segments) = (numbers("checkpoint-"), numbers("log-"));
        let mut disk = Self {
            files,
            sync_every_ms,
            segment: 0,
            segment_bytes: 0,
            unwritten: Vec::new(),
            log_bytes: 0,
            n_segments: 0,
            checkpoint_bytes: 0,
            is_synced: true,
            synced_ms: now_ms,
            overflows: 0,
        };
        let mut recovery = Recovery::default();
        let first = checkpoints.last().copied().unwrap_or_default();
        if first > 0 {
            disk.checkpoint_bytes = disk.replay(&checkpoint_name(first), CHECKPOINT, store, &mut recovery)?;
        }
        for segment in segments.iter().filter(|segment| **segment >= first) {
            disk.log_bytes += disk.replay(&segment_name(*segment), LOG, store, &mut recovery)?;
            disk.n_segments += 1;
        }
        disk.segment = segments.into_iter().chain(checkpoints).max().unwrap_or_default() + 1;
        let n_series = store.recovered(disk.segment, now_ms);
        if n_series > 0 {
            recovery.damage.push(Damage {
                file: "all".to_owned(),
                message: format!("{n_series} series have samples from the future, and are dropped"),
            });
        }
        Ok((disk, recovery))
    }

    /// Puts back what one file holds; returns how many bytes of it were whole.
    fn replay(
        &self,
        file: &str,
        magic: &[u8; 8],
        store: &mut Store,
        recovery: &mut Recovery,
    ) -> Result<u64, DiskError> {
        let mut replay = Replay::default();
        let (whole_bytes, broken) = match self.records(file, magic) {
            Ok(mut records) => loop {
                let read = match records.take() {
                    Ok(None) => break (records.whole_bytes, None),
                    Ok(Some(payload)) if magic == LOG => replay.log_record(store, payload),
                    Ok(Some(payload)) => replay.checkpoint_record(store, payload),
                    Err(broken) => break (records.whole_bytes, Some(broken)),
                };
                if read.is_none() {
                    recovery.damage.push(Damage {
                        file: file.to_owned(),
                        message: format!("a record before byte {} makes no sense", records.whole_bytes),
                    });
                }
            },
            Err(Broken::Newer(found)) => return Err(DiskError::Newer { file: file.to_owned(), found }),
            Err(broken) => (0, Some(broken)),
        };
        recovery.samples += replay.n_samples;
        recovery.damage.extend(broken.map(|broken| Damage {
            file: file.to_owned(),
            message: match broken {
                Broken::Torn => format!("ends in the middle of a record at byte {whole_bytes}"),
                Broken::Foreign => "is not a file of ours".to_owned(),
                Broken::Unreadable(why) => format!("cannot be read from byte {whole_bytes} on: {why}"),
                Broken::Corrupt | Broken::Newer(_) => {
                    format!("is corrupt at byte {whole_bytes}: the rest of it is not used")
                }
            },
        }));
        Ok(whole_bytes)
    }

    fn records(&self, file: &str, magic: &[u8; 8]) -> Result<Records<Box<dyn io::Read>>, Broken> {
        let reader = self.files.read(file).map_err(|error| Broken::Unreadable(error.to_string()))?;
        Records::open(reader, magic, VERSION)
    }

    /// Writes what the store has taken since the last time, and a checkpoint when the log has become long. Locks the
    /// store only for moments.
    ///
    /// # Errors
    ///
    /// Fails if something could not be written. It is tried again the next time; if that goes on, the store gives up its
    /// oldest records, and the first checkpoint that succeeds makes up for them.
    pub fn flush(&mut self, store: &Mutex<Store>, now_ms: i64) -> Result<(), DiskError> {
        self.write_unwritten()?;
        let (segment, records, overflows) = lock(store).take_records();
        self.write(segment, records)?;
        if !self.is_synced && now_ms.saturating_sub(self.synced_ms) >= self.sync_every_ms {
            self.sync(now_ms)?;
        }
        let is_long = self.log_bytes > LOG_BYTES_MIN.max(self.checkpoint_bytes);
        if is_long || self.n_segments > SEGMENTS_MAX || overflows > self.overflows {
            self.checkpoint(store)?;
            self.overflows = overflows;
        }
        Ok(())
    }

    /// Writes all that is left and syncs it, at the end.
    ///
    /// # Errors
    ///
    /// Fails if something could not be written.
    pub fn close(mut self, store: &Mutex<Store>, now_ms: i64) -> Result<(), DiskError> {
        self.flush(store, now_ms)?;
        self.sync(now_ms)
    }

    /// Writes all that the store holds into one file, and removes those that are not needed any more.
    ///
    /// # Errors
    ///
    /// Fails if something could not be written; what was there before is there still.
    pub fn checkpoint(&mut self, store: &Mutex<Store>) -> Result<(), DiskError> {
        self.write_unwritten()?;
        let ((segment, records), next) = lock(store).turn_records();
        self.write(segment, records)?;
        // One that was left behind may be longer.
        let _ = self.files.remove(UNFINISHED);
        // Whatever is taken from here on is in the next segment, and perhaps in the checkpoint as well.
        let mut offset = self.put(UNFINISHED, 0, &frame::header(CHECKPOINT, VERSION))?;
        let (mut from, mut written) = (0, LabelWriter::default());
        loop {
            let Some(records) = lock(store).series_records(from, SERIES_AT_ONCE, &mut written) else { break };
            offset = self.put(UNFINISHED, offset, &records)?;
            from += SERIES_AT_ONCE;
        }
        let targets = lock(store).target_records(&mut written);
        offset = self.put(UNFINISHED, offset, &targets)?;
        let file = checkpoint_name(next);
        let is_there = self.files.sync(UNFINISHED).and_then(|()| self.files.rename(UNFINISHED, &file));
        is_there.map_err(|source| DiskError::Write { file, source })?;
        (self.checkpoint_bytes, self.log_bytes, self.n_segments) = (offset, 0, 0);
        (self.segment, self.segment_bytes, self.is_synced) = (next, 0, true);
        self.remove_before(next);
        Ok(())
    }

    /// Removes what a checkpoint has made superfluous. What stays is removed the next time.
    fn remove_before(&mut self, number: u32) {
        for name in self.files.list().unwrap_or_default() {
            let of = name.strip_prefix("log-").or_else(|| name.strip_prefix("checkpoint-"));
            if of.and_then(|of| of.parse::<u32>().ok()).is_some_and(|of| of < number) {
                let _ = self.files.remove(&name);
            }
        }
    }

    fn sync(&mut self, now_ms: i64) -> Result<(), DiskError> {
        let file = segment_name(self.segment);
        if self.segment_bytes > 0 {
            self.files.sync(&file).map_err(|source| DiskError::Write { file, source })?;
        }
        (self.is_synced, self.synced_ms) = (true, now_ms);
        Ok(())
    }

    fn write(&mut self, segment: u32, records: Vec<u8>) -> Result<(), DiskError> {
        if records.is_empty() {
            return Ok(());
        }
        if segment != self.segment {
            (self.segment, self.segment_bytes) = (segment, 0);
        }
        self.unwritten = records;
        self.write_unwritten()
    }

    /// Writes at the end of what is whole, over what a write that failed may have left.
    fn write_unwritten(&mut self) -> Result<(), DiskError> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let file = segment_name(self.segment);
        if self.segment_bytes == 0 {
            self.segment_bytes = self.put(&file, 0, &frame::header(LOG, VERSION))?;
            self.n_segments += 1;
        }
        let records = std::mem::take(&mut self.unwritten);
        match self.put(&file, self.segment_bytes, &records) {
            Ok(end) => {
                self.log_bytes += end - self.segment_bytes;
                self.segment_bytes = end;
                self.is_synced = false;
                Ok(())
            }
            Err(error) => {
                self.unwritten = records;
                Err(error)
            }
        }
    }

    /// Writes bytes; returns where they end.
    fn put(&mut self, file: &str, offset: u64, bytes: &[u8]) -> Result<u64, DiskError> {
        let written = self.files.write_at(file, offset, bytes);
        written.map_err(|source| DiskError::Write { file: file.to_owned(), source })?;
        Ok(offset + bytes.len() as u64)
    }
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk").field("segment", &self.segment).field("bytes", &self.segment_bytes).finish()
    }
}

fn lock(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

fn segment_name(number: u32) -> String {
    format!("log-{number:08}")
}

fn checkpoint_name(number: u32) -> String {
    format!("checkpoint-{number:08}")
}

#[cfg(test)]
mod tests;
