//! Owns the open files of processes that matter to a disk: those that are written to, and those that are deleted.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::Serialize;

use crate::details::Details;
use crate::processes::{pids, process_name};
use crate::roots::{FILE_BYTES_MAX, Roots, read, read_link};
use crate::text::lines;

/// A server writes to a handful of files; a database to some hundreds.
const WRITTEN_MAX: usize = 256;
/// Descriptors of all processes that are looked at in search of deleted files: about 40 ms.
const LINKS_MAX: usize = 20_000;
const DELETED_MAX: usize = 64;
/// Descriptors of all processes that are looked at in search of writers: a restore waits for it, and a missed one would be
/// worse than half a second.
const WRITERS_LINKS_MAX: usize = 1_000_000;
const DELETED: &str = " (deleted)";

/// A file that has no name any more and still takes space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeletedFile {
    /// A process that has it open.
    pub pid: i32,
    /// The path that it had.
    pub path: String,
    /// What it takes on its file system.
    pub bytes: u64,
}

/// A process that may write to some data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Writer {
    /// Its number.
    pub pid: i32,
    /// Its name, as far as it can be read.
    pub name: String,
    /// A file that it has open to write.
    pub path: String,
}

/// The paths of the files that these processes have open to write, each once, sorted; at most 256.
pub(crate) fn written(roots: &Roots, tree: &[Details]) -> Vec<String> {
    let mut paths = Vec::new();
    for details in tree {
        let folder = roots.process(details.id.pid).join("fdinfo");
        for descriptor in details.descriptors.iter().flat_map(|all| &all.listed) {
            let Some(path) = descriptor.target.as_deref().filter(|path| is_file(path)) else { continue };
            if paths.len() < WRITTEN_MAX && is_writable(&folder.join(descriptor.number.to_string())) {
                paths.push(path.strip_suffix(DELETED).unwrap_or(path).to_owned());
            }
        }
    }
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// Processes that have a file below this folder open to write, each with the first such file; of those that we may look
/// at, by their number.
pub fn writers_below(roots: &Roots, folder: &Path) -> Vec<Writer> {
    let mut writers = Vec::new();
    let mut left = WRITERS_LINKS_MAX;
    for pid in pids(roots).unwrap_or_default() {
        let process = roots.process(pid);
        let Ok(entries) = fs::read_dir(process.join("fd")) else { continue };
        for entry in entries.flatten() {
            if left == 0 {
                return writers;
            }
            left -= 1;
            let Some(link) = read_link(&entry.path()).filter(|link| Path::new(link).starts_with(folder))
            else {
                continue;
            };
            if is_writable(&process.join("fdinfo").join(entry.file_name())) {
                let name = process_name(roots, pid).unwrap_or_default();
                writers.push(Writer { pid, name, path: link });
                break;
            }
        }
    }
    writers
}

/// The largest files that are deleted and still open, of all processes that we may look at.
pub(crate) fn deleted(roots: &Roots, pids: &[i32]) -> Vec<DeletedFile> {
    let mut found = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut left = LINKS_MAX;
    for pid in pids {
        let Ok(entries) = fs::read_dir(roots.process(*pid).join("fd")) else { continue };
        for entry in entries.flatten() {
            if left == 0 {
                break;
            }
            left -= 1;
            let Some(link) = read_link(&entry.path()).filter(|link| is_file(link)) else { continue };
            let Some(path) = link.strip_suffix(DELETED) else { continue };
            // Memory that looks like a file takes no disk.
            let Ok(of) = fs::metadata(entry.path()) else { continue };
            if of.is_file() && of.nlink() == 0 && of.blocks() > 0 && seen.insert((of.dev(), of.ino())) {
                found.push(DeletedFile { pid: *pid, path: path.to_owned(), bytes: of.blocks() * 512 });
            }
        }
    }
    found.sort_by_key(|file| std::cmp::Reverse(file.bytes));
    found.truncate(DELETED_MAX);
    found
}

/// Devices and the kernel's own views are no files that fill a disk.
fn is_file(target: &str) -> bool {
    target.starts_with('/')
        && !["/dev/", "/proc/", "/sys/", "/memfd:"].iter().any(|start| target.starts_with(start))
}

/// The line `flags:` is octal; its lowest two bits are the mode of access, of which 0 is to read.
fn is_writable(fdinfo: &Path) -> bool {
    let Some(bytes) = read(fdinfo, FILE_BYTES_MAX) else { return false };
    let flags = lines(&bytes).find_map(|line| line.strip_prefix(b"flags:"));
    let last = flags.and_then(|flags| flags.trim_ascii().last().copied());
    last.is_some_and(|digit| digit.is_ascii_digit() && (digit - b'0') & 3 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use ::process::ProcessId;

    use super::*;

    #[test]
    fn our_own_open_files() {
        let root = tempfile::tempdir().unwrap();
        let (kept, gone, looked) =
            (root.path().join("kept"), root.path().join("gone"), root.path().join("looked"));
        fs::write(&looked, "x").unwrap();
        let _kept = File::create(&kept).unwrap();
        let _looked = File::open(&looked).unwrap();
        let mut file = File::create(&gone).unwrap();
        file.write_all(&vec![7; 100_000]).unwrap();
        file.sync_all().unwrap();
        fs::remove_file(&gone).unwrap();

        let (roots, me) = (Roots::default(), ProcessId::current());
        let paths = written(&roots, &[Details::read(&roots, me)]);
        let has = |path: &Path| paths.iter().any(|one| Path::new(one) == path);
        assert!(has(&kept) && has(&gone) && !has(&looked), "{paths:?}");
        let files = deleted(&roots, &[me.pid]);
        let file = files.iter().find(|file| Path::new(&file.path) == gone).unwrap();
        assert!(file.bytes >= 100_000 && file.pid == me.pid, "{file:?}");
    }

    #[test]
    fn what_is_no_file_of_a_disk() {
        for (target, expect) in [
            ("/var/x", true),
            ("/var/x (deleted)", true),
            ("socket:[1]", false),
            ("/dev/null", false),
            ("/memfd:x (deleted)", false),
            ("", false),
        ] {
            assert_eq!(is_file(target), expect, "{target}");
        }
    }
}
