//! Owns the custody log: who did what with a bundle, when, and what it was before and after.
//!
//! Each line is a signed statement that carries the sum of the line before, so nothing in it can be altered, taken out or put
//! in. `custody.json` is a signed statement of how many lines there are, so the end cannot be cut off either. What cannot be
//! seen from the bundle alone is that both files were replaced by older copies of themselves: who needs that keeps the
//! newest `custody.json` elsewhere, as every export does.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::Digest;
use crate::bundle::{CUSTODY, CUSTODY_LENGTH, replace};
use crate::error::Error;
use crate::key::{PublicKey, SigningKey};
use crate::signed::Signed;
use crate::verify::Problem;

/// Who looks after a bundle for years writes some hundred lines.
pub(crate) const BYTES_MAX: u64 = 16 << 20;

const WHAT: &str = "paramedic evidence custody";
const WHAT_LENGTH: &str = "paramedic evidence custody length";

/// What somebody did with a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Who.
    pub by: String,
    /// What, such as `collected` or `exported to …`.
    pub action: String,
    /// The hash of the bundle before; none where there was no bundle.
    pub before: Option<Digest>,
    /// The hash of the bundle after.
    pub after: Digest,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    what: String,
    /// Its number, from 1.
    pub n: u64,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Who.
    pub by: String,
    /// What.
    pub action: String,
    /// The hash of the bundle before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Digest>,
    /// The hash of the bundle after.
    pub after: Digest,
    /// The sum of the line before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Length {
    what: String,
    entries: u64,
    last: Digest,
}

/// Adds a line to the log of the bundle in `folder`. Two who do so at once wait for each other.
///
/// # Errors
/// When it cannot be read or written.
pub fn append(folder: &Path, key: &SigningKey, act: Act) -> Result<(), Error> {
    let path = folder.join(CUSTODY);
    let mut options = File::options();
    let no_link = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let options = options.read(true).append(true).create(true).mode(0o600).custom_flags(no_link);
    let mut file = options.open(&path).map_err(Error::write(&path))?;
    flock(&file, FlockOperation::LockExclusive).map_err(|error| Error::write(&path)(error.into()))?;
    let mut log = String::new();
    (&mut file).take(BYTES_MAX).read_to_string(&mut log).map_err(Error::read(&path))?;
    let entry = Entry {
        what: WHAT.to_owned(),
        n: log.lines().count() as u64 + 1,
        at_ms: act.at_ms,
        by: act.by,
        action: act.action,
        before: act.before,
        after: act.after,
        previous: log.lines().next_back().map(|line| Digest::of(line.as_bytes())),
    };
    // A line that was cut off in the middle stays what it is, and ends.
    let begin = if log.is_empty() || log.ends_with('\n') { "" } else { "\n" };
    let line = Signed::new(&entry, key).line();
    file.write_all(format!("{begin}{line}").as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(Error::write(&path))?;
    let last = Digest::of(line.trim_end().as_bytes());
    let length = Length { what: WHAT_LENGTH.to_owned(), entries: entry.n, last };
    replace(folder, CUSTODY_LENGTH, Signed::new(&length, key).line().as_bytes())
}

/// Checks a log and its length, which are the texts of the two files. Returns what it says, and what is wrong with it.
pub(crate) fn check(log: &str, length: Option<&str>, key: PublicKey) -> (Vec<Entry>, Vec<Problem>) {
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    let mut previous = None;
    for (at, line) in log.lines().enumerate() {
        let n = at as u64 + 1;
        match read_line(line, n, previous, key) {
            Ok(entry) => entries.push(entry),
            Err(reason) => problems.push(Problem::Custody { entry: n, reason }),
        }
        previous = Some(Digest::of(line.as_bytes()));
    }
    let is_there = log.lines().count() as u64;
    let stated = length.and_then(|text| serde_json::from_str::<Signed>(text.trim_end()).ok());
    let stated = stated.filter(|signed| signed.is_by(key)).and_then(|signed| signed.read::<Length>());
    match stated.filter(|length| length.what == WHAT_LENGTH) {
        None => problems.push(Problem::Seal {
            file: CUSTODY_LENGTH,
            reason: "it does not say, signed by this key, how long the custody log is".to_owned(),
        }),
        Some(length) if is_there < length.entries => {
            problems.push(Problem::CustodyCut { is_there, sealed: length.entries });
        }
        Some(length) => {
            let last =
                log.lines().nth(usize::try_from(length.entries).unwrap_or(usize::MAX).saturating_sub(1));
            if last.is_none_or(|line| Digest::of(line.as_bytes()) != length.last) {
                let reason = "it is not the line that was sealed".to_owned();
                problems.push(Problem::Custody { entry: length.entries, reason });
            }
            // One more line than the length says is what a crash between the two leaves behind: it is signed as well.
            for entry in length.entries + 2..=is_there {
                let reason = "the length that was sealed does not count it".to_owned();
                problems.push(Problem::Custody { entry, reason });
            }
        }
    }
    (entries, problems)
}

fn read_line(line: &str, n: u64, previous: Option<Digest>, key: PublicKey) -> Result<Entry, String> {
    let signed: Signed =
        serde_json::from_str(line).map_err(|error| format!("it is no line of the log: {error}"))?;
    if !signed.is_by(key) {
        return Err("it was altered, or signed by another key".to_owned());
    }
    let entry: Entry = signed.read().ok_or("it is signed and no line of the log")?;
    if entry.what != WHAT {
        return Err("it is signed and no line of the log".to_owned());
    }
    if entry.n != n {
        return Err(format!("it was written as number {}", entry.n));
    }
    if entry.previous != previous {
        return Err("what stands before it is not what did".to_owned());
    }
    Ok(entry)
}
