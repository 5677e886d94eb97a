//! Owns the written manifest of a tree: JSON lines, a head, the entries in order, and an end that proves the rest.
//!
//! It is written beside its name and put there when it is whole; a file that has no end, or another one than its lines
//! say, was cut or changed and is not used. Writing keeps a line in memory, reading some hundred lines, which all threads
//! of the pool that calls read together.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use serde::{Deserialize, Serialize};

use crate::entry::{Entry, Kind, TreePath};
use crate::hex::Hex;

/// The form that this version writes.
const VERSION: u32 = 1;
/// The longest path and the longest target of a link, each byte written as six characters.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// What stands at the head of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The form; 1.
    pub version: u32,
    /// The folder that it is of.
    pub root: PathBuf,
    /// When the look began: nanoseconds since 1970. What changed later may be missed by its times.
    pub began_ns: i64,
}

/// What stands at the end of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// How many things it is about.
    pub entries: u64,
    /// How many of them are files.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// BLAKE3 of all lines before this one, with their ends.
    pub digest: Hex<32>,
}

/// A manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It cannot be read or written.
    #[error("the manifest {} cannot be read or written", path.display())]
    Io {
        /// The manifest.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A line of it is none of a manifest.
    #[error("line {line} of the manifest {} is not one of a manifest: {reason}", path.display())]
    Line {
        /// The manifest.
        path: PathBuf,
        /// Its number, from 1.
        line: u64,
        /// Why not.
        reason: String,
    },
    /// Its end is missing.
    #[error("the manifest {} has no end: it was cut, or was never whole", path.display())]
    Cut {
        /// The manifest.
        path: PathBuf,
    },
    /// Its end tells of other lines.
    #[error("the manifest {} is not what was written: its end tells of other lines", path.display())]
    Changed {
        /// The manifest.
        path: PathBuf,
    },
    /// Another program has written it.
    #[error("the manifest {} has version {version}; this program reads version {VERSION}", path.display())]
    Version {
        /// The manifest.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
}

/// Lines that are read together come to at least so many bytes, where there are so many.
const TOGETHER_BYTES: usize = 256 << 10;
/// The last line has some hundred bytes.
const END_BYTES_MAX: u64 = 4096;
/// The last line; no entry begins with these bytes.
const END_MARK: &[u8] = b"{\"end\":";

#[derive(Serialize, Deserialize)]
struct EndLine {
    end: End,
}

/// Writes a manifest.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    beside: PathBuf,
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    line: Vec<u8>,
    sums: Sums,
    is_placed: bool,
}

/// Reads a manifest: its entries in order, then `None` where its end is right. After an error it is over.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    lines: BufReader<File>,
    hasher: blake3::Hasher,
    head: Head,
    /// The line that was handed on last, from 1.
    number: u64,
    /// Lines that were read together, and what came of them in order as far as it was not handed on.
    text: Vec<u8>,
    ahead: VecDeque<Result<Entry, serde_json::Error>>,
    end_line: Option<Vec<u8>>,
    last: Option<TreePath>,
    sums: Sums,
    is_over: bool,
    end: Option<End>,
}

/// What the entries so far come to.
#[derive(Debug, Default)]
struct Sums {
    entries: u64,
    files: u64,
    bytes: u64,
}

// === impl Head ===

impl Head {
    /// The head of a manifest that is begun now.
    pub(crate) fn new(root: &Path, began_ns: i64) -> Self {
        Self { version: VERSION, root: root.to_owned(), began_ns }
    }
}

// === impl Writer ===

impl Writer {
    /// Begins a manifest; until [`Writer::finish`] the one of that name stays as it is.
    ///
    /// # Errors
    /// If the folder cannot be written to.
    pub fn create(path: &Path, head: &Head) -> Result<Self, ManifestError> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let file = File::create(&beside).map_err(|source| io_error(&beside, source))?;
        let mut writer = Self {
            path: path.to_owned(),
            beside,
            file: BufWriter::with_capacity(256 << 10, file),
            hasher: blake3::Hasher::new(),
            line: Vec::new(),
            sums: Sums::default(),
            is_placed: false,
        };
        writer.write(head)?;
        Ok(writer)
    }

    /// Adds an entry; each comes after the one before it in the order of a walk.
    ///
    /// # Errors
    /// If the disk takes no more.
    pub fn add(&mut self, entry: &Entry) -> Result<(), ManifestError> {
        self.sums.add(entry);
        self.write(entry)
    }

    /// Ends the manifest and puts it in its place, on disk before this returns.
    ///
    /// # Errors
    /// If the disk takes no more; the older manifest stands then.
    pub fn finish(mut self) -> Result<End, ManifestError> {
        let Sums { entries, files, bytes } = self.sums;
        let end = End { entries, files, bytes, digest: Hex(*self.hasher.finalize().as_bytes()) };
        self.write(&EndLine { end })?;
        let placed = (|| {
            self.file.flush()?;
            self.file.get_ref().sync_all()?;
            std::fs::rename(&self.beside, &self.path)?;
            self.is_placed = true;
            match self.path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
                _ => Ok(()),
            }
        })();
        placed.map_err(|source| io_error(&self.path, source))?;
        Ok(end)
    }

    fn write<T: Serialize>(&mut self, line: &T) -> Result<(), ManifestError> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line).expect("paths, numbers and digests are always JSON");
        self.line.push(b'\n');
        self.hasher.update(&self.line);
        self.file.write_all(&self.line).map_err(|source| io_error(&self.beside, source))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.is_placed {
            // It was not wanted after all, or could not be written; a next one begins with an empty file.
            let _ = std::fs::remove_file(&self.beside);
        }
    }
}

