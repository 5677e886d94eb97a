//! Owns reading lines one after the other from anything, in bounded memory, and passing over those that cannot match.

use std::io::{self, Read};

use memchr::{memchr, memrchr};

use crate::pattern::Pattern;
use crate::{CHUNK_BYTES, LINE_BYTES_MAX};

/// So many bytes are read at once at most.
const READ_BYTES: usize = 4 * CHUNK_BYTES;

/// Reads lines. Holds one buffer of a line and a reading at most.
#[derive(Debug)]
pub struct Lines<R> {
    from: R,
    buffer: Vec<u8>,
    /// What was not given out yet begins here.
    start: usize,
    /// Behind the last end of a line that was read.
    whole: usize,
    /// Behind the last byte that was read.
    end: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    /// What comes is the rest of a line that was cut.
    Skipping,
    Ended,
}

/// A line that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'b> {
    /// The line, without its end.
    pub line: &'b [u8],
    /// Lines before it, as far as they are still held.
    pub before: &'b [u8],
    /// Whether the line is longer than is held of it.
    pub is_cut: bool,
}

// === impl Lines ===

impl<R: Read> Lines<R> {
    /// Begins to read.
    pub fn new(from: R) -> Self {
        let buffer = vec![0; LINE_BYTES_MAX + READ_BYTES];
        Self { from, buffer, start: 0, whole: 0, end: 0, state: State::Reading }
    }

    /// The beginning of what is read, without taking it.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn peek(&mut self) -> io::Result<&[u8]> {
        if self.end == 0 && self.state == State::Reading {
            self.fill()?;
        }
        Ok(&self.buffer[..self.end])
    }

    /// The next line, or the next that has the pattern. Of a line that is cut the beginning alone is searched.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn next(&mut self, pattern: Option<&Pattern>) -> io::Result<Option<Found<'_>>> {
        loop {
            if let Some((from, to)) = self.in_buffer(pattern) {
                return Ok(Some(self.found(from, to, false)));
            }
            let rest = self.end - self.start;
            if rest >= LINE_BYTES_MAX {
                self.state = State::Skipping;
                let from = self.start;
                self.whole = self.end;
                self.start = self.end;
                if self.has(pattern, from, from + LINE_BYTES_MAX) {
                    return Ok(Some(self.found(from, from + LINE_BYTES_MAX, true)));
                }
                continue;
            }
            if self.state == State::Ended {
                if rest == 0 {
                    return Ok(None);
                }
                let from = self.start;
                (self.start, self.whole) = (self.end, self.end);
                if self.has(pattern, from, self.end) {
                    return Ok(Some(self.found(from, self.end, false)));
                }
                return Ok(None);
            }
            self.fill()?;
        }
    }

    /// Where the next line in the buffer stands that is wanted; all lines before it are passed over.
    fn in_buffer(&mut self, pattern: Option<&Pattern>) -> Option<(usize, usize)> {
        while self.start < self.whole {
            let lines = &self.buffer[self.start..self.whole];
            let at = match pattern {
                None => 0,
                Some(pattern) => match pattern.candidate(lines) {
                    Some(at) => at.min(lines.len() - 1),
                    None => {
                        self.start = self.whole;
                        return None;
                    }
                },
            };
            let from = self.start + memrchr(b'\n', &lines[..at]).map_or(0, |newline| newline + 1);
            let to = self.start + memchr(b'\n', &lines[at..]).map_or(lines.len(), |newline| at + newline);
            self.start = to + 1;
            if self.has(pattern, from, to) {
                return Some((from, to));
            }
        }
        None
    }

    fn has(&self, pattern: Option<&Pattern>, from: usize, to: usize) -> bool {
        pattern.is_none_or(|pattern| pattern.is_in(&self.buffer[from..to]))
    }

    fn found(&self, from: usize, to: usize, is_cut: bool) -> Found<'_> {
        Found { line: &self.buffer[from..to], before: &self.buffer[..from], is_cut }
    }

    /// Reads on, behind what was not given out yet.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        (self.start, self.whole) = (0, 0);
        let room = self.buffer.len().min(self.end + READ_BYTES);
        let size = loop {
            match self.from.read(&mut self.buffer[self.end..room]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        let fresh = self.end;
        self.end += size;
        if size == 0 {
            self.state = State::Ended;
            return Ok(());
        }
        if self.state == State::Skipping {
            match memchr(b'\n', &self.buffer[fresh..self.end]) {
                Some(newline) => {
                    self.start = fresh + newline + 1;
                    self.state = State::Reading;
                }
                None => self.start = self.end,
            }
        }
        self.whole = memrchr(b'\n', &self.buffer[self.start..self.end])
            .map_or(self.start, |newline| self.start + newline + 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};

    use proptest::prelude::*;

    use super::Lines;
    use crate::LINE_BYTES_MAX;
    use crate::pattern::Pattern;

    /// Gives out so many bytes at once.
    struct Drops<'b>(&'b [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let size = self.1.min(self.0.len()).min(to.len());
            to[..size].copy_from_slice(&self.0[..size]);
            self.0 = &self.0[size..];
            Ok(size)
        }
    }

    fn all(bytes: &[u8], size: usize, pattern: Option<&Pattern>) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(Drops(bytes, size));
        let mut found = Vec::new();
        while let Some(line) = lines.next(pattern).unwrap() {
            assert!(line.before.is_empty() || line.before.ends_with(b"\n"));
            found.push(line.line.to_vec());
        }
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn lines_are_those_of_the_bytes(text in "[ab\n]{0,200}", size in 1_usize..50) {
            let mut expect: Vec<_> = text.split('\n').map(|line| line.as_bytes().to_vec()).collect();
            if expect.last().is_some_and(Vec::is_empty) {
                expect.pop();
            }
            prop_assert_eq!(&all(text.as_bytes(), size, None), &expect);
            for pattern in ["ab", "a\"", ""] {
                let expect: Vec<_> =
                    text.lines().filter(|line| line.contains(pattern)).map(|line| line.as_bytes().to_vec()).collect();
                prop_assert_eq!(all(text.as_bytes(), size, Some(&Pattern::literal(pattern))), expect);
            }
            for pattern in ["^a+$", r"b\s*a", "b$", r"\Ab", "[^a]b"] {
                let regex = regex::Regex::new(pattern).unwrap();
                let expect: Vec<_> =
                    text.lines().filter(|line| regex.is_match(line)).map(|line| line.as_bytes().to_vec()).collect();
                prop_assert_eq!(all(text.as_bytes(), size, Some(&Pattern::regex(pattern).unwrap())), expect, "{}", pattern);
            }
        }
    }

    #[test]
    fn a_line_without_end_is_cut() {
        // More than the memory has: ten gibibytes without an end, then a line.
        let long = io::repeat(b'x').take(if cfg!(debug_assertions) { 64 << 20 } else { 10 << 30 });
        let mut lines = Lines::new(long.chain(&b"\nnext\nlast"[..]));
        let found = lines.next(None).unwrap().unwrap();
        assert_eq!((found.line.len(), found.is_cut), (LINE_BYTES_MAX, true));
        for expect in [&b"next"[..], b"last"] {
            let found = lines.next(None).unwrap().unwrap();
            assert_eq!((found.line, found.is_cut), (expect, false));
        }
        assert_eq!(lines.next(None).unwrap(), None);
    }
}
