//! Owns checking a bundle: with the bundle and a public key and nothing else. Nothing on the host is asked, nothing in the
//! bundle is followed, and whatever is in it, the check ends.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;
use serde::Serialize;

use crate::Digest;
use crate::archive::{self, Content, Frame};
use crate::bundle::{ANALYSIS, ARCHIVE, CUSTODY, CUSTODY_LENGTH, MANIFEST, SEAL, STEPS};
use crate::custody;
use crate::key::PublicKey;
use crate::manifest::{self, Head, Item, Line};
use crate::seal::{Seal, State};
use crate::signed::Signed;

/// A seal has 20 bytes for each line of the manifest.
const SEAL_BYTES_MAX: u64 = 64 << 20;
/// A collection has some hundred steps.
const STEPS_BYTES_MAX: u64 = 16 << 20;

/// What is wrong with a bundle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, thiserror::Error)]
#[serde(tag = "problem", rename_all = "snake_case")]
#[expect(missing_docs, reason = "each field is what its name says")]
pub enum Problem {
    #[error("`{file}` cannot be read: {reason}")]
    Unreadable { file: String, reason: String },
    #[error("sealed by the key {sealed_by}, which is not the one to check with, {key}")]
    ForeignKey { sealed_by: String, key: String },
    #[error("`{file}` is not sealed: {reason}")]
    Seal { file: &'static str, reason: String },
    #[error("`{item}` was altered: {reason}")]
    Altered { item: String, reason: String },
    #[error("`{item}` is missing from {file}")]
    Missing { item: String, file: &'static str },
    #[error("`{item}` was added to {file}")]
    Added { item: String, file: String },
    #[error("`{item}` is not in its place in {file}")]
    Reordered { item: String, file: &'static str },
    #[error("the custody log was cut off: {is_there} of {sealed} lines are left")]
    CustodyCut { is_there: u64, sealed: u64 },
    #[error("line {entry} of the custody log: {reason}")]
    Custody { entry: u64, reason: String },
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What the bundle is about.
    pub head: Option<Head>,
    /// How far the collection came.
    pub state: Option<State>,
    /// Why it did not come to its end.
    pub reason: Option<String>,
    /// The hash of the bundle.
    pub sha256: Option<Digest>,
    /// What is in it.
    pub items: Vec<Item>,
    /// What was looked for in vain when it was collected: no fault of the bundle.
    pub missing: Vec<manifest::Missing>,
    /// Who did what with it.
    pub custody: Vec<custody::Entry>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
    /// What is worth knowing, and not wrong.
    pub remarks: Vec<String>,
}

// === impl Verdict ===

impl Verdict {
    /// Whether the bundle is as it was sealed.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Checks the bundle in `folder`.
pub fn verify(folder: &Path, key: PublicKey) -> Verdict {
    let mut verdict = Verdict::default();
    let seal = seal(folder, key, &mut verdict);
    if let Some(seal) = &seal {
        verdict.state = Some(seal.state);
        verdict.reason.clone_from(&seal.reason);
    }
    let lines = manifest_of(folder, seal.as_ref(), &mut verdict);
    for line in lines {
        match line {
            Line::Bundle(head) => verdict.head = verdict.head.or(Some(head)),
            Line::Item(item) => verdict.items.push(item),
            Line::Missing(missing) => verdict.missing.push(missing),
        }
    }
    if let Err(problem) = items(folder, seal.as_ref(), &mut verdict) {
        verdict.problems.push(problem);
    }
    steps(folder, seal.as_ref(), &mut verdict);
    custody_of(folder, key, seal.as_ref(), &mut verdict);
    strangers(folder, &mut verdict);
    verdict
}

fn seal(folder: &Path, key: PublicKey, verdict: &mut Verdict) -> Option<Seal> {
    let text = match read(folder, SEAL, SEAL_BYTES_MAX) {
        Ok(text) => text,
        Err(problem) => {
            verdict.problems.push(problem);
            return None;
        }
    };
    let mut wrong = |reason: &str| {
        verdict.problems.push(Problem::Seal { file: SEAL, reason: reason.to_owned() });
        None
    };
    let Ok(signed) = serde_json::from_str::<Signed>(text.trim_end()) else { return wrong("it is no seal") };
    let Some(seal) = signed.read::<Seal>().filter(Seal::is_one) else { return wrong("it is no seal") };
    if !signed.is_by(key) {
        if seal.key == key.fingerprint() {
            return wrong("its signature is not that of what it says");
        }
        verdict.problems.push(Problem::ForeignKey { sealed_by: seal.key.clone(), key: key.fingerprint() });
    }
    Some(seal)
}

/// The lines that were sealed, as far as they are there.
fn manifest_of(folder: &Path, seal: Option<&Seal>, verdict: &mut Verdict) -> Vec<Line> {
    let mut text = match read(folder, MANIFEST, manifest::BYTES_MAX) {
        Ok(text) => text,
        Err(problem) => {
            verdict.problems.push(problem);
            return Vec::new();
        }
    };
    if let Some(seal) = seal {
        let sealed = usize::try_from(seal.manifest_bytes).unwrap_or(usize::MAX);
        // What was killed between an item and its seal has more than it sealed.
        if seal.state == State::Collecting && text.len() > sealed && text.is_char_boundary(sealed) {
            verdict
                .remarks
                .push(format!("{} bytes of {MANIFEST} were not sealed any more", text.len() - sealed));
            text.truncate(sealed);
        }
        if Digest::of(text.as_bytes()) != seal.manifest_sha256 {
            compare_lines(&text, seal, &mut verdict.problems);
        }
        verdict.sha256 = Some(Digest::of(text.as_bytes()));
    }
    let (lines, odd) = Line::read_all(&text);
    for (number, reason) in odd {
        verdict.problems.push(Problem::Altered { item: format!("{MANIFEST} line {number}"), reason });
    }
    lines
}

/// Names the lines of the manifest that are not those that were sealed.
fn compare_lines(text: &str, seal: &Seal, problems: &mut Vec<Problem>) {
    let before = problems.len();
    let seen: Vec<String> = text.lines().map(|line| Digest::of(line.as_bytes()).short()).collect();
    let label = |at: usize| {
        let line = text.lines().nth(at).and_then(|line| serde_json::from_str::<Line>(line).ok());
        match line {
            Some(Line::Item(Item { name, .. }) | Line::Missing(manifest::Missing { name, .. })) => {
                format!("{MANIFEST} line {} ({name})", at + 1)
            }
            _ => format!("{MANIFEST} line {}", at + 1),
        }
    };
    let (known, there): (BTreeSet<&String>, BTreeSet<&String>) =
        (seal.manifest_lines.iter().collect(), seen.iter().collect());
    let gone: Vec<usize> =
        (0..seal.manifest_lines.len()).filter(|at| !there.contains(&seal.manifest_lines[*at])).collect();
    for at in (0..seen.len()).filter(|at| !known.contains(&seen[*at])) {
        if gone.contains(&at) {
            problems.push(Problem::Altered {
                item: label(at),
                reason: "it is not the line that was sealed".to_owned(),
            });
        } else {
            problems.push(Problem::Added { item: label(at), file: MANIFEST.to_owned() });
        }
    }
    let altered = |at: &usize| seen.get(*at).is_some_and(|line| !known.contains(line));
    for at in gone.into_iter().filter(|at| !altered(at)) {
        problems.push(Problem::Missing { item: format!("line {} as it was sealed", at + 1), file: MANIFEST });
    }
    let common = |lines: &[String], other: &BTreeSet<&String>| -> Vec<String> {
        lines.iter().filter(|line| other.contains(line)).cloned().collect()
    };
    let (sealed, found) = (common(&seal.manifest_lines, &there), common(&seen, &known));
    for (_, line) in sealed.iter().zip(&found).filter(|(sealed, found)| sealed != found) {
        let at = seen.iter().position(|seen| seen == line).unwrap_or_default();
        problems.push(Problem::Reordered { item: label(at), file: MANIFEST });
    }
    if problems.len() == before {
        let reason = "its sum is not the one that was sealed".to_owned();
        problems.push(Problem::Altered { item: MANIFEST.to_owned(), reason });
    }
}

/// Compares the archive with the manifest.
fn items(folder: &Path, seal: Option<&Seal>, verdict: &mut Verdict) -> Result<(), Problem> {
    let (file, mut length) = open(folder, ARCHIVE)?;
    let unreadable =
        |error: std::io::Error| Problem::Unreadable { file: ARCHIVE.to_owned(), reason: error.to_string() };
    if let Some(seal) = seal.filter(|seal| seal.state == State::Collecting && length > seal.archive_bytes) {
        verdict
            .remarks
            .push(format!("{} bytes of {ARCHIVE} were not sealed any more", length - seal.archive_bytes));
        length = seal.archive_bytes;
    }
    let places: Vec<u64> = verdict.items.iter().map(|item| item.at).collect();
    let found = archive::frames(BufReader::with_capacity(256 << 10, &file), length, &places);
    let before = verdict.problems.len();
    compare_items(&found, &verdict.items, &mut verdict.problems);
    let is_over = found.iter().any(|frame| frame.content == Ok(Content::End));
    let must_end = seal.is_some_and(|seal| seal.state != State::Collecting);
    if must_end && !is_over {
        verdict.problems.push(Problem::Missing { item: "the end of the archive".to_owned(), file: ARCHIVE });
    }
    // The same items in other frames: nothing that one could name, and still not what was sealed.
    if let Some(seal) = seal.filter(|_| verdict.problems.len() == before) {
        let mut again = &file;
        std::io::Seek::rewind(&mut again).map_err(unreadable)?;
        if Digest::of_reader(again.take(length)).map_err(unreadable)? != seal.archive_sha256 {
            let reason = "its sum is not the one that was sealed".to_owned();
            verdict.problems.push(Problem::Altered { item: ARCHIVE.to_owned(), reason });
        }
    }
    Ok(())
}

fn compare_items(found: &[Frame], items: &[Item], problems: &mut Vec<Problem>) {
    let expected: BTreeMap<&str, &Item> = items.iter().map(|item| (item.name.as_str(), item)).collect();
    let places: BTreeMap<u64, &Item> = items.iter().map(|item| (item.at, item)).collect();
    let (mut order, mut settled) = (Vec::new(), BTreeSet::new());
    let mut has_ended = false;
    for frame in found {
        match &frame.content {
            Ok(Content::End) if !has_ended => has_ended = true,
            Ok(Content::End) => {
                problems.push(Problem::Added { item: "a second end".to_owned(), file: ARCHIVE.to_owned() });
            }
            Ok(Content::Item { name, bytes, sha256 }) => match expected.get(name.as_str()) {
                Some(item) if !has_ended && settled.insert(name.as_str()) => {
                    order.push(name.as_str());
                    if (item.bytes, item.sha256) != (*bytes, *sha256) {
                        let reason = format!("its sum is {sha256}, sealed was {}", item.sha256);
                        problems.push(Problem::Altered { item: name.clone(), reason });
                    }
                }
                _ => problems.push(Problem::Added { item: name.clone(), file: ARCHIVE.to_owned() }),
            },
            Err(reason) => match places.get(&frame.at) {
                Some(item) => {
                    settled.insert(&item.name);
                    problems.push(Problem::Altered { item: item.name.clone(), reason: reason.clone() });
                }
                None => {
                    let item = format!("something at byte {} ({reason})", frame.at);
                    problems.push(Problem::Added { item, file: ARCHIVE.to_owned() });
                }
            },
        }
    }
    for item in items.iter().filter(|item| !settled.contains(item.name.as_str())) {
        problems.push(Problem::Missing { item: item.name.clone(), file: ARCHIVE });
    }
    let there: BTreeSet<&str> = order.iter().copied().collect();
    let sealed = items.iter().map(|item| item.name.as_str()).filter(|name| there.contains(name));
    for (_, name) in sealed.zip(&order).filter(|(sealed, found)| sealed != *found) {
        problems.push(Problem::Reordered { item: (*name).to_owned(), file: ARCHIVE });
    }
}

fn steps(folder: &Path, seal: Option<&Seal>, verdict: &mut Verdict) {
    match read(folder, STEPS, STEPS_BYTES_MAX) {
        Err(problem) => verdict.problems.push(problem),
        Ok(text) => {
            let Some(seal) = seal else { return };
            let sealed = usize::try_from(seal.steps_bytes).unwrap_or(usize::MAX);
            let is_cut = seal.state == State::Collecting && text.len() > sealed;
            let part = if is_cut { &text.as_bytes()[..sealed] } else { text.as_bytes() };
            if Digest::of(part) != seal.steps_sha256 {
                let reason = "its sum is not the one that was sealed".to_owned();
                verdict.problems.push(Problem::Altered { item: STEPS.to_owned(), reason });
            }
        }
    }
}

fn custody_of(folder: &Path, key: PublicKey, seal: Option<&Seal>, verdict: &mut Verdict) {
    let has_none = !folder.join(CUSTODY).exists() && !folder.join(CUSTODY_LENGTH).exists();
    if has_none && verdict.state == Some(State::Collecting) {
        verdict.remarks.push("it was never finished, so it has no custody log".to_owned());
        return;
    }
    let log = match read(folder, CUSTODY, custody::BYTES_MAX) {
        Ok(log) => log,
        Err(problem) => {
            verdict.problems.push(problem);
            String::new()
        }
    };
    let length = read(folder, CUSTODY_LENGTH, custody::BYTES_MAX).ok();
    let (entries, problems) = custody::check(&log, length.as_deref(), key);
    verdict.problems.extend(problems);
    // A manifest that was altered has been named already.
    let is_sealed = seal.is_some_and(|seal| Some(seal.manifest_sha256) == verdict.sha256);
    for entry in entries.iter().filter(|_| is_sealed) {
        if Some(entry.after) != verdict.sha256 {
            let reason = format!("it speaks of the bundle {}, which this is not", entry.after);
            verdict.problems.push(Problem::Custody { entry: entry.n, reason });
        }
    }
    verdict.custody = entries;
}

/// Names what is in the folder and belongs to nothing.
fn strangers(folder: &Path, verdict: &mut Verdict) {
    const KNOWN: [&str; 7] = [ARCHIVE, MANIFEST, STEPS, SEAL, CUSTODY, CUSTODY_LENGTH, ANALYSIS];
    let Ok(entries) = fs::read_dir(folder) else { return };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    // What begins with a dot is left behind by whoever was killed while writing; nothing reads it.
    let mut names: Vec<String> =
        names.filter(|name| !KNOWN.contains(&name.as_str()) && !name.starts_with('.')).collect();
    names.sort_unstable();
    let file = "the bundle".to_owned();
    verdict.problems.extend(names.into_iter().map(|item| Problem::Added { item, file: file.clone() }));
}

fn read(folder: &Path, name: &str, bytes_max: u64) -> Result<String, Problem> {
    let unreadable = |reason: String| Problem::Unreadable { file: name.to_owned(), reason };
    let (file, length) = open(folder, name)?;
    if length > bytes_max {
        return Err(unreadable(format!("it has {length} bytes; no such file has more than {bytes_max}")));
    }
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| unreadable("it is no text".to_owned()))
}

/// Opens a regular file of the bundle: no link is followed, and no pipe waited for.
fn open(folder: &Path, name: &str) -> Result<(File, u64), Problem> {
    let unreadable = |reason: String| Problem::Unreadable { file: name.to_owned(), reason };
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or_default();
    let opened = File::options().read(true).custom_flags(flags).open(folder.join(name));
    let file = opened.map_err(|error| unreadable(error.to_string()))?;
    let of = file.metadata().map_err(|error| unreadable(error.to_string()))?;
    if !of.is_file() {
        return Err(unreadable("it is no regular file".to_owned()));
    }
    Ok((file, of.len()))
}

#[cfg(test)]
mod tests;
