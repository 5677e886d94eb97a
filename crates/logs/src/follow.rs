//! Owns following a log: what is added to it since the last look, across its rotations, none of it twice.
//!
//! The file is held open, so what is written before it is rotated is read before the next one is begun, and no other
//! file can be taken for it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{CHUNK_BYTES, FILES_MAX, Identity, LINE_BYTES_MAX, Line, numbered};
use crate::open::open;

/// What one look reads at most, in chunks; the next look goes on there.
const CHUNKS_MAX: usize = 16;

/// A place in a log. Whoever has one asks it now and then.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    file: Option<(File, Identity)>,
    offset: u64,
    /// The beginning of a line that is being written.
    rest: Vec<u8>,
}

// === impl Follower ===

impl Follower {
    pub(crate) fn new(path: &Path, file: Option<(File, Identity)>, offset: u64) -> Self {
        Self { path: path.to_owned(), file, offset, rest: Vec::new() }
    }

    /// Whether there was a log when it was looked for last.
    pub fn is_there(&self) -> bool {
        self.file.is_some()
    }

    /// The whole lines that were added since the last look, at most about a megabyte of them: where there are some,
    /// there may be more. A line that nobody can finish any more, for its file was rotated, counts as whole.
    ///
    /// # Errors
    /// Where the log cannot be read. That it is not there is no error: it may come.
    pub fn poll(&mut self) -> io::Result<Vec<Line>> {
        let mut lines = Vec::new();
        let Some((_, identity)) = self.file else {
            self.open(0)?;
            self.read(&mut lines)?;
            return Ok(lines);
        };
        if self.read(&mut lines)? > 0 {
            return Ok(lines);
        }
        let newest = identity_of(&self.path)?;
        if newest.is_none() || newest == Some(identity) {
            self.start_again_if_emptied()?;
            self.read(&mut lines)?;
            return Ok(lines);
        }
        // It was rotated. Its writer may have written to it until then.
        if self.read(&mut lines)? == 0 {
            self.go_on(identity, &mut lines)?;
        }
        Ok(lines)
    }

    /// Goes on with the file that came after this one, of which all was read.
    fn go_on(&mut self, identity: Identity, lines: &mut Vec<Line>) -> io::Result<()> {
        let mut number = 0;
        for candidate in 1..=FILES_MAX {
            if identity_of(&numbered(&self.path, candidate))? == Some(identity) {
                number = candidate;
                break;
            }
        }
        let (file, rest) = (self.file.take(), std::mem::take(&mut self.rest));
        let offset = std::mem::take(&mut self.offset);
        // A file that has no name any more says nothing of the others: then the newest one is the next.
        self.open(number.saturating_sub(1))?;
        let is_moved = number > 0 && identity_of(&numbered(&self.path, number))? != Some(identity);
        if is_moved || self.file.is_none() {
            // The next rotation is under way: the next look finds it done.
            (self.file, self.rest, self.offset) = (file, rest, offset);
            return Ok(());
        }
        if !rest.is_empty() {
            lines.push(Line { bytes: rest });
        }
        self.read(lines)?;
        Ok(())
    }

