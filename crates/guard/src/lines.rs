//! Owns reading lines of bounded length from a pipe or socket.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// A buffer that one long line has made larger than this is given back.
const KEEP_BYTES: usize = 256 << 10;

/// What was read into the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A line, without its line feed; the last one may have had none.
    Whole,
    /// The beginning of a line that is too long; its rest was skipped.
    Cut,
    /// Nothing: the other end has closed.
    End,
}

/// Reads the next line into `line`, keeping at most `bytes_max` of it.
pub(crate) async fn next_line<R: AsyncBufRead + Unpin>(
    reader: &mut R,
    line: &mut Vec<u8>,
    bytes_max: usize,
) -> io::Result<Line> {
    line.clear();
    line.shrink_to(KEEP_BYTES);
    let (mut read, mut cut) = (0, false);
    loop {
        let available = reader.fill_buf().await?;
        if available.is_empty() {
            return Ok(match (read, cut) {
                (0, _) => Line::End,
                (_, true) => Line::Cut,
                (_, false) => Line::Whole,
            });
        }
        let feed = available.iter().position(|byte| *byte == b'\n');
        let part = &available[..feed.unwrap_or(available.len())];
        let room = bytes_max - line.len();
        line.extend_from_slice(&part[..part.len().min(room)]);
        cut |= part.len() > room;
        let used = part.len() + usize::from(feed.is_some());
        reader.consume(used);
        read += used;
        if feed.is_some() {
            return Ok(if cut { Line::Cut } else { Line::Whole });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::BufReader;

    use super::{Line, next_line};

    #[tokio::test]
    async fn lines_are_bounded() {
        let text = b"one\n\ntwelve bytes!\nfour\nend".as_slice();
        // A buffer smaller than a line shows that parts are put together.
        let mut reader = BufReader::with_capacity(3, text);
        let mut line = Vec::new();
        for (kind, expect) in [
            (Line::Whole, "one"),
            (Line::Whole, ""),
            (Line::Cut, "twelv"),
            (Line::Whole, "four"),
            (Line::Whole, "end"),
            (Line::End, ""),
            (Line::End, ""),
        ] {
            assert_eq!(next_line(&mut reader, &mut line, 5).await.unwrap(), kind, "{expect}");
            assert_eq!(line, expect.as_bytes());
        }
    }
}
