//! Owns writing a bundle: what was gathered goes to the archive and the manifest, and after every step all of it is sealed.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::Digest;
use crate::archive::{self, ITEM_BYTES_MAX};
use crate::custody::{self, Act};
use crate::error::Error;
use crate::extent::Extent;
use crate::key::SigningKey;
use crate::manifest::{Head, Item, Line, Missing};
use crate::seal::{Seal, State};
use crate::signed::Signed;
use crate::times::Times;

pub(crate) const ARCHIVE: &str = "items.tar.zst";
/// The manifest, in the folder of a bundle.
pub const MANIFEST: &str = "manifest.jsonl";
pub(crate) const STEPS: &str = "steps.jsonl";
pub(crate) const SEAL: &str = "seal.json";
pub(crate) const CUSTODY: &str = "custody.jsonl";
pub(crate) const CUSTODY_LENGTH: &str = "custody.json";
/// Where people and programs put what they make of a bundle.
pub(crate) const ANALYSIS: &str = "analysis";

/// Space that is held until the end, so that a bundle can still be sealed when the disk is full.
const RESERVE: &str = ".reserve";
const RESERVE_BYTES: u64 = 512 << 10;

/// Something that a step has gathered, or looked for in vain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    /// A plain name for it in the archive (see [`crate::manifest::plain_name`]).
    pub name: String,
    /// What it is; none where it could not be had, and `problem` says why.
    pub bytes: Option<Vec<u8>>,
    /// The file that it is a copy of, as text (see [`crate::manifest::plain_path`]).
    pub source: Option<String>,
    /// What that file said of itself before it was read.
    pub times: Option<Times>,
    /// The extended attributes of that file: a text as it is, other bytes as `0x` and their digits.
    pub attributes: BTreeMap<String, String>,
    /// The sum of what was read, where secrets are hidden in `bytes`.
    pub original_sha256: Option<Digest>,
    /// Why it is missing, or in what it is incomplete.
    pub problem: Option<String>,
    /// Places in it count, as in memory: what is hidden in it keeps its length.
    pub keeps_length: bool,
}

/// How a collection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// All steps were taken.
    Complete,
    /// Something stopped it, in words.
    Interrupted(String),
}

/// A bundle that was sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sealed {
    /// Where it is.
    pub folder: PathBuf,
    /// Its hash.
    pub sha256: Digest,
    /// The size of its archive.
    pub bytes: u64,
    /// How many items it holds.
    pub items: usize,
    /// How many things were looked for in vain.
    pub missing: usize,
}

/// Told of every seal.
type OnSeal = Box<dyn FnMut(Extent) + Send>;

/// A bundle that is being written.
pub struct Writer {
    folder: PathBuf,
    key: Arc<SigningKey>,
    archive: Part,
    manifest: Part,
    steps: Part,
    lines: Vec<String>,
    names: HashSet<String>,
    missing: usize,
    on_seal: Option<OnSeal>,
}

/// A file that only grows, and its sum so far.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    file: File,
    hasher: Sha256,
    bytes: u64,
}

#[derive(Serialize)]
struct Step<'a> {
    step: &'a str,
    started_ms: u64,
    took_ms: u64,
}

// === impl Gathered ===

impl Gathered {
    /// Something whole.
    pub fn whole(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: Some(bytes.into()), ..Self::default() }
    }

    /// Something that is not there.
    pub fn missing(name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { name: name.into(), problem: Some(problem.into()), ..Self::default() }
    }
}

// === impl Writer ===

