//! Owns a bundle as a stream: what was sealed goes elsewhere in parts while the rest is still collected, so that a machine that
//! dies, or is taken over, has lost nothing of what was sealed before.
//!
//! The files of a bundle only grow, so a part is a piece of one: `items.tar.zst.000001`, `items.tar.zst.000002`, …, in the order
//! of their names the file itself (`cat items.tar.zst.* > items.tar.zst`); the same with `manifest.jsonl` and `steps.jsonl`.
//! `seal.json` is sent whole after the parts that it seals, and whichever came last holds. `custody.jsonl` and `custody.json`
//! come last. What arrived up to any moment at which a seal came is, put together, a bundle that `verify` takes.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

use crate::bundle::{ARCHIVE, CUSTODY, CUSTODY_LENGTH, MANIFEST, SEAL, STEPS};
use crate::extent::Extent;

/// The largest part, in bytes: one is in memory at a time.
pub const PART_BYTES_MAX: u64 = 8 << 20;

const BLOCK: usize = 512;

/// A piece of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name, which sorts.
    pub name: String,
    content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Piece { path: PathBuf, from: u64, bytes: u64 },
    Whole(Vec<u8>),
}

/// What of a bundle was made into parts already.
#[derive(Debug)]
pub struct Parts {
    folder: PathBuf,
    done: Extent,
    /// The number of the last part of each file.
    numbers: [u32; 3],
}

// === impl Part ===

impl Part {
    /// Reads it.
    ///
    /// # Errors
    /// When the file cannot be read, or is shorter than it was when it was sealed.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        match &self.content {
            Content::Whole(bytes) => Ok(bytes.clone()),
            Content::Piece { path, from, bytes } => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(*from))?;
                let mut read = vec![0; usize::try_from(*bytes).unwrap_or(usize::MAX)];
                file.read_exact(&mut read)?;
                Ok(read)
            }
        }
    }
}

// === impl Parts ===

impl Parts {
    /// Of the bundle in this folder, from its beginning.
    pub fn of(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), done: Extent::default(), numbers: [0; 3] }
    }

    /// The parts that are new, the seal last.
    pub fn up_to(&mut self, extent: &Extent) -> Vec<Part> {
        let lengths = [
            (ARCHIVE, self.done.archive_bytes, extent.archive_bytes),
            (MANIFEST, self.done.manifest_bytes, extent.manifest_bytes),
            (STEPS, self.done.steps_bytes, extent.steps_bytes),
        ];
        let mut parts = Vec::new();
        for (number, (file, mut from, to)) in self.numbers.iter_mut().zip(lengths) {
            while from < to {
                let bytes = (to - from).min(PART_BYTES_MAX);
                *number += 1;
                let content = Content::Piece { path: self.folder.join(file), from, bytes };
                parts.push(Part { name: format!("{file}.{number:06}"), content });
                from += bytes;
            }
        }
        if self.done.seal != extent.seal {
            parts.push(Part { name: SEAL.to_owned(), content: Content::Whole(extent.seal.clone()) });
        }
        self.done = extent.clone();
        parts
    }

    /// What comes last: who has had the bundle so far.
    pub fn custody(&self) -> Vec<Part> {
        let whole = |name: &&str| {
            let bytes = std::fs::read(self.folder.join(name)).ok()?;
            Some(Part { name: (*name).to_owned(), content: Content::Whole(bytes) })
        };
        [CUSTODY, CUSTODY_LENGTH].iter().filter_map(whole).collect()
    }
}

/// A part as an entry of a tar archive, in a folder of this name. `tar -x` makes the files.
///
/// # Errors
/// When the name is too long for one.
pub fn entry(folder: &str, part: &str, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut header = Header::new_ustar();
    header.set_path(format!("{folder}/{part}"))?;
    header.set_entry_type(EntryType::Regular);
    header.set_size(bytes.len() as u64);
    header.set_mode(0o600);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    let mut entry = header.as_bytes().to_vec();
    entry.extend_from_slice(bytes);
    entry.resize(entry.len().next_multiple_of(BLOCK), 0);
    Ok(entry)
}

/// The end of a tar archive.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use super::{Part, Parts};
    use crate::bundle::{End, Gathered, Writer};
    use crate::key::SigningKey;
    use crate::manifest::{FORMAT, Head};
    use crate::verify::verify;

    /// Puts parts together as `cat` does.
    fn put_together(parts: &BTreeMap<String, Vec<u8>>, folder: &Path) {
        fs::create_dir(folder).unwrap();
        for (name, bytes) in parts {
            let is_piece = name.rsplit('.').next().unwrap().bytes().all(|byte| byte.is_ascii_digit());
            let file = folder.join(if is_piece { &name[..name.len() - 7] } else { name });
            let mut all = if is_piece { fs::read(&file).unwrap_or_default() } else { Vec::new() };
            all.extend_from_slice(bytes);
            fs::write(file, all).unwrap();
        }
    }

    #[test]
    fn what_arrived_up_to_any_seal_is_a_bundle() {
        let place = tempfile::tempdir().unwrap();
        let key = Arc::new(SigningKey::of_seed(&[7; 32]));
        let head = Head {
            format: FORMAT,
            server: None,
            incident: None,
            by: "test".to_owned(),
            host: None,
            at_ms: 0,
            tiers: Vec::new(),
            place: None,
            since_ms: None,
        };
        let folder = place.path().join("b");
        let mut writer = Writer::begin(&folder, head, Arc::clone(&key)).unwrap();
        let extents = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&extents);
        writer.on_seal(move |extent| told.lock().unwrap().push(extent));
        for step in ["a", "b"] {
            writer.take(step, Gathered::whole(format!("t0/{step}"), step.repeat(1000))).unwrap();
            writer.step_over(step, 0, 1).unwrap();
        }
        // Larger than a part, and nothing that shrinks.
        let mut noise = vec![0; 20 << 20];
        getrandom::fill(&mut noise).unwrap();
        writer.take("c", Gathered::whole("t0/c", noise)).unwrap();
        let sealed = writer.finish(End::Complete, "test", 0).unwrap();
        let extents = extents.lock().unwrap().clone();
        assert_eq!(extents.len(), 3);
        let (mut parts, mut arrived) = (Parts::of(&folder), BTreeMap::new());
        let take = |arrived: &mut BTreeMap<String, Vec<u8>>, parts: Vec<Part>| {
            parts.iter().for_each(|part| drop(arrived.insert(part.name.clone(), part.read().unwrap())));
        };
        for (n, extent) in extents.iter().enumerate() {
            take(&mut arrived, parts.up_to(extent));
            let copy = place.path().join(format!("copy{n}"));
            put_together(&arrived, &copy);
            let verdict = verify(&copy, key.public());
            assert_eq!(verdict.items.len(), n + 1);
            // Its custody log comes at the end.
            assert!(verdict.is_sound() || n == 2, "{n}: {:?}", verdict.problems);
        }
        take(&mut arrived, parts.custody());
        assert_eq!(arrived.keys().filter(|name| name.starts_with("items.tar.zst.")).count(), 5);
        let copy = place.path().join("whole");
        put_together(&arrived, &copy);
        let verdict = verify(&copy, key.public());
        assert!(verdict.is_sound() && verdict.sha256 == Some(sealed.sha256), "{:?}", verdict.problems);
        assert!(parts.up_to(extents.last().unwrap()).is_empty());
    }
}
