//! Owns taking over a manifest into a new one: nothing is written as long as all of it stays as it was.

use std::path::{Path, PathBuf};

use crate::entry::Entry;
use crate::manifest::{Head, ManifestError, Reader, Writer};

/// Writes a manifest anew from the first entry on that is not as it was; as long as all are, the old one stands.
#[derive(Debug)]
pub(crate) struct Rewriter {
    path: PathBuf,
    head: Head,
    old: Option<Head>,
    same: u64,
    writer: Option<Writer>,
}

// === impl Rewriter ===

impl Rewriter {
    /// Begins where the `old` one of that name has this head, if there is one.
    pub(crate) fn new(path: &Path, head: Head, old: Option<&Head>) -> Result<Self, ManifestError> {
        let mut rewriter = Self { path: path.to_owned(), head, old: old.cloned(), same: 0, writer: None };
        if old.is_none() {
            rewriter.writer()?;
        }
        Ok(rewriter)
    }

    /// The next entry is the next of the old manifest, and what is known of it is still of the time at its head.
    pub(crate) fn keep(&mut self, entry: &Entry) -> Result<(), ManifestError> {
        match &mut self.writer {
            None => {
                self.same += 1;
                Ok(())
            }
            Some(writer) => writer.add(entry),
        }
    }

    /// The next entry is another, or the next of the old manifest is left out.
    pub(crate) fn add(&mut self, entry: Option<&Entry>) -> Result<(), ManifestError> {
        let writer = self.writer()?;
        entry.map_or(Ok(()), |entry| writer.add(entry))
    }

    fn writer(&mut self) -> Result<&mut Writer, ManifestError> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                let mut writer = Writer::create(&self.path, &self.head)?;
                if self.same > 0 {
                    let mut old = Reader::open(&self.path)?;
                    if self.old.as_ref() != Some(old.head()) {
                        return Err(ManifestError::Changed { path: self.path.clone() });
                    }
                    for _ in 0..self.same {
                        let changed = || ManifestError::Changed { path: self.path.clone() };
                        writer.add(&old.next().ok_or_else(changed)??)?;
                    }
                }
                writer
            }
        };
        Ok(self.writer.insert(writer))
    }

    /// Puts the new manifest in the place of the old one, where there is a new one.
    pub(crate) fn finish(self) -> Result<(), ManifestError> {
        self.writer.map_or(Ok(()), |writer| writer.finish().map(drop))
    }
}
