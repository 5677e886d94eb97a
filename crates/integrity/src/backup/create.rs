//! Owns making a backup: one walk of each tree, every file as it is at one moment, and a record when all is on disk.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Seek as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use super::catalogue::{Backup, Catalogue, Record, TreeRecord, id_of, is_id};
use super::inside::Inside;
use super::pack::{Pack, PackError};
use crate::attributes::Attributes;
use crate::content::{Throttle, digest_of};
use crate::entry::{Entry, Kind};
use crate::format::Format;
use crate::hex::Hex;
use crate::look::{Look, Seen};
use crate::manifest::{Head, Writer};
use crate::patterns::Patterns;
use crate::sqlite;
use crate::walk::{Root, Step, Walk};

/// A file up to this size is held in memory, so that it can be read again if somebody writes meanwhile.
const HELD_BYTES_MAX: u64 = 16 << 20;
/// How often such a file is read.
const TRIES: usize = 5;

/// A tree that is backed up.
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a> {
    /// Where it belongs.
    pub root: &'a Path,
    /// Where it is read: there, but for what was unpacked somewhere else.
    pub at: &'a Path,
    /// Files that change all the time and are left out.
    pub may_change: &'a Patterns,
}

/// What is backed up.
#[derive(Clone, Copy, Debug)]
pub struct Create<'a> {
    /// Whose data they are.
    pub server: &'a str,
    /// The trees; where there are databases, the last one has their dumps.
    pub trees: &'a [Tree<'a>],
    /// Databases that live elsewhere, by their addresses.
    pub databases: &'a [String],
    /// A folder of this process alone, for copies of databases.
    pub scratch: &'a Path,
    /// When it begins: milliseconds since 1970.
    pub now_ms: i64,
    /// How fast files are read.
    pub throttle: Option<&'a Throttle>,
}

/// A backup on its way.
struct Under<'a> {
    what: &'a Create<'a>,
    pack: Pack,
    moving: Vec<String>,
    left_out: u64,
}

/// The content of a file, as it goes into the archive.
enum Content {
    Held(Vec<u8>),
    Copy(File),
    Stream(File),
}

/// Makes a backup. The caller makes sure that nobody else makes one in the same folder. `seal` makes what stands for a
/// record of that name, if anything does; it goes into the archive.
///
/// # Errors
/// If a file cannot be read, a database not be copied whole, or the disk takes no more. Then there is no backup.
pub fn create(
    catalogue: &Catalogue,
    what: &Create<'_>,
    seal: impl FnOnce(&str, &[u8]) -> Result<Option<Vec<u8>>, String>,
) -> Result<Backup, PackError> {
    let folder = catalogue.folder();
    let unusable = |source| PackError::Folder { path: folder.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable)?;
    let id = begin(folder, what.now_ms).map_err(unusable)?;
    let archive = catalogue.archive(&id);
    let beside = archive.with_extension("zst.new");
    let mut under = Under { what, pack: Pack::create(&beside)?, moving: Vec::new(), left_out: 0 };
    let mut trees = Vec::new();
    for (n, tree) in what.trees.iter().enumerate() {
        let head = Head::new(tree.root, what.now_ms.saturating_mul(1_000_000));
        let mut writer = Writer::create(&catalogue.manifest(&id, n), &head)?;
        under.tree(n, tree, &mut writer)?;
        trees.push(TreeRecord { root: tree.root.to_owned(), manifest: writer.finish()? });
    }
    let Under { mut pack, moving, left_out, .. } = under;
    let record = Record {
        version: 1,
        server: what.server.to_owned(),
        created_ms: what.now_ms,
        trees,
        moving,
        databases: what.databases.to_vec(),
        left_out,
    };
    say_inside(&mut pack, catalogue, &id, &record, seal)?;
    let packed = pack.finish()?;
    fs::rename(&beside, &archive).map_err(unusable)?;
    catalogue.set_record(&id, &record, packed).map_err(unusable)?;
    Ok(Backup { id, record, archive: packed, proof: None })
}

