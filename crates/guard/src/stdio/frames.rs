//! Owns cutting a stream into frames: one line each, with its line feed, every byte as it came.
//!
//! A line of up to 64 MiB is a frame and is read along. A longer one goes on in parts as it arrives, unread: it reaches
//! the other side as well, and nothing of it is kept.

use std::io::{self, Read};

/// What is read along with: an answer with some large images in it stays far below.
pub(crate) const FRAME_BYTES_MAX: usize = 64 << 20;
/// What a pipe holds, as a rule.
const READ_BYTES: usize = 64 << 10;
/// A buffer that one large frame has made larger than this is given back.
const KEEP_BYTES: usize = 1 << 20;

/// What comes next in a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A whole line; only the last one of a stream may have no line feed.
    Whole(&'a [u8]),
    /// A part of a line that is too long to be read along.
    Part(&'a [u8], Part),
    /// Nothing: the other end has closed.
    End,
}

/// Whether more of a line comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    More,
    Last,
}

/// Cuts a stream.
#[derive(Debug)]
pub(crate) struct Frames<R> {
    reader: R,
    buffer: Vec<u8>,
    /// How much of the buffer was read.
    filled: usize,
    /// How much of that was given out.
    given: usize,
    /// How much of it has no line feed, given out or not.
    searched: usize,
    bytes_max: usize,
    /// Whether the line that is given out now began in an earlier part.
    inside: bool,
    ended: bool,
}

// === impl Frames ===

impl<R: Read> Frames<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self::with_max(reader, FRAME_BYTES_MAX)
    }

    fn with_max(reader: R, bytes_max: usize) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            filled: 0,
            given: 0,
            searched: 0,
            bytes_max,
            inside: false,
            ended: false,
        }
    }

    /// Waits for the next frame.
    pub(crate) fn next(&mut self) -> io::Result<Frame<'_>> {
        loop {
            let found = memchr::memchr(b'\n', &self.buffer[self.searched..self.filled]);
            if let Some(offset) = found {
                return Ok(self.give(self.searched + offset + 1, true));
            }
            self.searched = self.filled;
            let waiting = self.filled - self.given;
            if self.ended && waiting == 0 {
                return Ok(Frame::End);
            }
            if self.ended {
                return Ok(self.give(self.filled, true));
            }
            if waiting > 0 && (self.inside || waiting >= self.bytes_max) {
                return Ok(self.give(self.filled, false));
            }
            self.read()?;
        }
    }

    /// Gives out all up to `end`, which is the end of a line if it is `last`.
    fn give(&mut self, end: usize, last: bool) -> Frame<'_> {
        let from = std::mem::replace(&mut self.given, end);
        self.searched = end;
        let inside = std::mem::replace(&mut self.inside, !last);
        let bytes = &self.buffer[from..end];
        match (inside, last) {
            (false, true) => Frame::Whole(bytes),
            (_, true) => Frame::Part(bytes, Part::Last),
            (_, false) => Frame::Part(bytes, Part::More),
        }
    }

    fn read(&mut self) -> io::Result<()> {
        if self.given > 0 {
            // Behind the last frame there is seldom much: moving it costs less than a second buffer.
            self.buffer.copy_within(self.given..self.filled, 0);
            self.filled -= self.given;
            self.searched -= self.given;
            self.given = 0;
        }
        if self.filled == 0 && self.buffer.len() > KEEP_BYTES {
            self.buffer.truncate(READ_BYTES);
            self.buffer.shrink_to_fit();
        }
        let filled = self.filled;
        if self.buffer.len() < filled + READ_BYTES {
            self.buffer.resize(filled + READ_BYTES, 0);
        }
        let read = loop {
            match self.reader.read(&mut self.buffer[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        let read = read?;
        self.filled += read;
        self.ended = read == 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};

    use proptest::prelude::*;

    use super::{Frame, Frames, Part};

    /// Gives out its text in pieces of these lengths.
    struct Pieces<'a>(&'a [u8], Vec<usize>);

    impl Read for Pieces<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let length = self.1.pop().unwrap_or(3).clamp(1, into.len()).min(self.0.len());
            into[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    fn cut(text: &[u8], pieces: Vec<usize>, bytes_max: usize) -> Vec<(Vec<u8>, Option<Part>)> {
        let mut frames = Frames::with_max(Pieces(text, pieces), bytes_max);
        let mut found = Vec::new();
        loop {
            match frames.next().unwrap() {
                Frame::Whole(bytes) => found.push((bytes.to_vec(), None)),
                Frame::Part(bytes, part) => found.push((bytes.to_vec(), Some(part))),
                Frame::End => return found,
            }
        }
    }

    #[test]
    fn lines_keep_their_ends_and_long_ones_come_in_parts() {
        let found = cut(b"one\r\n\n0123456789\nend", vec![100], 99);
        let whole = |text: &str| (text.as_bytes().to_vec(), None);
        assert_eq!(found, [whole("one\r\n"), whole("\n"), whole("0123456789\n"), whole("end")]);
        let found = cut(b"a\n0123456789\nb\n", Vec::new(), 6);
        let part = |text: &str, part| (text.as_bytes().to_vec(), Some(part));
        let (more, last) = (Part::More, Part::Last);
        assert_eq!(found[0], whole("a\n"));
        assert_eq!(found[1], part("0123456", more));
        assert_eq!(found.last(), Some(&whole("b\n")));
        let cut_short = cut(b"0123456789", vec![7], 6);
        assert_eq!(cut_short, [part("0123456", more), part("789", more)]);
        assert_eq!(cut(b"0123456\n", vec![7, 7], 6).last(), Some(&part("\n", last)));
    }

    proptest! {
        /// Whatever comes in however many pieces goes out whole, in order, and no frame has a line feed inside.
        #[test]
        fn every_byte_goes_out(
            text in "[ab\n]{0,60}",
            pieces in proptest::collection::vec(1_usize..9, 0..30),
            bytes_max in 1_usize..12,
        ) {
            let found = cut(text.as_bytes(), pieces, bytes_max);
            let all: Vec<u8> = found.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
            prop_assert_eq!(all, text.as_bytes());
            for (bytes, _) in &found {
                prop_assert!(!bytes.is_empty() && !bytes[..bytes.len() - 1].contains(&b'\n'));
            }
        }
    }
}
