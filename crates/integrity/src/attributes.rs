//! Owns extended attributes: read in the order of their names, told apart by a digest, and set again.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::hex::Hex;

/// All names of the attributes of one file; the kernel's own limit.
const NAMES_BYTES_MAX: usize = 64 << 10;

/// Names that any owner of a file may set.
const USER: &[u8] = b"user.";

/// The extended attributes of one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes(Vec<(Vec<u8>, Vec<u8>)>);

// === impl Attributes ===

impl Attributes {
    /// Reads those of a thing; none where there are none, or no such thing. A link is not followed.
    pub(crate) fn of(path: &Path) -> Self {
        let length = rustix::fs::llistxattr_query(path).unwrap_or(0);
        if length == 0 || length > NAMES_BYTES_MAX {
            return Self::default();
        }
        let mut names = vec![0; length];
        let Ok(length) = rustix::fs::llistxattr(path, &mut names[..]) else { return Self::default() };
        let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
        let value = |name: &[u8]| {
            let mut value = vec![0; rustix::fs::lgetxattr_query(path, name).unwrap_or(0)];
            let length = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap_or(0);
            value.truncate(length);
            value
        };
        names.map(|name| (name.to_vec(), value(name))).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// A digest of names and values; none where there are none.
    pub(crate) fn digest(&self) -> Option<Hex<32>> {
        if self.0.is_empty() {
            return None;
        }
        let mut hasher = blake3::Hasher::new();
        for part in self.0.iter().flat_map(|(name, value)| [name, value]) {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Some(Hex(*hasher.finalize().as_bytes()))
    }

    /// Sets them. Names that only root may set stay away where somebody else restores.
    pub(crate) fn set(&self, path: &Path) -> io::Result<()> {
        for (name, value) in self.iter() {
            match rustix::fs::lsetxattr(path, OsStr::from_bytes(name), value, XattrFlags::empty()) {
                Err(Errno::PERM | Errno::OPNOTSUPP) if !name.starts_with(USER) => {}
                set => set?,
            }
        }
        Ok(())
    }
}

impl FromIterator<(Vec<u8>, Vec<u8>)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (Vec<u8>, Vec<u8>)>>(all: I) -> Self {
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_unstable();
        all.dedup_by(|one, other| one.0 == other.0);
        Self(all)
    }
}
