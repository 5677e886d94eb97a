//! Owns reading the content of a file: its digests, at a bounded rate, on all threads where it is large.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use blake3::hazmat::{ChainingValue, HasherExt as _, Mode, left_subtree_len};
use blake3::hazmat::{merge_subtrees_non_root, merge_subtrees_root};
use sha2::{Digest as _, Sha256};

use crate::hex::Hex;

/// Read at once from a file that one thread reads alone.
const PIECE_BYTES: usize = 1 << 20;
/// From here on several threads read one file; below, each thread has a file of its own.
const SHARED_BYTES_MIN: u64 = 8 << 20;
/// Read at once where they share one: what was read is still in the processor's cache when it is hashed.
const SHARED_PIECE_BYTES: u64 = 256 << 10;
/// Threads read near each other, so that a disk that seeks is read almost in order: within so many bytes.
const WINDOW_BYTES: u64 = 32 << 20;

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

/// Reads a file to its end. `size` is what it had a moment ago.
pub(crate) fn digests(
    file: &mut File,
    size: u64,
    with_sha256: bool,
    throttle: Option<&Throttle>,
    progress: Option<&Progress>,
) -> io::Result<Digests> {
    let reading = Reading { throttle, progress };
    // SHA-256 has one order, that of the file.
    if size >= SHARED_BYTES_MIN && !with_sha256 {
        match reading.on_all_threads(file, size) {
            // It has become shorter.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            read => return read,
        }
    }
    reading.in_order(file, size, with_sha256)
}

/// How a file is read: what is paid for each piece, and where it is counted.
#[derive(Clone, Copy)]
struct Reading<'a> {
    throttle: Option<&'a Throttle>,
    progress: Option<&'a Progress>,
}

impl Reading<'_> {
    fn count(self, bytes: usize) {
        if let Some(progress) = self.progress {
            progress.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        if let Some(throttle) = self.throttle {
            throttle.pay(bytes);
        }
    }

    fn in_order(self, file: &mut File, size: u64, with_sha256: bool) -> io::Result<Digests> {
        let (mut blake3, mut sha256) = (blake3::Hasher::new(), with_sha256.then(Sha256::new));
        // A small file takes a small buffer: there are a hundred thousand of them.
        let wanted = usize::try_from(size).unwrap_or(usize::MAX).saturating_add(1);
        let mut piece = vec![0; PIECE_BYTES.min(wanted).max(4096)];
        let (mut bytes, mut head) = (0, [0; 16]);
        loop {
            let n = match file.read(&mut piece) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let read = &piece[..n];
            blake3.update(read);
            if let Some(sha256) = &mut sha256 {
                sha256.update(read);
            }
            for (kept, byte) in head.iter_mut().skip(usize::try_from(bytes).unwrap_or(usize::MAX)).zip(read) {
                *kept = *byte;
            }
            bytes += n as u64;
            self.count(n);
        }
        let sha256 = sha256.map(|state| Hex(state.finalize().into()));
        Ok(Digests { bytes, head, blake3: Hex(*blake3.finalize().as_bytes()), sha256 })
    }

    /// Reads so many bytes, more than a piece: BLAKE3 is a tree, and each thread takes branches of it.
    ///
    /// The file is not mapped: a mapped one that somebody makes shorter would end this process.
    fn on_all_threads(self, file: &File, bytes: u64) -> io::Result<Digests> {
        let mut head = [0; 16];
        file.read_exact_at(&mut head, 0)?;
        let (left, right) = self.children(file, 0, bytes)?;
        let blake3 = merge_subtrees_root(&left, &right, Mode::Hash);
        Ok(Digests { bytes, head, blake3: Hex(*blake3.as_bytes()), sha256: None })
    }

    fn children(self, file: &File, offset: u64, bytes: u64) -> io::Result<(ChainingValue, ChainingValue)> {
        let left_bytes = left_subtree_len(bytes);
        let left = || self.branch(file, offset, left_bytes);
        let right = || self.branch(file, offset + left_bytes, bytes - left_bytes);
        if bytes > WINDOW_BYTES {
            return Ok((left()?, right()?));
        }
        let (left, right) = rayon::join(left, right);
        Ok((left?, right?))
    }

    fn branch(self, file: &File, offset: u64, bytes: u64) -> io::Result<ChainingValue> {
        thread_local! {
            static PIECE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        if bytes > SHARED_PIECE_BYTES {
            let (left, right) = self.children(file, offset, bytes)?;
            return Ok(merge_subtrees_non_root(&left, &right, Mode::Hash));
        }
        let value = PIECE.with_borrow_mut(|piece| {
            piece.resize(bytes as usize, 0);
            file.read_exact_at(piece, offset)?;
            io::Result::Ok(blake3::Hasher::new().set_input_offset(offset).update(piece).finalize_non_root())
        })?;
        self.count(bytes as usize);
        Ok(value)
    }
}

/// BLAKE3 of some bytes.
pub fn digest_of(bytes: &[u8]) -> Hex<32> {
    Hex(*blake3::hash(bytes).as_bytes())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(bytes: u64) -> (File, Vec<u8>) {
        let content: Vec<u8> = (0..bytes).map(|n| (n ^ n >> 8 ^ n >> 16) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        (file, content)
    }

    #[test]
    fn on_all_threads_or_one_the_digest_is_that_of_the_content() {
        let near = |bytes: u64| [bytes - 1, bytes, bytes + 1, bytes + 1025];
        let sizes = [SHARED_BYTES_MIN, WINDOW_BYTES].into_iter().flat_map(near);
        for bytes in sizes.chain([0, 1, 15, 16, 4096, 3 * SHARED_PIECE_BYTES]) {
            let (mut file, content) = file(bytes);
            let progress = Progress::default();
            let found = digests(&mut file, bytes, false, None, Some(&progress)).unwrap();
            assert_eq!(found.blake3, digest_of(&content), "{bytes}");
            assert_eq!((found.bytes, progress.so_far().1), (bytes, bytes));
            let n = content.len().min(16);
            assert_eq!((&found.head[..n], &found.head[n..]), (&content[..n], &[0; 16][n..]), "{bytes}");
        }
    }

    #[test]
    fn a_file_that_has_become_shorter_is_read_to_its_end() {
        let (mut file, content) = file(SHARED_BYTES_MIN);
        let found = digests(&mut file, SHARED_BYTES_MIN * 2, false, None, None).unwrap();
        assert_eq!((found.bytes, found.blake3), (SHARED_BYTES_MIN, digest_of(&content)));
        io::Seek::rewind(&mut file).unwrap();
        let found = digests(&mut file, SHARED_BYTES_MIN, true, None, None).unwrap();
        assert_eq!(
            (found.blake3, found.sha256.unwrap().0),
            (digest_of(&content), Sha256::digest(&content).into())
        );
    }
}
