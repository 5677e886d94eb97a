//! Owns the form of one entry: its fields, its canonical bytes and its digest.
//!
//! # Format 1, frozen
//!
//! The digest of an entry is the SHA-256 of these items, each written as its length (8 bytes, big endian)
//! and its bytes: the tag `paramedic journal entry 1`, `seq`, `node`, `at_ms`, `incident`, `kind`,
//! `version`, `body`, `previous`. Numbers are 8 bytes, big endian, two's complement. Texts are UTF-8. A
//! missing incident is the length 2⁶⁴-1 without bytes. The body is JSON without spaces, keys sorted by their
//! bytes. `previous` is the digest of the entry with `seq - 1`, or 32 zero bytes for entry 1.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{Digest, Error, canonical, pruned};

/// What heads the canonical bytes, so that no other signed or hashed text can pass for an entry.
const TAG: &[u8] = b"paramedic journal entry 1";

/// The longest body in bytes. More belongs into a blob, with its reference in the body.
const BODY_BYTES_MAX: usize = 1 << 20;

/// The longest node, incident or kind in bytes. They are names, kept in an index.
const NAME_BYTES_MAX: usize = 256;

/// What is to be appended; the journal adds its place in the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// When it happened, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The incident that it belongs to.
    pub incident: Option<String>,
    /// What kind of event it is; it says how to read the body. 1 to 256 bytes, and not `journal_pruned`.
    pub kind: String,
    /// The version of the body's form for this kind.
    pub version: u32,
    /// The event itself, at most 1 MiB as text and nested at most 64 deep.
    pub body: Value,
}

/// One durable entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its place in the journal, from 1 without gaps but those that were pruned.
    pub seq: i64,
    /// The host that wrote it.
    pub node: String,
    /// When it happened, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The incident that it belongs to.
    pub incident: Option<String>,
    /// What kind of event it is.
    pub kind: String,
    /// The version of the body's form for this kind.
    pub version: u32,
    /// The event itself.
    pub body: Value,
    /// The digest of the entry before, [`Digest::ZERO`] for the first.
    pub previous: Digest,
    /// The digest of all fields above.
    pub digest: Digest,
}

/// The fields of an entry as bytes, as they are stored: what the digest is taken of.
pub(crate) struct Content<'a> {
    pub(crate) seq: i64,
    pub(crate) node: &'a [u8],
    pub(crate) at_ms: i64,
    pub(crate) incident: Option<&'a [u8]>,
    pub(crate) kind: &'a [u8],
    pub(crate) version: i64,
    pub(crate) body: &'a [u8],
    pub(crate) previous: &'a [u8],
}

// === impl Draft ===

impl Draft {
    /// Returns the body's canonical text, if the draft is within all limits.
    pub(crate) fn body_text(&self) -> Result<String, Error> {
        check_name("kind", &self.kind)?;
        if self.kind == pruned::KIND {
            return Err(Error::ReservedKind { kind: self.kind.clone() });
        }
        if let Some(incident) = &self.incident {
            check_name("incident", incident)?;
        }
        let body =
            canonical::text(&self.body).ok_or(Error::BodyTooDeep { depth_max: canonical::DEPTH_MAX })?;
        if body.len() > BODY_BYTES_MAX {
            return Err(Error::TooLong { field: "body", bytes: body.len(), bytes_max: BODY_BYTES_MAX });
        }
        Ok(body)
    }

    /// Returns the entry that this draft becomes at `seq`; `body` is its canonical text.
    pub(crate) fn into_entry(self, body: &str, node: &str, seq: i64, previous: Digest) -> Entry {
        let Self { at_ms, incident, kind, version, body: value } = self;
        let digest = Digest::ZERO;
        let mut entry = Entry {
            seq,
            node: node.to_owned(),
            at_ms,
            incident,
            kind,
            version,
            body: value,
            previous,
            digest,
        };
        entry.digest = entry.digest_with(body);
        entry
    }
}

// === impl Entry ===

impl Entry {
    /// Returns the digest that its fields ask for: equal to `digest` unless one was changed. For entries
    /// that were exported; [`crate::Journal::verify`] checks those of a journal.
    ///
    /// `None` if the body is nested deeper than any that the journal writes.
    pub fn computed_digest(&self) -> Option<Digest> {
        Some(self.digest_with(&canonical::text(&self.body)?))
    }

    /// Returns what the entry takes in a journal, in bytes, about.
    pub fn stored_bytes(&self) -> u64 {
        canonical::text(&self.body).map_or(0, |text| text.len() as u64)
            + crate::store::ENTRY_BYTES.unsigned_abs()
    }

    fn digest_with(&self, body: &str) -> Digest {
        let content = Content {
            seq: self.seq,
            node: self.node.as_bytes(),
            at_ms: self.at_ms,
            incident: self.incident.as_deref().map(str::as_bytes),
            kind: self.kind.as_bytes(),
            version: self.version.into(),
            body: body.as_bytes(),
            previous: self.previous.as_bytes(),
        };
        content.digest()
    }
}

// === impl Content ===

impl Content<'_> {
    pub(crate) fn digest(&self) -> Digest {
        let (seq, at_ms, version) =
            (self.seq.to_be_bytes(), self.at_ms.to_be_bytes(), self.version.to_be_bytes());
        let items = [
            Some(TAG),
            Some(&seq),
            Some(self.node),
            Some(&at_ms),
            self.incident,
            Some(self.kind),
            Some(&version),
            Some(self.body),
            Some(self.previous),
        ];
        let mut hasher = Sha256::new();
        for item in items {
            let length = item.map_or(u64::MAX, |bytes| bytes.len() as u64);
            hasher.update(length.to_be_bytes());
            hasher.update(item.unwrap_or_default());
        }
        Digest::from(hasher)
    }
}

/// Refuses a name that is empty or too long.
pub(crate) fn check_name(field: &'static str, name: &str) -> Result<(), Error> {
    match name.len() {
        0 => Err(Error::Empty { field }),
        bytes if bytes > NAME_BYTES_MAX => Err(Error::TooLong { field, bytes, bytes_max: NAME_BYTES_MAX }),
        _ => Ok(()),
    }
}
