//! Owns a signed statement: a text of JSON exactly as it was signed, and the signature over its bytes.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::key::{PublicKey, SigningKey};

/// A statement, and who stands for it. Each kind of statement says in itself what it is, so that none passes for another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The text that was signed, byte for byte.
    pub(crate) statement: String,
    /// Ed25519 over it, in Base64.
    pub(crate) signature: String,
}

// === impl Signed ===

impl Signed {
    /// Signs a statement.
    pub fn new(statement: &impl Serialize, key: &SigningKey) -> Self {
        let statement = serde_json::to_string(statement).expect("a statement has text keys only");
        Self { signature: key.sign(statement.as_bytes()), statement }
    }

    /// A line of JSON, with its end.
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("two texts are JSON") + "\n"
    }

    /// Whether this key has signed it.
    pub fn is_by(&self, key: PublicKey) -> bool {
        key.has_signed(self.statement.as_bytes(), &self.signature)
    }

    /// The statement, if it has that form; that says nothing about the signature.
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(&self.statement).ok()
    }
}
