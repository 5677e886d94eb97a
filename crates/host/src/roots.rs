//! Owns where the readers look: the four directories, and reading one file of them up to a limit.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Most files here have a few hundred bytes; `mountinfo` of a container host is the longest of the others.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << 20;

/// The directories that the readers look into; tests put a fixture tree in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// In place of `/proc`.
    pub proc: PathBuf,
    /// In place of `/sys`.
    pub sys: PathBuf,
    /// In place of `/etc`.
    pub etc: PathBuf,
    /// In place of `/dev`.
    pub dev: PathBuf,
}

// === impl Roots ===

impl Default for Roots {
    fn default() -> Self {
        Self::below(Path::new("/"))
    }
}

impl Roots {
    /// The four directories below another root, such as a fixture tree or a mounted image.
    pub fn below(root: &Path) -> Self {
        Self { proc: root.join("proc"), sys: root.join("sys"), etc: root.join("etc"), dev: root.join("dev") }
    }

    pub(crate) fn process(&self, pid: i32) -> PathBuf {
        self.proc.join(pid.to_string())
    }
}

/// The first `bytes_max` bytes of a file; `None` when it cannot be opened or read.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(1024);
    File::open(path).ok()?.take(bytes_max).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// A file that holds one short text, without the white space around it; `None` when it is empty.
pub(crate) fn read_line(path: &Path) -> Option<String> {
    let bytes = read(path, FILE_BYTES_MAX)?;
    let line = bytes.trim_ascii();
    (!line.is_empty()).then(|| String::from_utf8_lossy(line).into_owned())
}

/// Where a symbolic link points; what is not UTF-8 in it is replaced.
pub(crate) fn read_link(path: &Path) -> Option<String> {
    Some(fs::read_link(path).ok()?.to_string_lossy().into_owned())
}
