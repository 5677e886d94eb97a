//! Owns what an archive says of itself in its last members: its manifests, what it is, and who stands for that.
//!
//! They come last because only then are the digests known of all that is in it; so it is written in one pass. The names
//! are those of no tree, which are numbers.

use std::io::Read;
use std::path::{Path, PathBuf};

use tar::EntryType;

use super::member::Member;

/// Where they are in the archive.
const FOLDER: &str = "paramedic";
const RECORD: &str = "record.json";
const SEAL: &str = "seal.json";

/// One of these members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    /// The manifest of the tree of this number.
    Manifest(usize),
    /// What the backup is.
    Record,
    /// Who stands for that.
    Seal,
}

impl Inside {
    /// The name that it has in the archive.
    pub(super) fn name(self) -> PathBuf {
        Path::new(FOLDER).join(match self {
            Self::Manifest(n) => format!("{n}.jsonl"),
            Self::Record => RECORD.to_owned(),
            Self::Seal => SEAL.to_owned(),
        })
    }

    /// Which of them a member is, if it is one.
    pub(super) fn of(member: &Member<'_, impl Read>) -> Option<Self> {
        let is_file = member.content.header().entry_type() == EntryType::Regular;
        Self::named(&member.name).filter(|_| is_file)
    }

    fn named(name: &Path) -> Option<Self> {
        let one = match name.strip_prefix(FOLDER).ok()?.to_str()? {
            RECORD => Self::Record,
            SEAL => Self::Seal,
            name => Self::Manifest(name.strip_suffix(".jsonl")?.parse().ok()?),
        };
        // One name for each, and not also `paramedic//record.json`.
        (one.name().as_os_str() == name.as_os_str()).then_some(one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_what_they_are_of() {
        for one in [Inside::Manifest(0), Inside::Manifest(12), Inside::Record, Inside::Seal] {
            assert_eq!(Inside::named(&one.name()), Some(one));
        }
        for other in [
            "0/notes",
            "paramedic",
            "paramedic/x",
            "paramedic/00.jsonl",
            "paramedic//seal.json",
            "paramedic/+1.jsonl",
        ] {
            assert_eq!(Inside::named(Path::new(other)), None, "{other}");
        }
    }
}
