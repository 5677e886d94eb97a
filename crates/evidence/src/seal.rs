//! Owns the seal: the statement that says what a bundle holds, signed.

use serde::{Deserialize, Serialize};

use crate::Digest;

/// What a statement says that it is, so that no signature of one kind passes for another.
const WHAT: &str = "paramedic evidence seal";

/// What was sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    pub(crate) what: String,
    /// Whether the collection was over.
    pub state: State,
    /// Why it was not, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The sum of the manifest: the hash of the bundle.
    pub manifest_sha256: Digest,
    /// Its size.
    pub manifest_bytes: u64,
    /// The first 16 digits of the sum of each of its lines, so that one that was altered can be named.
    pub manifest_lines: Vec<String>,
    /// The sum of the archive.
    pub archive_sha256: Digest,
    /// Its size.
    pub archive_bytes: u64,
    /// The sum of the list of steps.
    pub steps_sha256: Digest,
    /// Its size.
    pub steps_bytes: u64,
    /// The first 16 digits of the sum of the key that sealed.
    pub key: String,
}

/// How far a collection came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// To its end.
    Complete,
    /// It was cut short; `reason` says by what.
    Interrupted,
    /// It had not ended when this was sealed: if nobody is at it any more, it was killed.
    Collecting,
}

// === impl Seal ===

impl Seal {
    pub(crate) fn new(state: State, reason: Option<String>, key: String) -> Self {
        let nothing = Digest::of(b"");
        Self {
            what: WHAT.to_owned(),
            state,
            reason,
            manifest_sha256: nothing,
            manifest_bytes: 0,
            manifest_lines: Vec::new(),
            archive_sha256: nothing,
            archive_bytes: 0,
            steps_sha256: nothing,
            steps_bytes: 0,
            key,
        }
    }

    pub(crate) fn is_one(&self) -> bool {
        self.what == WHAT
    }
}
