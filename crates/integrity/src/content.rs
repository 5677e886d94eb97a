//! Owns reading the content of a file: its digests, at a bounded rate, and whether it changed meanwhile.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::hex::Hex;

/// Read at once by each thread; large enough for BLAKE3 to share it among threads.
const PIECE_BYTES: usize = 1 << 20;
/// From here on several threads hash one file; below, each thread has a file of its own.
const SHARED_BYTES_MIN: u64 = 8 << 20;

/// How fast files are read, all threads together.
#[derive(Debug)]
pub struct Throttle {
    bytes_per_second: u64,
    /// Up to when what was read so far is paid for.
    paid_until: Mutex<Option<Instant>>,
}

/// How far a look at a tree is: for whoever waits for it.
#[derive(Debug, Default)]
pub struct Progress {
    entries: AtomicU64,
    bytes: AtomicU64,
}

/// Digests of one content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digests {
    pub(crate) bytes: u64,
    /// The first bytes, which tell some formats; zeros after the end.
    pub(crate) head: [u8; 16],
    pub(crate) blake3: Hex<32>,
    pub(crate) sha256: Option<Hex<32>>,
}

// === impl Throttle ===

impl Throttle {
    /// Bytes a second at most; `None` is as fast as it goes.
    pub fn new(bytes_per_second: Option<u64>) -> Option<Self> {
        let bytes_per_second = bytes_per_second?.max(1);
        Some(Self { bytes_per_second, paid_until: Mutex::new(None) })
    }

    /// Waits as long as so many bytes take.
    pub(crate) fn pay(&self, bytes: usize) {
        let cost = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        let now = Instant::now();
        let wait = {
            let mut paid_until = self.paid_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let from = paid_until.map_or(now, |until| until.max(now));
            *paid_until = Some(from + cost);
            from - now
        };
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
    }
}

// === impl Progress ===

impl Progress {
    /// Things that were seen, and bytes that were read.
    pub fn so_far(&self) -> (u64, u64) {
        (self.entries.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    pub(crate) fn seen(&self, entries: u64) {
        self.entries.fetch_add(entries, Ordering::Relaxed);
    }
}

/// Reads a file to its end.
pub(crate) fn digests(
    file: &mut File,
    size: u64,
    with_sha256: bool,
    throttle: Option<&Throttle>,
    progress: Option<&Progress>,
) -> io::Result<Digests> {
    let (mut blake3, mut sha256) = (blake3::Hasher::new(), with_sha256.then(Sha256::new));
    let piece_bytes = if size >= SHARED_BYTES_MIN { PIECE_BYTES * 4 } else { PIECE_BYTES };
    // A small file takes a small buffer: there are a hundred thousand of them.
    let mut piece =
        vec![0; piece_bytes.min(usize::try_from(size).unwrap_or(usize::MAX).saturating_add(1)).max(4096)];
    let (mut bytes, mut head) = (0, [0; 16]);
    loop {
        let n = match file.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let read = &piece[..n];
        if size >= SHARED_BYTES_MIN {
            blake3.update_rayon(read);
        } else {
            blake3.update(read);
        }
        if let Some(sha256) = &mut sha256 {
            sha256.update(read);
        }
        for (kept, byte) in head.iter_mut().skip(usize::try_from(bytes).unwrap_or(usize::MAX)).zip(read) {
            *kept = *byte;
        }
        bytes += n as u64;
        if let Some(progress) = progress {
            progress.bytes.fetch_add(n as u64, Ordering::Relaxed);
        }
        if let Some(throttle) = throttle {
            throttle.pay(n);
        }
    }
    let sha256 = sha256.map(|state| Hex(state.finalize().into()));
    Ok(Digests { bytes, head, blake3: Hex(*blake3.finalize().as_bytes()), sha256 })
}

/// BLAKE3 of some bytes.
pub fn digest_of(bytes: &[u8]) -> Hex<32> {
    Hex(*blake3::hash(bytes).as_bytes())
}
