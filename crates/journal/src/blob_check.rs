//! Owns the check of blobs: whether the content of each is what its name says, however long it is.

use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::blobs::{BLOB_BYTES_MAX, BUFFER_BYTES};
use crate::{BlobError, Blobs, Digest};

// === impl Blobs ===

impl Blobs {
    /// The blobs in a folder as it is: nothing is created, and where there is no folder there are no blobs.
    pub fn existing(folder: &Path) -> Self {
        Self::in_folder(folder.to_owned())
    }

    /// Returns the names of all blobs.
    ///
    /// # Errors
    ///
    /// The folder cannot be looked through.
    pub fn names(&self) -> io::Result<Vec<Digest>> {
        Ok(self.list()?.into_keys().collect())
    }

    /// Checks the content of a blob against its name.
    ///
    /// # Errors
    ///
    /// The blob is missing, cannot be read, or was changed.
    pub fn check(&self, sha256: Digest) -> Result<(), BlobError> {
        let failed = |source| BlobError::Read { sha256, source };
        let changed = || BlobError::Changed { sha256 };
        let (form, file) = self.find(sha256).map_err(failed)?;
        // Content that cannot be unpacked is an error without a code of the operating system.
        let unpacked = |error: io::Error| {
            if error.raw_os_error().is_none() { changed() } else { failed(error) }
        };
        let mut content = form.open(file).map_err(unpacked)?.take(BLOB_BYTES_MAX + 1);
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match content.read(&mut buffer).map_err(unpacked)? {
                0 => break,
                bytes => hasher.update(&buffer[..bytes]),
            }
        }
        if Digest::from(hasher) == sha256 { Ok(()) } else { Err(changed()) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::{BlobError, Blobs, Digest};

    #[test]
    fn every_content_is_checked_and_nothing_is_created() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path().join("blobs")).unwrap();
        let (short, long) = (blobs.put(b"evidence").unwrap(), blobs.put(&vec![7; 300_000]).unwrap());
        let found = Blobs::existing(&folder.path().join("blobs"));
        assert_eq!(found.names().unwrap().len(), 2);
        found.check(short.sha256).unwrap();
        found.check(long.sha256).unwrap();

        let packed = folder.path().join(format!("blobs/{}.zst", long.sha256));
        let whole = fs::read(&packed).unwrap();
        fs::write(&packed, &whole[..whole.len() / 2]).unwrap();
        assert!(matches!(found.check(long.sha256), Err(BlobError::Changed { .. })), "cut off");
        fs::write(&packed, b"no zstd at all").unwrap();
        assert!(matches!(found.check(long.sha256), Err(BlobError::Changed { .. })), "not packed");
        fs::write(folder.path().join(format!("blobs/{}", short.sha256)), b"evidenc3").unwrap();
        assert!(matches!(found.check(short.sha256), Err(BlobError::Changed { .. })), "changed");
        assert!(matches!(found.check(Digest::ZERO), Err(BlobError::Read { .. })), "missing");

        let nowhere = Blobs::existing(&folder.path().join("nowhere"));
        assert_eq!(nowhere.names().unwrap(), []);
        assert!(!folder.path().join("nowhere").exists());
    }
}