/// Adds what an archive says of itself: only now are the digests of all that is in it known.
fn say_inside(
    pack: &mut Pack,
    catalogue: &Catalogue,
    id: &str,
    record: &Record,
    seal: impl FnOnce(&str, &[u8]) -> Result<Option<Vec<u8>>, String>,
) -> Result<(), PackError> {
    for n in 0..record.trees.len() {
        let path = catalogue.manifest(id, n);
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (bytes, file) = opened.map_err(|source| PackError::Read { path, source })?;
        pack.add_file(&Inside::Manifest(n).name(), bytes, record.created_ms, file)?;
    }
    let document = serde_json::to_vec_pretty(record).expect("a record is always JSON");
    let sealed = seal(id, &document).map_err(|reason| PackError::Seal { reason })?;
    let said = std::iter::once((Inside::Record, document)).chain(sealed.map(|seal| (Inside::Seal, seal)));
    for (what, document) in said {
        pack.add_file(&what.name(), document.len() as u64, record.created_ms, document.as_slice())?;
    }
    Ok(())
}

/// Removes what backups that did not come to their end have left, and finds a name that is free.
fn begin(folder: &Path, now_ms: i64) -> io::Result<String> {
    let time = id_of(now_ms);
    let names: Vec<String> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<_>>()?;
    // An archive gets its name when it is whole, and one that was brought here alone still says what it is.
    let is_whole = |id: &str| ["json", "tar.zst"].iter().any(|end| names.contains(&format!("{id}.{end}")));
    for name in &names {
        let Some((id, rest)) = name.split_once('.').filter(|(id, _)| is_id(id)) else { continue };
        let is_beside = [".jsonl", "proof.json", "seal.json"].iter().any(|end| rest.ends_with(end));
        if rest.ends_with(".new") || rest == "new" || is_beside && !is_whole(id) {
            fs::remove_file(folder.join(name))?;
        }
    }
    let ids = std::iter::once(time.clone()).chain((2..1000).map(|n| format!("{time}-{n}")));
    let mut free = ids.filter(|id| !is_whole(id));
    free.next().ok_or_else(|| io::Error::other("a thousand backups of one second are enough"))
}

// === impl Under ===

impl Under<'_> {
    fn tree(&mut self, n: usize, tree: &Tree<'_>, writer: &mut Writer) -> Result<(), PackError> {
        let unreadable = |path: &Path, source| PackError::Read { path: tree.at.join(path), source };
        let root = Root::open(tree.at).map_err(|source| unreadable(Path::new(""), source))?;
        let device =
            rustix::fs::fstat(root.fd()).map_err(|error| unreadable(Path::new(""), error.into()))?.st_dev;
        let look = Look {
            root: &root,
            device,
            with_sha256: false,
            throttle: self.what.throttle,
            progress: None,
            began_ns: self.what.now_ms.saturating_mul(1_000_000),
        };
        let walk = Walk::new(&root).map_err(|source| unreadable(Path::new(""), source))?;
        for step in walk {
            let path = match step {
                Step::Found(path) => path,
                Step::Unreadable(path, source) => return Err(unreadable(path.as_path(), source)),
            };
            let mut entry = match look.without_content(&path) {
                Seen::Is { entry, .. } => entry,
                Seen::Gone => continue,
                Seen::Unknown(source) | Seen::Unreadable(_, source) => {
                    return Err(unreadable(path.as_path(), source));
                }
                Seen::Broken(entry, _) | Seen::Changing(entry) => entry,
            };
            let is_left_out =
                entry.kind == Kind::Special || entry.kind == Kind::File && tree.may_change.hold(&path);
            if is_left_out || entry.kind == Kind::Mount {
                self.left_out += 1;
            }
            if is_left_out {
                continue;
            }
            let mut target = None;
            let attributes = Attributes::of(&tree.at.join(path.as_path()));
            match entry.kind {
                Kind::File => match self.file(&look, &mut entry) {
                    Err(PackError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                        continue;
                    }
                    packed => {
                        let content = packed?;
                        entry.attributes = attributes.digest();
                        content.into_pack(&mut self.pack, n, &mut entry, &attributes, &mut self.moving)?;
                    }
                },
                Kind::Link => {
                    let link = tree.at.join(path.as_path()).read_link();
                    let link = link.map_err(|source| unreadable(path.as_path(), source))?;
                    entry.target = Some(link.to_string_lossy().into_owned());
                    entry.blake3 =
                        link.to_str().is_none().then(|| digest_of(link.as_os_str().as_encoded_bytes()));
                    target = Some(link);
                }
                Kind::Folder | Kind::Mount | Kind::Special => {}
            }
            if entry.kind != Kind::File {
                entry.attributes = attributes.digest();
                self.pack.add(n, &entry, target.as_deref(), &attributes, io::empty())?;
            }
            writer.add(&entry)?;
        }
        Ok(())
    }

    /// The content of a file at one moment, as far as that can be had. Its size becomes that of the content.
    fn file(&self, look: &Look<'_>, entry: &mut Entry) -> Result<Content, PackError> {
        let shown = look.root.path().join(entry.path.as_path());
        let unreadable = |source| PackError::Read { path: shown.clone(), source };
        for _ in 0..TRIES {
            let mut file = look.open(entry.path.as_path()).map_err(unreadable)?;
            let stat = |file: &File| rustix::fs::fstat(file).map_err(|error| unreadable(error.into()));
            let before = stat(&file)?;
            *entry = look.entry(&entry.path, &before);
            let mut head = [0; 16];
            let n = read_up_to(&mut file, &mut head).map_err(unreadable)?;
            if Format::of(entry.path.as_path(), &head[..n]) == Some(Format::Sqlite) {
                return self.database(&shown, entry);
            }
            file.rewind().map_err(unreadable)?;
            if entry.size > HELD_BYTES_MAX {
                return Ok(Content::Stream(file));
            }
            let mut bytes = Vec::with_capacity(usize::try_from(entry.size).unwrap_or_default());
            Read::take(&mut file, HELD_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
            let after = look.entry(&entry.path, &stat(&file)?);
            if *entry == after && bytes.len() as u64 == entry.size {
                if let Some(throttle) = self.what.throttle {
                    throttle.pay(bytes.len());
                }
                return Ok(Content::Held(bytes));
            }
        }
        // It does not stand still: it goes as it comes, and the record says so.
        look.open(entry.path.as_path()).map(Content::Stream).map_err(unreadable)
    }

    /// A copy of a database of one moment, its log taken in.
    fn database(&self, path: &Path, entry: &mut Entry) -> Result<Content, PackError> {
        let bad = |reason: String| PackError::Database { path: path.to_owned(), reason };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| bad(error.to_string()))?;
        let copied = runtime.block_on(sqlite::copy_of_one_moment(path, self.what.scratch)).map_err(bad)?;
        entry.size = copied.metadata().map_err(|error| bad(error.to_string()))?.len();
        Ok(Content::Copy(copied))
    }
}

