//! Owns the end of a log: its newest lines, found from the end of the newest file backwards.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{CHUNK_BYTES, FILES_MAX, Identity, LINE_BYTES_MAX, Line, numbered};
use crate::follow::Follower;
use crate::open::open;

/// What is held of the lines at most, in bytes; older ones are left out.
const BYTES_MAX: usize = 64 << 20;

/// What is wanted. Where there is more, the newest lines win.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// So many lines at most.
    pub lines_max: usize,
    /// Nothing from before this moment, in milliseconds since the Unix epoch. A line that says no time is as old as
    /// the one before it. Reading ends at the first line from before, looking back.
    pub since_ms: Option<i64>,
}

/// The end of a log.
#[derive(Debug)]
pub struct Tail {
    /// The lines, the oldest first.
    pub lines: Vec<Line>,
    /// What stands behind the last end of a line: it is being written, or its writer was killed.
    pub unfinished: Option<Line>,
    /// Whether lines that are wanted were left out for their number or their bytes.
    pub is_cut: bool,
    /// Goes on behind the last whole line.
    pub follower: Follower,
}

/// Collects lines from the newest to the oldest, until there is enough.
struct Collector {
    wanted: Wanted,
    bytes_max: usize,
    lines: Vec<Line>,
    unfinished: Option<Line>,
    /// How many of the lines, the last ones here, say no time: they are as old as the next one.
    undated: usize,
    bytes: usize,
    is_cut: bool,
}

/// Whether more is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum More {
    Wanted,
    Enough,
}

/// Whether a file may still grow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    Newest,
    Rotated,
}

/// Reads the newest lines of a log. A log that does not exist has none.
///
/// # Errors
/// Where a file cannot be opened or read for another reason than that it is not there.
pub fn tail(path: &Path, wanted: Wanted) -> io::Result<Tail> {
    tail_within(path, wanted, BYTES_MAX)
}

fn tail_within(path: &Path, wanted: Wanted, bytes_max: usize) -> io::Result<Tail> {
    let mut collector = Collector::new(wanted, bytes_max);
    let mut follower = None;
    let mut before = None;
    for number in 0..=FILES_MAX {
        let file = match open(&numbered(path, number)) {
            Ok(file) => file,
            // Between two steps of a rotation the newest one is not there for a moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound && number == 0 => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        let identity = Identity::of(&metadata);
        // A rotation while we read gives the file that we had another name.
        if before.replace(identity) == Some(identity) {
            continue;
        }
        let age = if follower.is_none() { Age::Newest } else { Age::Rotated };
        let (more, whole) = backwards(&file, metadata.len(), age, &mut collector)?;
        follower.get_or_insert_with(|| Follower::new(path, Some((file, identity)), whole));
        if more == More::Enough {
            break;
        }
    }
    let follower = follower.unwrap_or_else(|| Follower::new(path, None, 0));
    Ok(collector.end(follower))
}

/// Takes the lines of one file, from its end; also says where its last whole line ends.
fn backwards(file: &File, length: u64, age: Age, to: &mut Collector) -> io::Result<(More, u64)> {
    let mut chunk = vec![0; CHUNK_BYTES];
    // The beginning of what comes after the chunk, up to the next end of a line.
    let mut rest: Vec<u8> = Vec::new();
    let (mut end, mut newline, mut whole) = (length, length, None);
    while end > 0 {
        let begin = end.saturating_sub(CHUNK_BYTES as u64);
        let size = usize::try_from(end - begin).unwrap_or(CHUNK_BYTES);
        file.read_exact_at(&mut chunk[..size], begin)?;
        let mut piece = &chunk[..size];
        while let Some(at) = piece.iter().rposition(|byte| *byte == b'\n') {
            prepend(&mut rest, &piece[at + 1..]);
            piece = &piece[..at];
            let line = std::mem::take(&mut rest);
            let more = if whole.is_none() { to.take_last(line, age) } else { to.take(line) };
            newline = begin + at as u64;
            let end_of_whole = *whole.get_or_insert(newline + 1);
            if more == More::Enough {
                return Ok((more, end_of_whole));
            }
        }
        prepend(&mut rest, piece);
        end = begin;
        // So far without the end of a line: this is no log, and its beginning may be very far.
        if newline - end > to.bytes_max as u64 {
            to.is_cut = true;
            return Ok((More::Enough, whole.unwrap_or(length)));
        }
    }
    let more = if whole.is_none() { to.take_last(rest, age) } else { to.take(rest) };
    Ok((more, whole.unwrap_or(0)))
}

/// Puts bytes before others; of a line that is too long its beginning is kept.
fn prepend(rest: &mut Vec<u8>, piece: &[u8]) {
    rest.splice(..0, piece.iter().copied());
    rest.truncate(LINE_BYTES_MAX);
}

// === impl Collector ===

impl Collector {
    fn new(wanted: Wanted, bytes_max: usize) -> Self {
        Self { wanted, bytes_max, lines: Vec::new(), unfinished: None, undated: 0, bytes: 0, is_cut: false }
    }

    /// Takes what stands behind the last end of a line.
    fn take_last(&mut self, bytes: Vec<u8>, age: Age) -> More {
        match (bytes.is_empty(), age) {
            (true, _) => More::Wanted,
            (false, Age::Newest) => {
                self.unfinished = Some(Line { bytes });
                More::Wanted
            }
            // Nobody will finish it.
            (false, Age::Rotated) => self.take(bytes),
        }
    }

    fn take(&mut self, bytes: Vec<u8>) -> More {
        let line = Line { bytes };
        let is_full =
            self.lines.len() >= self.wanted.lines_max || self.bytes + line.bytes.len() > self.bytes_max;
        let at_ms = self.wanted.since_ms.and(line.at_ms());
        match (self.wanted.since_ms, at_ms) {
            (Some(since_ms), Some(at_ms)) if at_ms < since_ms => {
                self.lines.truncate(self.lines.len() - self.undated);
                return More::Enough;
            }
            // Whether this one is wanted, a line before it will say.
            (Some(_), None) if is_full => return More::Wanted,
            (Some(_), None) => self.undated += 1,
            (_, Some(_)) | (None, None) => self.undated = 0,
        }
        if is_full {
            self.is_cut = true;
            return More::Enough;
        }
        self.bytes += line.bytes.len();
        self.lines.push(line);
        More::Wanted
    }

    fn end(mut self, follower: Follower) -> Tail {
        self.lines.reverse();
        Tail { lines: self.lines, unfinished: self.unfinished, is_cut: self.is_cut, follower }
    }
}

#[cfg(test)]
mod tests;
