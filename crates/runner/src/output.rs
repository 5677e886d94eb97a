//! Owns the output of a unit: it goes through the runner into a file, so that a flood neither fills the disk nor
//! ends the unit.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How much is read at once: what a pipe holds.
const BUFFER_BYTES: usize = 64 << 10;

/// How often a pipe is read after the unit has ended. A pipe holds at most 1 MiB by default; whoever still writes
/// could not be ended, and must not keep the runner.
const DRAIN_READS_MAX: u32 = 64;

/// One output stream of a unit.
#[derive(Debug)]
pub(crate) struct Output {
    /// `None` once all writers have closed it.
    pipe: Option<File>,
    file: File,
    bytes: u64,
    kept: u64,
    kept_max: u64,
}

/// What came of reading once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Some,
    /// Nothing now.
    Dry,
    Closed,
}

// === impl Output ===

impl Output {
    /// Reads from `pipe` into `file`, which gets at most `kept_max` bytes.
    pub(crate) fn new(pipe: OwnedFd, file: File, kept_max: u64) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok(Self { pipe: Some(pipe.into()), file, bytes: 0, kept: 0, kept_max })
    }

    /// Returns what to wait on, if there may be more.
    pub(crate) fn source(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Reads what is there, once.
    pub(crate) fn pump(&mut self) {
        self.read();
    }

    /// Reads all that is there, without waiting for more.
    pub(crate) fn drain(&mut self) {
        for _ in 0..DRAIN_READS_MAX {
            if self.read() != Flow::Some {
                return;
            }
        }
    }

    /// Returns how many bytes were written to the stream.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Says whether some of them are not in the file.
    pub(crate) fn is_truncated(&self) -> bool {
        self.kept < self.bytes
    }

    fn read(&mut self) -> Flow {
        let Some(pipe) = &mut self.pipe else { return Flow::Closed };
        let mut buffer = [0; BUFFER_BYTES];
        match pipe.read(&mut buffer) {
            Ok(0) => {
                self.pipe = None;
                Flow::Closed
            }
            Ok(count) => {
                self.keep(&buffer[..count]);
                Flow::Some
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Flow::Some,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Flow::Dry,
            Err(_) => {
                self.pipe = None;
                Flow::Closed
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let room = usize::try_from(self.kept_max - self.kept).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(room)];
        // On a full disk the output is cut; the unit and its outcome are worth more.
        match self.file.write_all(bytes) {
            Ok(()) => self.kept += bytes.len() as u64,
            Err(_) => self.kept_max = self.kept,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;
    use std::os::fd::OwnedFd;

    use super::Output;

    #[test]
    fn keeps_the_beginning_and_counts_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stdout");
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut output = Output::new(OwnedFd::from(reader), File::create(&path).unwrap(), 10).unwrap();
        output.drain();
        assert_eq!((output.bytes(), output.is_truncated()), (0, false));
        writer.write_all(b"0123456").unwrap();
        output.pump();
        assert_eq!((output.bytes(), output.is_truncated()), (7, false));
        writer.write_all(b"789abc").unwrap();
        drop(writer);
        output.drain();
        assert!(output.source().is_none());
        assert_eq!((output.bytes(), output.is_truncated()), (13, true));
        assert_eq!(fs::read(&path).unwrap(), b"0123456789");
    }
}
