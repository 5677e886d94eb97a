//! Owns which files are open, by all processes that may be looked at.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::processes::pids;
use crate::roots::Roots;

/// A machine with more open files is too busy to be tidied.
const LINKS_MAX: usize = 500_000;

/// The files that are open.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    files: HashSet<(u64, u64)>,
    /// Whether more are open than were looked at: then every file counts as open.
    is_cut: bool,
}

// === impl Opened ===

impl Opened {
    /// Looks at all descriptors. Those of another user are not ours to see, and neither are their files ours to remove.
    pub fn take(roots: &Roots) -> Self {
        let mut opened = Self::default();
        let mut left = LINKS_MAX;
        for pid in pids(roots).unwrap_or_default() {
            let Ok(entries) = fs::read_dir(roots.process(pid).join("fd")) else { continue };
            for entry in entries.flatten() {
                if left == 0 {
                    return Self { is_cut: true, ..opened };
                }
                left -= 1;
                if let Ok(of) = fs::metadata(entry.path()) {
                    opened.files.insert((of.dev(), of.ino()));
                }
            }
        }
        opened
    }

    /// Whether somebody has this file open.
    pub fn has(&self, device: u64, inode: u64) -> bool {
        self.is_cut || self.files.contains(&(device, inode))
    }
}
