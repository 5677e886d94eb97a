//! Owns lists of sums for exchange, in the form of `md5sum` and `sha256sum`: written, and read again.
//!
//! A line is the sum, a space, a space or `*`, and the path below the root. Where the path has a backslash or the end of a
//! line in it, the line begins with a backslash and these are escaped, as those programs do it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use md5::Md5;
use rustix::fs::OFlags;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::entry::TreePath;
use crate::patterns::Patterns;
use crate::walk::{Root, Step, Walk};

/// The longest line: a path with each byte escaped.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// So many lines are read; they are in memory.
const LINES_MAX: usize = 4_000_000;
/// Read at once.
const PIECE_BYTES: usize = 1 << 20;

/// How a sum is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// For those who still have `checksums.md5`: it finds accidents, and no forgery.
    Md5,
    /// SHA-256.
    Sha256,
}

/// What is wrong with one path of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SumDiffers {
    /// The path.
    pub path: TreePath,
    /// In which way.
    pub how: SumChange,
}

/// How a file differs from a list of sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SumChange {
    /// Its sum is another.
    Written,
    /// It is not there.
    Missing,
    /// It is there and not in the list.
    Added,
    /// It cannot be read.
    Unreadable,
}

/// A list cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SumsError {
    /// A file or folder cannot be read, or the list not be written.
    #[error("{} cannot be read or written", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A line of the list is none.
    #[error("line {line} of {} is not a sum and a path below the folder", path.display())]
    Line {
        /// The list.
        path: PathBuf,
        /// Its number, from 1.
        line: usize,
    },
    /// The list is too long.
    #[error("{} has more than {LINES_MAX} lines", path.display())]
    Long {
        /// The list.
        path: PathBuf,
    },
}

// === impl Algorithm ===

impl Algorithm {
    fn of_digits(digits: usize) -> Option<Self> {
        [Self::Md5, Self::Sha256].into_iter().find(|one| one.bytes() * 2 == digits)
    }

    fn bytes(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha256 => 32,
        }
    }

    fn sum(self, file: File) -> io::Result<Vec<u8>> {
        match self {
            Self::Md5 => sum::<Md5>(file),
            Self::Sha256 => sum::<Sha256>(file),
        }
    }
}

