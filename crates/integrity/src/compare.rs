//! Owns what differs between a thing as it was and as it is, and whether that is damage.

use serde::Serialize;

use crate::entry::{Entry, Kind, TreePath};
use crate::look::Seen;

/// What is expected of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Its files change as people work with it: what counts is damage that no writing explains.
    Changes,
    /// Nothing changes: whatever differs is wrong.
    Nothing,
}

/// How one thing differs from what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What differs.
    pub path: TreePath,
    /// How.
    pub change: Change,
    /// Whether this is damage, by what is expected of the tree.
    pub is_damage: bool,
    /// More words, where there are any.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// The ways in which a thing can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Its content is another, though nobody has written to it: the kernel saw no change. The disk has lost it.
    Rotten,
    /// It cannot be read.
    Unreadable,
    /// Its content is not whole, by its own format.
    Broken,
    /// It is not there any more.
    Missing,
    /// It is shorter than it was.
    Truncated,
    /// Its content is another, and it was written to.
    Written,
    /// It is another kind of thing now.
    Replaced,
    /// It was not there before.
    Added,
    /// Its owner, its permissions or its attributes are others.
    Permissions,
    /// It was written all the while it was read; nothing is known of its content.
    Changing,
}

// === impl Change ===

impl Change {
    /// A word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rotten => "rotten",
            Self::Unreadable => "unreadable",
            Self::Broken => "broken",
            Self::Missing => "missing",
            Self::Truncated => "truncated",
            Self::Written => "written",
            Self::Replaced => "replaced",
            Self::Added => "added",
            Self::Permissions => "permissions",
            Self::Changing => "changing",
        }
    }

    /// Whether this is damage of a tree of which that is expected.
    fn is_damage(self, expect: Expect) -> bool {
        match self {
            Self::Rotten | Self::Unreadable | Self::Broken => true,
            Self::Changing => false,
            _ => expect == Expect::Nothing,
        }
    }
}

/// Compares one thing with what it was. `may_change`: its content does not matter.
pub(crate) fn difference(
    path: &TreePath,
    old: Option<&Entry>,
    seen: &Seen,
    expect: Expect,
    may_change: bool,
) -> Option<Difference> {
    let (change, detail) = how(old, seen)?;
    if may_change && !matches!(change, Change::Unreadable) {
        return None;
    }
    Some(Difference { path: path.clone(), change, is_damage: change.is_damage(expect), detail })
}

fn how(old: Option<&Entry>, seen: &Seen) -> Option<(Change, String)> {
    let new = match (old, seen) {
        (None, Seen::Gone) => return None,
        (Some(_), Seen::Gone) => return Some((Change::Missing, String::new())),
        (_, Seen::Unreadable(_, error) | Seen::Unknown(error)) => {
            return Some((Change::Unreadable, error.to_string()));
        }
        (_, Seen::Changing(_)) => return Some((Change::Changing, String::new())),
        // What a person took for right, broken as it is, is no news as long as it stays so.
        (Some(old), Seen::Broken(entry, _)) if old.blake3 == entry.blake3 => entry,
        (_, Seen::Broken(_, how)) => return Some((Change::Broken, how.clone())),
        (_, Seen::Is { entry, .. }) => entry,
    };
    let Some(old) = old else { return Some((Change::Added, String::new())) };
    if old.kind != new.kind {
        return Some((Change::Replaced, format!("{} → {}", word(old.kind), word(new.kind))));
    }
    if old.target != new.target || old.blake3.is_some() && old.blake3 != new.blake3 {
        return Some(if new.is_untouched_since(old) && new.kind == Kind::File {
            (Change::Rotten, "the content is another, and the kernel saw nobody write it".to_owned())
        } else if new.size < old.size {
            (Change::Truncated, format!("{} → {} bytes", old.size, new.size))
        } else if let (Some(from), Some(to)) = (&old.target, &new.target) {
            (Change::Written, format!("{from} → {to}"))
        } else {
            (Change::Written, String::new())
        });
    }
    let rights = |entry: &Entry| (entry.mode, entry.uid, entry.gid);
    if rights(old) != rights(new) {
        let words = |entry: &Entry| format!("{:04o} {}:{}", entry.mode, entry.uid, entry.gid);
        return Some((Change::Permissions, format!("{} → {}", words(old), words(new))));
    }
    (old.attributes != new.attributes)
        .then(|| (Change::Permissions, "its extended attributes are others".to_owned()))
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Folder => "folder",
        Kind::Link => "link",
        Kind::Mount => "mount",
        Kind::Special => "device, pipe or socket",
    }
}
