//! Owns the archive: tar (POSIX.1-1988) in zstd, each entry in a frame of its own, so that damage to one item is damage to that
//! one only and any of them can be read without the others. `tar --zstd -x` reads it.
//!
//! Entries have owner 0, mode 0600 and no time: what the files were is in the manifest. Only regular files, named plainly, of at
//! most [`ITEM_BYTES_MAX`]; then one frame of 1,024 zero bytes. Whatever else is found in an archive was not put there by us.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

use crate::Digest;

/// The most that one item may have, before it is compressed.
pub const ITEM_BYTES_MAX: u64 = 64 << 20;

/// Faster than the disk, and half of what is collected is text that shrinks to a tenth.
const LEVEL: i32 = 1;
/// 128 MiB, the most that our own frames could ask for; a frame that asks for more is not read.
const WINDOW_LOG_MAX: u32 = 27;
const BLOCK: usize = 512;
/// Copied and summed at once.
const CHUNK_BYTES: usize = 64 << 10;

/// A frame of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where it begins.
    pub at: u64,
    /// What it holds, or why that cannot be said.
    pub content: Result<Content, String>,
}

/// What a frame holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// An item.
    Item {
        /// Its name.
        name: String,
        /// Its size.
        bytes: u64,
        /// Its sum.
        sha256: Digest,
    },
    /// The end of the archive.
    End,
}

/// The frame of an item.
pub(crate) fn frame(name: &str, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let header = header(name, bytes.len() as u64)?;
    let padding = bytes.len().next_multiple_of(BLOCK) - bytes.len();
    compress(&[header.as_bytes(), bytes, &[0; BLOCK][..padding]])
}

/// The last frame.
pub(crate) fn end() -> io::Result<Vec<u8>> {
    compress(&[&[0; 2 * BLOCK]])
}

/// Reads every frame of an archive of `length` bytes. Behind a frame that cannot be read it goes on at the next of `places`,
/// which are where frames should begin, ascending.
pub fn frames(reader: impl BufRead + Seek, length: u64, places: &[u64]) -> Vec<Frame> {
    let mut reader = Counted { inner: reader, at: 0 };
    let mut frames = Vec::new();
    while reader.at < length {
        let at = reader.at;
        let content = read_frame(&mut reader, None);
        let failed = content.is_err();
        frames.push(Frame { at, content });
        if failed {
            let next = places.iter().copied().find(|place| *place > at && *place < length);
            let Some(next) = next.filter(|next| reader.go_to(*next).is_ok()) else { break };
            debug_assert!(reader.at == next);
        }
    }
    frames
}

/// Reads the item whose frame begins at `at`.
///
/// # Errors
/// When there is no such frame, or it is damaged.
pub fn item(reader: impl BufRead + Seek, at: u64) -> Result<Vec<u8>, String> {
    let mut reader = Counted { inner: reader, at: 0 };
    reader.go_to(at).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    match read_frame(&mut reader, Some(&mut bytes))? {
        Content::Item { .. } => Ok(bytes),
        Content::End => Err("it is the end of the archive".to_owned()),
    }
}

fn header(name: &str, bytes: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_entry_type(EntryType::Regular);
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    Ok(header)
}

fn compress(parts: &[&[u8]]) -> io::Result<Vec<u8>> {
    let total: usize = parts.iter().map(|part| part.len()).sum();
    let mut encoder = zstd::stream::write::Encoder::new(Vec::with_capacity(total / 4), LEVEL)?;
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(Some(total as u64))?;
    for part in parts {
        io::Write::write_all(&mut encoder, part)?;
    }
    encoder.finish()
}

