//! Owns where a body ends: after its length, after its last chunk, or with its connection.
//!
//! Chunks are `SIZE[;EXTENSION]\r\n`, so many bytes, `\r\n`; the last has the size 0 and is followed by trailers and an
//! empty line. Sizes are hexadecimal digits; lines end with `\r\n` and nothing else. Extensions and trailers say nothing in
//! this protocol and are dropped.

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderName, HeaderValue};
use memchr::memchr;

use super::head::Malformed;

/// What a line between chunks may have, and what all trailers may.
const LINE_BYTES_MAX: usize = 4 << 10;
const TRAILERS_BYTES_MAX: usize = 16 << 10;
/// Digits of the largest size that there can be.
const SIZE_DIGITS_MAX: usize = 16;

/// How much of a body is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes.
    Length(u64),
    Chunked(Chunked),
    /// Everything that comes.
    UntilClose,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunked {
    Size,
    /// So many bytes of a chunk.
    Data(u64),
    /// The line end behind a chunk.
    End,
    /// A trailer or the empty line, and how much the trailers have had so far.
    Trailers(usize),
    Over,
}

// === impl Framing ===

impl Framing {
    pub(crate) fn chunked() -> Self {
        Self::Chunked(Chunked::Size)
    }

    /// Whether the body has been taken to its end.
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunked::Over))
    }

    /// How many bytes are still to come, where that is known.
    pub(crate) fn left(self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(left),
            Self::Chunked(Chunked::Over) => Some(0),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }

    /// Takes the next part of the body off the buffer, and whatever stands behind it that is no body; none where nothing
    /// of the body has come.
    pub(crate) fn take(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, Malformed> {
        let most = match self {
            Self::Length(left) => *left,
            Self::UntilClose => u64::MAX,
            Self::Chunked(state) => {
                state.advance(buffer)?;
                if let Chunked::Data(left) = state { *left } else { 0 }
            }
        };
        let bytes = usize::try_from(most).unwrap_or(usize::MAX).min(buffer.len());
        if bytes == 0 {
            return Ok(None);
        }
        let part = buffer.split_to(bytes).freeze();
        match self {
            Self::Length(left) | Self::Chunked(Chunked::Data(left)) => *left -= bytes as u64,
            Self::Chunked(_) | Self::UntilClose => {}
        }
        Ok(Some(part))
    }

    /// Takes off the buffer what stands before the next part, so that a body that is over is known to be.
    pub(crate) fn settle(&mut self, buffer: &mut BytesMut) -> Result<(), Malformed> {
        match self {
            Self::Chunked(state) => state.advance(buffer),
            Self::Length(_) | Self::UntilClose => Ok(()),
        }
    }
}

// === impl Chunked ===

impl Chunked {
    /// Reads lines until there is data, or the end, or no whole line.
    fn advance(&mut self, buffer: &mut BytesMut) -> Result<(), Malformed> {
        loop {
            *self = match *self {
                Self::Data(0) => Self::End,
                Self::Data(_) | Self::Over => return Ok(()),
                Self::Size => match line(buffer)? {
                    Some(bytes) => {
                        let size = size(&buffer[..bytes])?;
                        buffer.advance(bytes + 2);
                        if size == 0 { Self::Trailers(0) } else { Self::Data(size) }
                    }
                    None => return Ok(()),
                },
                Self::End => match line(buffer)? {
                    Some(0) => {
                        buffer.advance(2);
                        Self::Size
                    }
                    Some(_) => return Err(Malformed("a chunk is longer than it says")),
                    None if buffer.first().is_some_and(|byte| *byte != b'\r') => {
                        return Err(Malformed("a chunk is longer than it says"));
                    }
                    None => return Ok(()),
                },
                Self::Trailers(before) => match line(buffer)? {
                    Some(bytes) => {
                        if bytes > 0 && !is_header(&buffer[..bytes]) {
                            return Err(Malformed("one of its trailers is none"));
                        }
                        buffer.advance(bytes + 2);
                        match (bytes, before + bytes) {
                            (0, _) => Self::Over,
                            (_, all) if all > TRAILERS_BYTES_MAX => {
                                return Err(Malformed("its trailers are longer than 16 KiB"));
                            }
                            (_, all) => Self::Trailers(all),
                        }
                    }
                    None => return Ok(()),
                },
            };
        }
    }
}

/// How many bytes the first line has, without its end; none where that has not come.
fn line(buffer: &[u8]) -> Result<Option<usize>, Malformed> {
    let within = &buffer[..buffer.len().min(LINE_BYTES_MAX)];
    match memchr(b'\n', within) {
        Some(end) if end > 0 && within[end - 1] == b'\r' && memchr(b'\r', within) == Some(end - 1) => {
            Ok(Some(end - 1))
        }
        Some(_) => Err(Malformed("a line between its chunks does not end as it has to")),
        None if within.len() == LINE_BYTES_MAX => Err(Malformed("a line between its chunks is too long")),
        None => Ok(None),
    }
}

/// Whether a line is a name and a value, as a header is.
fn is_header(line: &[u8]) -> bool {
    let colon = memchr(b':', line);
    colon.is_some_and(|colon| {
        let value = line[colon + 1..].trim_ascii();
        HeaderName::from_bytes(&line[..colon]).is_ok() && HeaderValue::from_bytes(value).is_ok()
    })
}

/// The size of a chunk; behind it there may be an extension.
fn size(line: &[u8]) -> Result<u64, Malformed> {
    let wrong = Malformed("the size of a chunk is none");
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let behind = line[digits..].iter().find(|byte| !matches!(byte, b' ' | b'\t'));
    if !(1..=SIZE_DIGITS_MAX).contains(&digits) || behind.is_some_and(|byte| *byte != b';') {
        return Err(wrong);
    }
    let text = std::str::from_utf8(&line[..digits]).map_err(|_| wrong)?;
    u64::from_str_radix(text, 16).map_err(|_| wrong)
}
