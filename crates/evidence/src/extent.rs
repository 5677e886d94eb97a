//! Owns how far a bundle was written: what a seal covers of each of its files.

use std::fs;
use std::path::Path;

use crate::bundle::{ARCHIVE, MANIFEST, SEAL, STEPS};
use crate::error::Error;

/// How far a bundle was written when it was last sealed: what is below these lengths never changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Of the archive, in bytes.
    pub archive_bytes: u64,
    /// Of the manifest.
    pub manifest_bytes: u64,
    /// Of the list of steps.
    pub steps_bytes: u64,
    /// The seal of that.
    pub seal: Vec<u8>,
}

// === impl Extent ===

impl Extent {
    /// Of a bundle that is not written any more.
    ///
    /// # Errors
    /// When one of its files cannot be read.
    pub fn of(folder: &Path) -> Result<Self, Error> {
        let bytes = |name: &str| {
            let path = folder.join(name);
            fs::metadata(&path).map(|of| of.len()).map_err(Error::read(&path))
        };
        let seal = folder.join(SEAL);
        Ok(Self {
            archive_bytes: bytes(ARCHIVE)?,
            manifest_bytes: bytes(MANIFEST)?,
            steps_bytes: bytes(STEPS)?,
            seal: fs::read(&seal).map_err(Error::read(&seal))?,
        })
    }
}