    fn open(&mut self, number: u32) -> io::Result<()> {
        match open(&numbered(&self.path, number)) {
            Ok(file) => {
                let identity = Identity::of(&file.metadata()?);
                self.file = Some((file, identity));
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Some rotate by copying the file and emptying it.
    fn start_again_if_emptied(&mut self) -> io::Result<()> {
        if let Some((file, _)) = &self.file
            && file.metadata()?.len() < self.offset
        {
            self.offset = 0;
            self.rest.clear();
        }
        Ok(())
    }

    /// Reads on; returns how many bytes there were.
    fn read(&mut self, lines: &mut Vec<Line>) -> io::Result<usize> {
        let Some((file, _)) = &self.file else { return Ok(0) };
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut total = 0;
        for _ in 0..CHUNKS_MAX {
            let size = file.read_at(&mut chunk, self.offset)?;
            self.offset += size as u64;
            total += size;
            for piece in chunk[..size].split_inclusive(|byte| *byte == b'\n') {
                let (text, is_whole) = match piece.split_last() {
                    Some((b'\n', text)) => (text, true),
                    _ => (piece, false),
                };
                let room = LINE_BYTES_MAX - self.rest.len();
                self.rest.extend_from_slice(&text[..text.len().min(room)]);
                if is_whole {
                    lines.push(Line { bytes: std::mem::take(&mut self.rest) });
                }
            }
            if size == 0 {
                break;
            }
        }
        Ok(total)
    }
}

fn identity_of(path: &Path) -> io::Result<Option<Identity>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(Identity::of(&metadata))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write as _;
    use std::path::PathBuf;

    use tempfile::TempDir;

    use crate::{LINE_BYTES_MAX, Wanted, tail};

    /// A log with its writer.
    struct Written {
        folder: TempDir,
    }

    impl Written {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap() }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            let mut file = File::options().append(true).create(true).open(self.path(name)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        /// As the guard does it, without the file that comes after.
        fn rotate(&self) {
            for (from, to) in [("x.log.2", "x.log.3"), ("x.log.1", "x.log.2"), ("x.log", "x.log.1")] {
                let _ = fs::rename(self.path(from), self.path(to));
            }
        }

        fn follow(&self) -> super::Follower {
            tail(&self.path("x.log"), Wanted { lines_max: 0, since_ms: None }).unwrap().follower
        }
    }

    #[track_caller]
    fn check(follower: &mut super::Follower, expect: &[&str]) {
        let lines = follower.poll().unwrap();
        assert_eq!(lines.iter().map(super::Line::text).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn whole_lines_are_read_once() {
        let log = Written::new();
        let mut follower = log.follow();
        check(&mut follower, &[]);
        log.write("x.log", "a\nb\nhal");
        check(&mut follower, &["a", "b"]);
        check(&mut follower, &[]);
        log.write("x.log", "f\n\n");
        check(&mut follower, &["half", ""]);
        // What was half written before the first look is read when it is whole.
        log.write("x.log", "begun");
        let mut late = log.follow();
        log.write("x.log", " and done\n");
        check(&mut late, &["begun and done"]);
    }

    #[test]
    fn rotations_are_followed() {
        let log = Written::new();
        log.write("x.log", "old\n");
        let mut follower = log.follow();
        // Written after the last look, and before the rotation.
        log.write("x.log", "last\n");
        log.rotate();
        check(&mut follower, &["last"]);
        check(&mut follower, &[]);
        log.write("x.log", "new\n");
        check(&mut follower, &["new"]);
        // Three between two looks; the last word of one was never finished.
        log.write("x.log", "torn");
        for name in ["two\n", "three\n", "four\n"] {
            log.rotate();
            log.write("x.log", name);
        }
        check(&mut follower, &[]);
        check(&mut follower, &["torn", "two"]);
        check(&mut follower, &["three"]);
        check(&mut follower, &["four"]);
        check(&mut follower, &[]);
    }

    #[test]
    fn emptied_and_deleted_files_are_begun_anew() {
        let log = Written::new();
        log.write("x.log", "a long old line\n");
        let mut follower = log.follow();
        File::create(log.path("x.log")).unwrap();
        check(&mut follower, &[]);
        log.write("x.log", "b\n");
        check(&mut follower, &["b"]);
        fs::remove_file(log.path("x.log")).unwrap();
        check(&mut follower, &[]);
        log.write("x.log", "c\n");
        check(&mut follower, &["c"]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let log = Written::new();
        let mut follower = log.follow();
        log.write("x.log", &"x".repeat(3 * LINE_BYTES_MAX));
        let mut lengths = Vec::new();
        log.write("x.log", "\nnext\n");
        while lengths.len() < 2 {
            lengths.extend(follower.poll().unwrap().iter().map(|line| line.bytes.len()));
        }
        assert_eq!(lengths, [LINE_BYTES_MAX, 4]);
    }
}