// === impl Reader ===

impl Reader {
    /// Opens a manifest and reads its head.
    ///
    /// # Errors
    /// If it is not there, or no manifest of this version.
    pub fn open(path: &Path) -> Result<Self, ManifestError> {
        let file = File::open(path).map_err(|source| io_error(path, source))?;
        let mut reader = Self {
            path: path.to_owned(),
            lines: BufReader::with_capacity(256 << 10, file),
            hasher: blake3::Hasher::new(),
            head: Head { version: VERSION, root: PathBuf::new(), began_ns: 0 },
            number: 0,
            text: Vec::new(),
            ahead: VecDeque::new(),
            end_line: None,
            last: None,
            sums: Sums::default(),
            is_over: false,
            end: None,
        };
        let line = reader.next_line(1)?;
        reader.hasher.update(&reader.text[line.clone()]);
        reader.number = 1;
        let head = serde_json::from_slice(&reader.text[line]);
        reader.head = head.map_err(|error| reader.bad(&error.to_string()))?;
        match reader.head.version {
            VERSION => Ok(reader),
            version => Err(ManifestError::Version { path: reader.path, version }),
        }
    }

    /// What stands at its head.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Its end, when all entries were read and it is right.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Puts another line behind the text, the `number`th of all.
    fn next_line(&mut self, number: u64) -> Result<Range<usize>, ManifestError> {
        let begin = self.text.len();
        let mut bounded = (&mut self.lines).take(LINE_BYTES_MAX);
        bounded.read_until(b'\n', &mut self.text).map_err(|source| io_error(&self.path, source))?;
        let line = begin..self.text.len();
        match self.text[line.clone()].last() {
            Some(b'\n') => Ok(line),
            Some(_) if line.len() as u64 == LINE_BYTES_MAX => {
                self.number = number;
                Err(self.bad("it is too long"))
            }
            _ => Err(ManifestError::Cut { path: self.path.clone() }),
        }
    }

    fn read_ahead(&mut self) -> Result<(), ManifestError> {
        self.text.clear();
        let mut lines = Vec::new();
        while self.text.len() < TOGETHER_BYTES && self.end_line.is_none() {
            let line = self.next_line(self.number + lines.len() as u64 + 1)?;
            if self.text[line.clone()].starts_with(END_MARK) {
                self.end_line = Some(self.text.split_off(line.start));
            } else {
                lines.push(line);
            }
        }
        self.hasher.update(&self.text);
        let entries: Vec<_> =
            lines.into_par_iter().map(|line| serde_json::from_slice(&self.text[line])).collect();
        self.ahead = entries.into();
        Ok(())
    }

    fn next_entry(&mut self) -> Result<Option<Entry>, ManifestError> {
        if self.ahead.is_empty() && self.end_line.is_none() {
            self.read_ahead()?;
        }
        self.number += 1;
        let Some(entry) = self.ahead.pop_front() else {
            self.end = Some(self.proven_end()?);
            return Ok(None);
        };
        let entry = entry.map_err(|error| self.bad(&error.to_string()))?;
        if self.last.as_ref().is_some_and(|last| *last >= entry.path) {
            return Err(self.bad("it is out of order"));
        }
        self.sums.add(&entry);
        self.last = Some(entry.path.clone());
        Ok(Some(entry))
    }

    /// The end, if it is that of the lines before it.
    fn proven_end(&mut self) -> Result<End, ManifestError> {
        let line = self.end_line.as_deref().unwrap_or_default();
        let EndLine { end } = serde_json::from_slice(line).map_err(|error| self.bad(&error.to_string()))?;
        let Sums { entries, files, bytes } = self.sums;
        let expected = End { entries, files, bytes, digest: Hex(*self.hasher.finalize().as_bytes()) };
        let more = !self.lines.fill_buf().map_err(|source| io_error(&self.path, source))?.is_empty();
        if end == expected && !more {
            Ok(end)
        } else {
            Err(ManifestError::Changed { path: self.path.clone() })
        }
    }

    fn bad(&self, reason: &str) -> ManifestError {
        ManifestError::Line { path: self.path.clone(), line: self.number, reason: reason.to_owned() }
    }
}

impl Iterator for Reader {
    type Item = Result<Entry, ManifestError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.next_entry().transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}

impl Sums {
    fn add(&mut self, entry: &Entry) {
        self.entries += 1;
        self.files += u64::from(entry.kind == Kind::File);
        self.bytes = self.bytes.saturating_add(entry.size);
    }
}

/// The end of a manifest, as it says itself and without a look at the rest; nothing where it has none.
pub fn last_end(path: &Path) -> Option<End> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END_BYTES_MAX))).ok()?;
    let mut last = Vec::new();
    file.take(END_BYTES_MAX).read_to_end(&mut last).ok()?;
    let line = last.strip_suffix(b"\n")?.rsplit(|byte| *byte == b'\n').next()?;
    serde_json::from_slice::<EndLine>(line).ok().map(|line| line.end)
}

fn io_error(path: &Path, source: io::Error) -> ManifestError {
    ManifestError::Io { path: path.to_owned(), source }
}