impl Writer {
    /// Begins a bundle in a new folder, which only its owner can enter.
    ///
    /// # Errors
    /// [`Error::Exists`] where the folder is there already; when something cannot be written.
    pub fn begin(folder: &Path, head: Head, key: Arc<SigningKey>) -> Result<Self, Error> {
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::Exists { path: folder.to_owned() });
            }
            made => made.map_err(Error::write(folder))?,
        }
        // A folder without a seal would look like a bundle that somebody has tampered with.
        Self::begin_in(folder, head, key).inspect_err(|_| drop(fs::remove_dir_all(folder)))
    }

    fn begin_in(folder: &Path, head: Head, key: Arc<SigningKey>) -> Result<Self, Error> {
        let mut writer = Self {
            archive: Part::new(folder.join(ARCHIVE))?,
            manifest: Part::new(folder.join(MANIFEST))?,
            steps: Part::new(folder.join(STEPS))?,
            folder: folder.to_owned(),
            key,
            lines: Vec::new(),
            names: HashSet::new(),
            missing: 0,
            on_seal: None,
        };
        let reserve = folder.join(RESERVE);
        let held = new_file(&reserve).and_then(|file| {
            rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, RESERVE_BYTES)
                .map_err(io::Error::from)
        });
        match held {
            // Some file systems cannot hold space; then a full disk leaves the last seal that was written.
            Err(error) if error.kind() != io::ErrorKind::Unsupported => {
                return Err(Error::write(&reserve)(error));
            }
            _ => {}
        }
        writer.line(&Line::Bundle(head))?;
        writer.seal(State::Collecting, None)?;
        Ok(writer)
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How large its archive is.
    pub fn bytes(&self) -> u64 {
        self.archive.bytes
    }

    /// Has somebody told of every seal from now on.
    pub fn on_seal(&mut self, told: impl FnMut(Extent) + Send + 'static) {
        self.on_seal = Some(Box::new(told));
    }

    fn extent(&self, seal: Vec<u8>) -> Extent {
        Extent {
            archive_bytes: self.archive.bytes,
            manifest_bytes: self.manifest.bytes,
            steps_bytes: self.steps.bytes,
            seal,
        }
    }

    /// Takes something in. Of what is too long, the first part is kept and said so.
    ///
    /// # Errors
    /// When it cannot be written; then nothing of it is in the bundle.
    pub fn take(&mut self, step: &str, gathered: Gathered) -> Result<(), Error> {
        let Gathered {
            name,
            bytes,
            source,
            times,
            attributes,
            original_sha256,
            mut problem,
            keeps_length: _,
        } = gathered;
        let name = self.free_name(&name);
        let Some(mut bytes) = bytes else {
            let problem = problem.unwrap_or_else(|| "it is not there".to_owned());
            self.line(&Line::Missing(Missing { name, step: step.to_owned(), problem }))?;
            self.missing += 1;
            return Ok(());
        };
        if bytes.len() as u64 > ITEM_BYTES_MAX {
            let cut = format!("only the first {ITEM_BYTES_MAX} of {} bytes", bytes.len());
            bytes.truncate(usize::try_from(ITEM_BYTES_MAX).unwrap_or(usize::MAX));
            problem = Some(problem.map_or(cut.clone(), |problem| format!("{problem}; {cut}")));
        }
        let frame = archive::frame(&name, &bytes).map_err(Error::write(&self.archive.path))?;
        let item = Item {
            step: step.to_owned(),
            bytes: bytes.len() as u64,
            sha256: Digest::of(&bytes),
            at: self.archive.bytes,
            frame_bytes: frame.len() as u64,
            name,
            source,
            times,
            attributes,
            original_sha256,
            problem,
        };
        let before = (self.archive.bytes, self.archive.hasher.clone());
        self.archive.append(&frame)?;
        self.line(&Line::Item(item)).inspect_err(|_| self.archive.go_back(before))
    }

    /// A step is over: says how long it took, and seals what is there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn step_over(&mut self, step: &str, started_ms: u64, took_ms: u64) -> Result<(), Error> {
        let line =
            serde_json::to_string(&Step { step, started_ms, took_ms }).expect("numbers and a name are JSON");
        self.steps.append(format!("{line}\n").as_bytes())?;
        self.seal(State::Collecting, None)
    }

    /// Ends the bundle: the last seal, and the first line of the custody log.
    ///
    /// # Errors
    /// When it cannot be written; what was sealed before stays sealed.
    pub fn finish(mut self, end: End, by: &str, at_ms: i64) -> Result<Sealed, Error> {
        let _ = fs::remove_file(self.folder.join(RESERVE));
        let frame = archive::end().map_err(Error::write(&self.archive.path))?;
        self.archive.append(&frame)?;
        let (state, reason) = match end {
            End::Complete => (State::Complete, None),
            End::Interrupted(reason) => (State::Interrupted, Some(reason)),
        };
        for part in [&self.archive, &self.manifest, &self.steps] {
            part.file.sync_all().map_err(Error::write(&part.path))?;
        }
        let action = reason
            .as_ref()
            .map_or_else(|| "collected".to_owned(), |reason| format!("collected in part: {reason}"));
        let sha256 = self.manifest.sum();
        let act = Act { at_ms, by: by.to_owned(), action, before: None, after: sha256 };
        // First the log: who is killed in between leaves a bundle that was not finished, and not one without custody.
        custody::append(&self.folder, &self.key, act)?;
        self.seal(state, reason)?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(Error::write(&self.folder))?;
        Ok(Sealed {
            sha256,
            bytes: self.archive.bytes,
            items: self.lines.len() - 1 - self.missing,
            missing: self.missing,
            folder: self.folder,
        })
    }

    fn line(&mut self, line: &Line) -> Result<(), Error> {
        let text = line.text();
        self.manifest.append(text.as_bytes())?;
        self.lines.push(Digest::of(text.trim_end().as_bytes()).short());
        Ok(())
    }

    fn seal(&mut self, state: State, reason: Option<String>) -> Result<(), Error> {
        let seal = Seal {
            manifest_sha256: self.manifest.sum(),
            manifest_bytes: self.manifest.bytes,
            manifest_lines: self.lines.clone(),
            archive_sha256: self.archive.sum(),
            archive_bytes: self.archive.bytes,
            steps_sha256: self.steps.sum(),
            steps_bytes: self.steps.bytes,
            ..Seal::new(state, reason, self.key.public().fingerprint())
        };
        let line = Signed::new(&seal, &self.key).line().into_bytes();
        replace(&self.folder, SEAL, &line)?;
        let extent = self.extent(line);
        if let Some(told) = &mut self.on_seal {
            told(extent);
        }
        Ok(())
    }

    /// Two of the same name are told apart.
    fn free_name(&mut self, name: &str) -> String {
        let mut free = name.to_owned();
        let mut n = 1;
        while !self.names.insert(free.clone()) {
            n += 1;
            free = format!("{}~{n}", &name[..name.floor_char_boundary(name.len().min(90))]);
        }
        free
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Writer({}, {} lines)", self.folder.display(), self.lines.len())
    }
}

// === impl Part ===

impl Part {
    fn new(path: PathBuf) -> Result<Self, Error> {
        let file = new_file(&path).map_err(Error::write(&path))?;
        Ok(Self { path, file, hasher: Sha256::new(), bytes: 0 })
    }

    /// Adds all of this or, where that fails, nothing.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Err(error) = self.file.write_all(bytes) {
            let _ = self.file.set_len(self.bytes);
            return Err(Error::write(&self.path)(error));
        }
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn go_back(&mut self, (bytes, hasher): (u64, Sha256)) {
        let _ = self.file.set_len(bytes);
        self.bytes = bytes;
        self.hasher = hasher;
    }

    fn sum(&self) -> Digest {
        self.hasher.clone().into()
    }
}

/// A file that was not there before, in which everything is added at the end.
fn new_file(path: &Path) -> io::Result<File> {
    File::options().append(true).create_new(true).mode(0o600).open(path)
}

/// Writes a small file of a bundle as a whole: whoever looks sees the old one or the new one.
pub(crate) fn replace(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let (path, new) = (folder.join(name), folder.join(format!(".{name}.new")));
    let write = || -> io::Result<()> {
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        fs::rename(&new, &path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&new))).map_err(Error::write(&path))
}
