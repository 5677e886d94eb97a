//! Owns looking at a whole tree beside what is known of it: in order, on several threads, in bounded memory.
//!
//! The walk and the manifest are two lists in one order. They are joined piece by piece; each piece is looked at by
//! all threads, while one of them gets the next, and handed on in order. Whatever the size of the tree, two pieces and the
//! names of the folders that are open are in memory.

use std::io;
use std::iter::Peekable;

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::compare::{Difference, Expect, difference};
use crate::content::{Progress, Throttle};
use crate::entry::{Entry, TreePath};
use crate::format::Format;
use crate::look::{Look, Seen};
use crate::manifest::ManifestError;
use crate::patterns::Patterns;
use crate::walk::{Root, Step, Walk};

/// Looked at before anything is handed on.
const PIECE: usize = 2048;
/// A change within so many nanoseconds before a look may have come after it in the same tick of the clock.
const TICK_NS: i64 = 2_000_000_000;

/// How a tree is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// What is expected of it.
    pub expect: Expect,
    /// What of it may change.
    pub may_change: &'a Patterns,
    /// Whether the content of every file is read, or only of those that the kernel saw change.
    pub reads_all: bool,
    /// Whether SHA-256 is computed beside BLAKE3.
    pub with_sha256: bool,
    /// How fast files are read.
    pub throttle: Option<&'a Throttle>,
    /// Where is counted how far it is.
    pub progress: Option<&'a Progress>,
}

/// One thing of the tree, or of what is known of it.
#[derive(Debug)]
pub struct Outcome {
    /// What it is now, as far as that is known; nothing where it is gone.
    pub now: Option<Entry>,
    /// How it differs from what it was.
    pub difference: Option<Difference>,
    /// Whether it is as it was, and was not even read to see that.
    pub is_untouched: bool,
    /// Whether its content is new and that of a database, which is asked whether it is whole when the scan is over.
    pub is_database: bool,
}

/// A tree could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// What is known of it cannot be read, or what is found not be written.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Its topmost folder cannot be read.
    #[error("the folder {path} cannot be read")]
    Root {
        /// The folder.
        path: String,
        /// The cause.
        source: io::Error,
    },
}

/// A path, what is known of it, and whether the walk came to it.
struct Pair {
    path: TreePath,
    old: Option<Entry>,
    step: Option<io::Result<()>>,
}

/// Looks at a tree beside the entries of its last manifest, and hands on each thing in order.
///
/// `known_since_ns` is when that manifest was begun, `began_ns` when this look is: both in nanoseconds since 1970. The threads are those of the pool that calls.
///
/// # Errors
/// If the root or the manifest cannot be read, or `hand_on` says so.
pub fn scan<E: From<ScanError>>(
    root: &Root,
    options: Options<'_>,
    known: impl Iterator<Item = Result<Entry, ManifestError>> + Send,
    known_since_ns: i64,
    began_ns: i64,
    mut hand_on: impl FnMut(Outcome) -> Result<(), E>,
) -> Result<(), E> {
    let unreadable = |source| ScanError::Root { path: root.path().display().to_string(), source };
    let device = rustix::fs::fstat(root.fd()).map_err(|error| unreadable(error.into()))?.st_dev;
    let mut walk = Walk::new(root).map_err(unreadable)?.peekable();
    let mut known = known.peekable();
    let look = Look {
        root,
        device,
        with_sha256: options.with_sha256,
        throttle: options.throttle,
        progress: options.progress,
        began_ns,
    };
    let mut piece = next_piece(&mut walk, &mut known)?;
    while !piece.is_empty() {
        let looked = || -> Vec<Outcome> {
            piece.into_par_iter().map(|pair| outcome(&look, options, known_since_ns, pair)).collect()
        };
        let (outcomes, next) = rayon::join(looked, || next_piece(&mut walk, &mut known));
        if let Some(progress) = options.progress {
            progress.seen(outcomes.len() as u64);
        }
        outcomes.into_iter().try_for_each(&mut hand_on)?;
        piece = next?;
    }
    Ok(())
}

/// What is looked at next; nothing at the end of both lists.
fn next_piece(
    walk: &mut Peekable<Walk<'_>>,
    known: &mut Peekable<impl Iterator<Item = Result<Entry, ManifestError>>>,
) -> Result<Vec<Pair>, ScanError> {
    let mut piece = Vec::with_capacity(PIECE);
    while piece.len() < PIECE
        && let Some(pair) = next_pair(walk, known)?
    {
        piece.push(pair);
    }
    Ok(piece)
}

/// The next path of either list.
fn next_pair(
    walk: &mut Peekable<Walk<'_>>,
    known: &mut Peekable<impl Iterator<Item = Result<Entry, ManifestError>>>,
) -> Result<Option<Pair>, ManifestError> {
    if let Some(Err(_)) = known.peek() {
        return known.next().transpose().map(|_| None);
    }
    let old_path = known.peek().and_then(|old| old.as_ref().ok()).map(|old| &old.path);
    let comes_first = match (walk.peek(), old_path) {
        (None, None) => return Ok(None),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (Some(step), Some(old)) => step.path().cmp(old),
    };
    let step = if comes_first.is_le() { walk.next() } else { None };
    let old = if comes_first.is_ge() { known.next().transpose()? } else { None };
    Ok(match (step, old) {
        (Some(Step::Found(path)), old) => Some(Pair { path, old, step: Some(Ok(())) }),
        (Some(Step::Unreadable(path, error)), old) => Some(Pair { path, old, step: Some(Err(error)) }),
        (None, old) => old.map(|old| Pair { path: old.path.clone(), old: Some(old), step: None }),
    })
}

fn outcome(look: &Look<'_>, options: Options<'_>, known_since_ns: i64, pair: Pair) -> Outcome {
    let Pair { path, mut old, step } = pair;
    let trusted = |now: &Entry| !options.reads_all && now.changed_ns < known_since_ns.saturating_sub(TICK_NS);
    // Most of a tree is as it was, whatever may change of it: that is one question to the kernel.
    if !options.reads_all
        && matches!(step, Some(Ok(())))
        && let Some(old) = old.take_if(|old| look.is_as_known(&path, old, trusted))
    {
        return Outcome { now: Some(old), difference: None, is_untouched: true, is_database: false };
    }
    let may_change = options.may_change.hold(&path);
    let seen = match step {
        None => Seen::Gone,
        Some(_) if may_change => look.without_content(&path),
        Some(Ok(())) => look.at(&path, old.as_ref(), trusted),
        Some(Err(error)) => match look.without_content(&path) {
            Seen::Is { entry, .. } => Seen::Unreadable(entry, error),
            seen => seen,
        },
    };
    let is_untouched = match &seen {
        Seen::Is { entry, .. } => old.as_ref() == Some(entry) && (may_change || trusted(entry)),
        _ => false,
    };
    let difference = difference(&path, old.as_ref(), &seen, options.expect, may_change);
    let is_database = match &seen {
        Seen::Is { entry, format: Some(Format::Sqlite) } => {
            options.reads_all || old.as_ref().is_none_or(|old| old.blake3 != entry.blake3)
        }
        _ => false,
    };
    let now = match seen {
        Seen::Is { entry, .. }
        | Seen::Broken(entry, _)
        | Seen::Changing(entry)
        | Seen::Unreadable(entry, _) => Some(entry),
        Seen::Gone | Seen::Unknown(_) => None,
    };
    Outcome { now, difference, is_untouched, is_database }
}
