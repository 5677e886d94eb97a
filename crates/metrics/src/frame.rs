//! Owns the frame of records on disk: how long one is, and whether it is what was written.
//!
//! ```text
//! file    8 bytes of what it is, version u32, then records      all numbers little-endian
//! record  length u32, CRC-32 of the payload u32, payload
//! ```

use std::io::{self, Read};

/// A record is one scrape or one series; a length beyond this is not one that we wrote.
const RECORD_BYTES_MAX: u32 = 256 << 20;
/// What stands in front of a payload.
pub(crate) const FRAME_BYTES: usize = 8;
/// What stands in front of the records.
pub(crate) const HEADER_BYTES: usize = 12;

const CRC: [u32; 256] = crc_table();

/// Why a file cannot be read, or not to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The file ends within a record, or within its header.
    Torn,
    /// A record is not what was written.
    Corrupt,
    /// Not a file of ours.
    Foreign,
    /// A later version of this program has written it.
    Newer(u32),
    /// It could not be read.
    Unreadable(String),
}

/// Reads the records of a file.
pub(crate) struct Records<R> {
    file: R,
    payload: Vec<u8>,
    /// How many bytes of the file were whole so far.
    pub(crate) whole_bytes: u64,
}

/// Returns the beginning of a file.
pub(crate) fn header(magic: &[u8; 8], version: u32) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(magic);
    header[8..].copy_from_slice(&version.to_le_bytes());
    header
}

/// Adds a record whose payload `write` adds; none if that adds nothing.
pub(crate) fn put(bytes: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = bytes.len();
    bytes.extend([0; FRAME_BYTES]);
    write(bytes);
    let payload = &bytes[start + FRAME_BYTES..];
    if payload.is_empty() {
        return bytes.truncate(start);
    }
    // No caller comes near 4 GiB: the buffers that records are made of are bounded.
    let (length, crc) = (payload.len() as u32, crc(payload));
    bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
    bytes[start + 4..start + FRAME_BYTES].copy_from_slice(&crc.to_le_bytes());
}

// === impl Records ===

impl<R: Read> Records<R> {
    /// Reads the header.
    pub(crate) fn open(mut file: R, magic: &[u8; 8], version: u32) -> Result<Self, Broken> {
        let mut header = [0; HEADER_BYTES];
        fill(&mut file, &mut header)?;
        let (found, number) = header.split_at(8);
        if found != magic {
            return Err(Broken::Foreign);
        }
        let number = u32::from_le_bytes(number.try_into().unwrap_or_default());
        if number > version {
            return Err(Broken::Newer(number));
        }
        Ok(Self { file, payload: Vec::new(), whole_bytes: HEADER_BYTES as u64 })
    }

    /// Returns the next payload; nothing at the end of the file.
    pub(crate) fn take(&mut self) -> Result<Option<&[u8]>, Broken> {
        let mut frame = [0; FRAME_BYTES];
        match self.file.read(&mut frame[..1]) {
            Ok(0) => return Ok(None),
            Ok(_) => fill(&mut self.file, &mut frame[1..])?,
            Err(error) => return Err(Broken::Unreadable(error.to_string())),
        }
        let (length, crc_written) = frame.split_at(4);
        let length = u32::from_le_bytes(length.try_into().unwrap_or_default());
        let crc_written = u32::from_le_bytes(crc_written.try_into().unwrap_or_default());
        if length > RECORD_BYTES_MAX || length == 0 {
            return Err(Broken::Corrupt);
        }
        self.payload.clear();
        // What the length promises need not be there: no memory for it before it has arrived.
        let mut promised = Read::take(&mut self.file, u64::from(length));
        promised.read_to_end(&mut self.payload).map_err(|error| Broken::Unreadable(error.to_string()))?;
        if self.payload.len() < length as usize {
            return Err(Broken::Torn);
        }
        if crc(&self.payload) != crc_written {
            return Err(Broken::Corrupt);
        }
        self.whole_bytes += FRAME_BYTES as u64 + u64::from(length);
        Ok(Some(&self.payload))
    }
}

fn fill(file: &mut impl Read, bytes: &mut [u8]) -> Result<(), Broken> {
    file.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Broken::Torn,
        _ => Broken::Unreadable(error.to_string()),
    })
}

/// CRC-32 as in zip and Ethernet.
fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| CRC[usize::from(crc as u8 ^ byte)] ^ (crc >> 8);
    !bytes.iter().fold(u32::MAX, step)
}

const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: &[u8; 8] = b"TESTTEST";

    fn read(bytes: &[u8]) -> (Vec<Vec<u8>>, Option<Broken>) {
        let mut payloads = Vec::new();
        let mut records = match Records::open(bytes, MAGIC, 1) {
            Ok(records) => records,
            Err(broken) => return (payloads, Some(broken)),
        };
        loop {
            match records.take() {
                Ok(Some(payload)) => payloads.push(payload.to_vec()),
                Ok(None) => return (payloads, None),
                Err(broken) => return (payloads, Some(broken)),
            }
        }
    }

    fn file() -> Vec<u8> {
        let mut bytes = header(MAGIC, 1).to_vec();
        for payload in [&b"one"[..], b"", b"twotwo"] {
            put(&mut bytes, |bytes| bytes.extend_from_slice(payload));
        }
        bytes
    }

    #[test]
    fn the_check_is_the_usual_one() {
        assert_eq!(crc(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_cut_costs_what_was_cut() {
        let whole = file();
        for length in 0..=whole.len() {
            let (payloads, broken) = read(&whole[..length]);
            let expected = if length >= 37 { 2 } else { usize::from(length >= 23) };
            assert_eq!(payloads.len(), expected, "{length}");
            let at_end = [12, 23, 37].contains(&length);
            assert_eq!(broken, (!at_end).then_some(Broken::Torn), "{length}");
        }
    }

    #[test]
    fn no_bit_changes_unseen() {
        let whole = file();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let (payloads, broken) = read(&bytes);
            // The version may seem to be an older one.
            assert!(broken.is_some() || bit / 8 == 8, "bit {bit}");
            assert!(payloads.iter().all(|payload| payload == b"one" || payload == b"twotwo"), "bit {bit}");
        }
    }

    #[test]
    fn what_is_not_ours_is_told_from_what_is_newer() {
        assert_eq!(read(b"something else").1, Some(Broken::Foreign));
        assert_eq!(read(&header(MAGIC, 2)).1, Some(Broken::Newer(2)));
    }
}