// === impl Content ===

impl Content {
    fn into_pack(
        self,
        pack: &mut Pack,
        tree: usize,
        entry: &mut Entry,
        attributes: &Attributes,
        moving: &mut Vec<String>,
    ) -> Result<(), PackError> {
        let digest;
        match self {
            Self::Held(bytes) => {
                digest = digest_of(&bytes);
                pack.add(tree, entry, None, attributes, bytes.as_slice())?;
            }
            Self::Copy(file) => digest = stream(pack, tree, entry, attributes, file)?.0,
            Self::Stream(file) => {
                let before = file.metadata().ok();
                let again = file.try_clone();
                let (found, is_short) = stream(pack, tree, entry, attributes, file)?;
                digest = found;
                let state = |file: Option<fs::Metadata>| file.map(|file| (file.len(), file.modified().ok()));
                let after = again.ok().and_then(|file| file.metadata().ok());
                if is_short || state(before) != state(after) {
                    moving.push(entry.path.as_path().display().to_string());
                }
            }
        }
        entry.blake3 = Some(digest);
        Ok(())
    }
}

/// Packs exactly as many bytes as the entry says: a file that became shorter is filled with zeros.
fn stream(
    pack: &mut Pack,
    tree: usize,
    entry: &Entry,
    attributes: &Attributes,
    file: File,
) -> Result<(Hex<32>, bool), PackError> {
    let mut exact = Exact { file, left: entry.size, hasher: blake3::Hasher::new(), is_short: false };
    pack.add(tree, entry, None, attributes, &mut exact)?;
    Ok((Hex(*exact.hasher.finalize().as_bytes()), exact.is_short))
}

/// A file as so many bytes.
struct Exact {
    file: File,
    left: u64,
    hasher: blake3::Hasher,
    is_short: bool,
}

impl Read for Exact {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let buffer = &mut buffer[..most];
        let mut n = if self.is_short { 0 } else { self.file.read(buffer)? };
        if n == 0 && most > 0 {
            self.is_short = true;
            buffer.fill(0);
            n = most;
        }
        self.hasher.update(&buffer[..n]);
        self.left -= n as u64;
        Ok(n)
    }
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < buffer.len() {
        match file.read(&mut buffer[n..])? {
            0 => break,
            more => n += more,
        }
    }
    Ok(n)
}