fn sum<D: Digest>(mut file: File) -> io::Result<Vec<u8>> {
    let (mut hasher, mut piece) = (D::new(), vec![0; PIECE_BYTES]);
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(hasher.finalize().to_vec()),
            Ok(n) => hasher.update(&piece[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes the sums of all files of a tree but those that may change. Returns how many there are.
///
/// # Errors
/// If a file cannot be read or the list not be written: half a list is none.
pub fn write_sums(
    root: &Path,
    may_change: &Patterns,
    algorithm: Algorithm,
    out: &mut impl Write,
) -> Result<u64, SumsError> {
    let mut n = 0;
    each(root, may_change, |path, file| {
        let failed = |source| SumsError::Io { path: root.join(path.as_path()), source };
        let line = line(&algorithm.sum(file.map_err(failed)?).map_err(failed)?, path.as_path());
        out.write_all(&line).map_err(failed)?;
        n += 1;
        Ok(())
    })?;
    Ok(n)
}

/// Compares a tree with a list. Which algorithm it is of, its sums say. Returns how many files were compared, and those that
/// differ.
///
/// # Errors
/// If the list or the tree cannot be read, or a line of the list is none.
pub fn check_sums(
    root: &Path,
    may_change: &Patterns,
    list: &Path,
) -> Result<(u64, Vec<SumDiffers>), SumsError> {
    let mut known = read(list)?;
    let (mut n, mut differs) = (0, Vec::new());
    // The list itself may lie in the tree that it is about.
    let own = list.canonicalize().ok();
    each(root, may_change, |path, file| {
        let Some(sum) = known.remove(path) else {
            if root.join(path.as_path()).canonicalize().ok() != own {
                differs.push(SumDiffers { path: path.clone(), how: SumChange::Added });
            }
            return Ok(());
        };
        n += 1;
        let algorithm = Algorithm::of_digits(sum.len() * 2).unwrap_or(Algorithm::Sha256);
        match file.and_then(|file| algorithm.sum(file)) {
            Ok(found) if found == sum => {}
            Ok(_) => differs.push(SumDiffers { path: path.clone(), how: SumChange::Written }),
            Err(_) => differs.push(SumDiffers { path: path.clone(), how: SumChange::Unreadable }),
        }
        Ok(())
    })?;
    differs.extend(known.into_keys().map(|path| SumDiffers { path, how: SumChange::Missing }));
    Ok((n, differs))
}

/// Opens each file of a tree, in order.
fn each(
    root: &Path,
    may_change: &Patterns,
    mut take: impl FnMut(&TreePath, io::Result<File>) -> Result<(), SumsError>,
) -> Result<(), SumsError> {
    let failed = |path: &Path, source| SumsError::Io { path: root.join(path), source };
    let opened = Root::open(root).map_err(|source| failed(Path::new(""), source))?;
    for step in Walk::new(&opened).map_err(|source| failed(Path::new(""), source))? {
        let path = match step {
            Step::Found(path) => path,
            Step::Unreadable(path, source) => return Err(failed(path.as_path(), source)),
        };
        let is_file = root.join(path.as_path()).symlink_metadata().is_ok_and(|is| is.is_file());
        if is_file && !may_change.hold(&path) {
            take(&path, opened.open_below(path.as_path(), OFlags::RDONLY).map(File::from))?;
        }
    }
    Ok(())
}

fn line(sum: &[u8], path: &Path) -> Vec<u8> {
    let name = path.as_os_str().as_bytes();
    let is_odd = name.iter().any(|byte| b"\\\n\r".contains(byte));
    let mut line = if is_odd { b"\\".to_vec() } else { Vec::new() };
    line.extend(checksum::hex::write(sum).as_bytes());
    line.extend(b"  ");
    for byte in name {
        match byte {
            b'\\' => line.extend(b"\\\\"),
            b'\n' => line.extend(b"\\n"),
            b'\r' => line.extend(b"\\r"),
            byte => line.push(*byte),
        }
    }
    line.push(b'\n');
    line
}

fn read(list: &Path) -> Result<BTreeMap<TreePath, Vec<u8>>, SumsError> {
    let failed = |source| SumsError::Io { path: list.to_owned(), source };
    let mut lines = BufReader::new(File::open(list).map_err(failed)?);
    let mut known = BTreeMap::new();
    for number in 1.. {
        let mut line = Vec::new();
        (&mut lines).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(failed)?;
        if line.is_empty() {
            break;
        }
        if number > LINES_MAX {
            return Err(SumsError::Long { path: list.to_owned() });
        }
        let (path, sum) =
            parse(&line).ok_or_else(|| SumsError::Line { path: list.to_owned(), line: number })?;
        known.insert(path, sum);
    }
    Ok(known)
}

fn parse(line: &[u8]) -> Option<(TreePath, Vec<u8>)> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (is_odd, line) = line.strip_prefix(b"\\").map_or((false, line), |rest| (true, rest));
    let space = line.iter().position(|byte| *byte == b' ')?;
    let sum = checksum::hex::read(&std::str::from_utf8(&line[..space]).ok()?.to_ascii_lowercase())?;
    Algorithm::of_digits(sum.len() * 2)?;
    let [b' ' | b'*', name @ ..] = &line[space + 1..] else { return None };
    let name = if is_odd { unescape(name)? } else { name.to_vec() };
    // `find . -type f -exec md5sum` writes `./` before each.
    let name = name.strip_prefix(b"./").unwrap_or(&name);
    Some((TreePath::new(std::ffi::OsStr::from_bytes(name))?, sum))
}

fn unescape(name: &[u8]) -> Option<Vec<u8>> {
    let (mut plain, mut bytes) = (Vec::new(), name.iter());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next()? {
                b'\\' => b'\\',
                b'n' => b'\n',
                b'r' => b'\r',
                _ => return None,
            },
            byte => *byte,
        });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        for name in ["a", "a b/c", "odd\\\n\r", " x", "*y"] {
            let (path, sum) = parse(&line(&[7; 16], Path::new(name))).unwrap();
            assert_eq!((path.as_path(), sum), (Path::new(name), vec![7; 16]));
        }
    }

    #[test]
    fn lines_of_others_are_read_and_those_that_leave_the_tree_are_not() {
        let sum = "d41d8cd98f00b204e9800998ecf8427e";
        let check = |text: String, expected: Option<&str>| {
            let found = parse(text.as_bytes()).map(|(path, _)| path.as_path().to_owned());
            assert_eq!(found.as_deref(), expected.map(Path::new), "{text:?}");
        };
        check(format!("{sum} *a.bin"), Some("a.bin"));
        check(format!("{}  ./a/b\r\n", sum.to_ascii_uppercase()), Some("a/b"));
        for bad in ["", "x", sum, "  a"] {
            check(bad.to_owned(), None);
        }
        for name in ["/etc/passwd", "../a", "a/../b", ""] {
            check(format!("{sum}  {name}"), None);
        }
        check(format!("{}  a", &sum[1..]), None);
        check(format!("\\{sum}  a\\x"), None);
    }
}
