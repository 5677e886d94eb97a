//! Owns opening an archive: tar in zstd or in gzip, told apart by their first bytes, with bounded memory; and its sum.

use std::error::Error as _;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};
use tar::Archive;
use zstd::stream::read::Decoder;

use super::catalogue::Sum;
use crate::hex::Hex;

/// Memory that a frame of zstd may ask for: 128 MiB, the most that our own level can.
const WINDOW_LOG_MAX: u32 = 27;
/// How an archive in gzip begins.
const GZIP: &[u8] = &[0x1f, 0x8b];
/// Programs fill the last block of a tar with zeros: 10 KiB, or what was asked of them.
const PADDING_BYTES_MAX: u64 = 1 << 20;
/// Read at once.
const PIECE_BYTES: usize = 1 << 20;

/// The tar in an archive.
pub(super) type Bytes = Box<dyn Read>;

/// Opens an archive.
pub(super) fn open(path: &Path) -> io::Result<Archive<Bytes>> {
    let mut file = BufReader::with_capacity(PIECE_BYTES, File::open(path)?);
    let bytes: Bytes = if file.fill_buf()?.starts_with(GZIP) {
        Box::new(MultiGzDecoder::new(file))
    } else {
        let mut decoder = Decoder::with_buffer(file)?;
        decoder.window_log_max(WINDOW_LOG_MAX)?;
        Box::new(decoder)
    };
    Ok(Archive::new(bytes))
}

/// Reads what is behind the last member: only at its end does gzip say whether all of it was right.
pub(super) fn end(archive: Archive<Bytes>) -> io::Result<()> {
    let behind = io::copy(&mut archive.into_inner().take(PADDING_BYTES_MAX + 1), &mut io::sink())?;
    match behind {
        0..=PADDING_BYTES_MAX => Ok(()),
        _ => Err(io::Error::other("something is behind its end")),
    }
}

/// The size and the SHA-256 of an archive.
pub(super) fn sum(path: &Path) -> io::Result<Sum> {
    let mut file = File::open(path)?;
    let (mut hasher, mut piece, mut bytes) = (Sha256::new(), vec![0; PIECE_BYTES], 0);
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(Sum { bytes, sha256: Hex(hasher.finalize().into()) }),
            Ok(n) => {
                hasher.update(&piece[..n]);
                bytes += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether reading failed below the archive, which says nothing about it.
pub(super) fn is_of_the_disk(error: &io::Error) -> bool {
    let mut below = error.source();
    let from_kernel = |error: &io::Error| error.raw_os_error().is_some();
    while let Some(error) = below {
        if error.downcast_ref::<io::Error>().is_some_and(from_kernel) {
            return true;
        }
        below = error.source();
    }
    from_kernel(error) || error.get_ref().and_then(|error| error.downcast_ref()).is_some_and(from_kernel)
}