/// Reads one frame, which is all of one entry or the end.
fn read_frame(reader: &mut impl BufRead, mut into: Option<&mut Vec<u8>>) -> Result<Content, String> {
    let words = |error: io::Error| error.to_string();
    let mut decoder = zstd::stream::read::Decoder::with_buffer(reader).map_err(words)?.single_frame();
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(words)?;
    let mut block = [0; BLOCK];
    decoder.read_exact(&mut block).map_err(words)?;
    if block == [0; BLOCK] {
        return match rest_of_zeros(&mut decoder, BLOCK).map_err(words)? {
            true => Ok(Content::End),
            false => Err("something stands behind the end".to_owned()),
        };
    }
    let found = Header::from_byte_slice(&block);
    let bytes = found.entry_size().map_err(words)?;
    if bytes > ITEM_BYTES_MAX {
        return Err(format!("an item of {bytes} bytes; none has more than {ITEM_BYTES_MAX}"));
    }
    let name =
        String::from_utf8(found.path_bytes().into_owned()).map_err(|_| "its name is no text".to_owned())?;
    // Everything in a header follows from the name and the size: an owner, a mode or a time is not ours.
    if header(&name, bytes).map_err(words)?.as_bytes() != &block {
        return Err(format!("the header of `{}` is not as it is written", name.escape_debug()));
    }
    let (mut hasher, mut left) = (Sha256::new(), usize::try_from(bytes).map_err(|error| error.to_string())?);
    let mut chunk = vec![0; CHUNK_BYTES.min(left)];
    while left > 0 {
        let part = left.min(CHUNK_BYTES);
        decoder.read_exact(&mut chunk[..part]).map_err(words)?;
        hasher.update(&chunk[..part]);
        if let Some(into) = into.as_deref_mut() {
            into.extend_from_slice(&chunk[..part]);
        }
        left -= part;
    }
    let size = usize::try_from(bytes).unwrap_or(0);
    match rest_of_zeros(&mut decoder, size.next_multiple_of(BLOCK) - size).map_err(words)? {
        true => Ok(Content::Item { name, bytes, sha256: hasher.into() }),
        false => Err(format!("something stands behind `{name}`")),
    }
}

/// Whether exactly so many zero bytes are left, at most a block.
fn rest_of_zeros(reader: &mut impl Read, wanted: usize) -> io::Result<bool> {
    let mut rest = Vec::with_capacity(BLOCK + 1);
    reader.take(BLOCK as u64 + 1).read_to_end(&mut rest)?;
    Ok(rest.len() == wanted && rest.iter().all(|byte| *byte == 0))
}

/// Knows how far it has read.
struct Counted<R> {
    inner: R,
    at: u64,
}

// === impl Counted ===

impl<R: BufRead + Seek> Counted<R> {
    fn go_to(&mut self, at: u64) -> io::Result<()> {
        self.at = self.inner.seek(SeekFrom::Start(at))?;
        Ok(())
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into)?;
        self.at += length as u64;
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount as u64;
        self.inner.consume(amount);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::{any, prop};
    use proptest::proptest;

    use super::{Content, end, frame, frames, item};

    fn names(bytes: &[u8], places: &[u64]) -> Vec<String> {
        let name = |content| match content {
            Ok(Content::Item { name, .. }) => name,
            Ok(Content::End) => "the end".to_owned(),
            Err(_) => "damaged".to_owned(),
        };
        let found = frames(Cursor::new(bytes), bytes.len() as u64, places);
        found.into_iter().map(|frame| name(frame.content)).collect()
    }

    #[test]
    fn damage_to_one_item_leaves_the_others() {
        let parts = [
            frame("a", &[7; 1000]).unwrap(),
            frame("b", b"").unwrap(),
            frame("c", b"x").unwrap(),
            end().unwrap(),
        ];
        let whole = parts.concat();
        assert_eq!(names(&whole, &[]), ["a", "b", "c", "the end"]);
        let (b, c) = (parts[0].len(), parts[0].len() + parts[1].len());
        let places = [0, b as u64, c as u64];
        assert_eq!(item(Cursor::new(&whole), c as u64).unwrap(), b"x");
        for at in 0..parts[0].len() {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            let found = names(&altered, &places);
            assert!(
                found == ["damaged", "b", "c", "the end"] || found == ["a", "b", "c", "the end"],
                "{at}: {found:?}"
            );
        }
        assert_eq!(names(&whole[..c - 1], &places), ["a", "damaged"]);
    }

    proptest! {
        #[test]
        fn whatever_it_is_reading_ends(bytes in prop::collection::vec(any::<u8>(), 0..2000), at in 0_usize..3000) {
            let mut whole = [frame("a", &bytes).unwrap(), end().unwrap()].concat();
            frames(Cursor::new(&bytes), bytes.len() as u64, &[at as u64]);
            let place = at % whole.len();
            whole[place] = whole[place].wrapping_add(1);
            frames(Cursor::new(&whole), whole.len() as u64, &[at as u64]);
        }
    }
}
