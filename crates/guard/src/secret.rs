//! Owns secrets that others show: kept as their hash, and compared in a time that says nothing.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::own::OwnError;

/// The longest token, in bytes, and the shortest, which nobody guesses.
const TOKEN_BYTES: std::ops::RangeInclusive<usize> = 16..=1024;

/// A token that somebody else knows.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret([u8; 32]);

/// What somebody shows.
pub(crate) struct Shown([u8; 32]);

// === impl Secret, Shown ===

impl Secret {
    /// What stands on the first line of a file that nobody else can read or write.
    pub(crate) fn read(path: &Path) -> Result<Self, OwnError> {
        let refuse = |reason: &str| OwnError::Token { path: path.to_owned(), reason: reason.to_owned() };
        let text = read_private(path, refuse)?;
        let token = text.lines().next().unwrap_or_default().trim();
        if !TOKEN_BYTES.contains(&token.len()) || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refuse("it has 16 to 1024 visible characters on its first line"));
        }
        Ok(Self::of(token))
    }

    pub(crate) fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// The hash of a token, as it is written down.
    pub(crate) fn from_digits(digits: &str) -> Option<Self> {
        checksum::hex::read_array(digits).map(Self)
    }

    /// The hash, as it is written down.
    pub(crate) fn digits(&self) -> String {
        checksum::hex::write(&self.0)
    }

    /// Whether this is what is shown. Equal hashes are equal secrets, and how far two are equal is not to be seen.
    pub(crate) fn is(&self, shown: &Shown) -> bool {
        self.0.ct_eq(&shown.0).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Shown {
    pub(crate) fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }
}

/// The text of a file that belongs to root or to this user, and that others can neither read nor write.
pub(crate) fn read_private(path: &Path, refuse: impl Fn(&str) -> OwnError) -> Result<String, OwnError> {
    let fail = |source| OwnError::Read { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(fail)?;
    let own = rustix::process::geteuid().as_raw();
    if metadata.uid() != 0 && metadata.uid() != own {
        return Err(refuse("its file belongs neither to root nor to the user of the guard"));
    }
    if metadata.mode() & 0o027 != 0 {
        return Err(refuse("its file can be read by everybody, or written by others (chmod 600)"));
    }
    fs::read_to_string(path).map_err(fail)
}
