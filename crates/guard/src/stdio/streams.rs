//! Owns writing to the two sides: frames stay whole, whoever writes them.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Beyond so many the oldest go: a server that reads nothing is not told everything.
const OWN_MAX: usize = 64;

/// The standard input of one server. Writing waits for as long as the server does not read.
#[derive(Debug)]
pub(crate) struct Inlet {
    inner: Mutex<In>,
    /// Frames of the guard's own that wait for their turn.
    own: Mutex<VecDeque<Vec<u8>>>,
    closing: AtomicBool,
}

#[derive(Debug)]
struct In {
    file: Option<File>,
    /// Whether a line was begun and is not ended.
    inside: bool,
}

/// The client's end: standard output, or what stands for it.
#[derive(Debug)]
pub(crate) struct Outlet {
    inner: Mutex<Out>,
}

#[derive(Debug)]
pub(crate) struct Out {
    file: File,
    /// Whether a line was begun and is not ended.
    inside: bool,
}

// === impl Inlet ===

impl Inlet {
    pub(crate) fn new(pipe: OwnedFd) -> Arc<Self> {
        let inner = Mutex::new(In { file: Some(pipe.into()), inside: false });
        Arc::new(Self { inner, own: Mutex::default(), closing: AtomicBool::new(false) })
    }

    /// Writes a frame, or the next part of one.
    ///
    /// # Errors
    /// When the server takes no more input. It has not got the whole frame then.
    pub(crate) fn write(&self, frame: &[u8]) -> io::Result<()> {
        let result = lock(&self.inner).write(frame);
        self.settle();
        result
    }

    /// Sends a short frame of the guard's own as soon as it is not in anybody's way. Never waits; a server that
    /// does not read never gets it.
    pub(crate) fn slip_in(&self, frame: Vec<u8>) {
        {
            let mut own = lock(&self.own);
            if own.len() == OWN_MAX {
                own.pop_front();
            }
            own.push_back(frame);
        }
        self.settle();
    }

    /// Closes the server's input, as soon as nothing is being written.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.settle();
    }

    /// Does what waits for the end of a frame. Whoever is writing does it afterwards.
    fn settle(&self) {
        while self.is_due() {
            let Ok(mut inner) = self.inner.try_lock() else { return };
            if self.closing.load(Ordering::SeqCst) {
                inner.file = None;
                return;
            }
            if inner.inside || !inner.file.as_ref().is_some_and(has_room) {
                return;
            }
            let Some(frame) = lock(&self.own).pop_front() else { continue };
            // What it is not told is noticed by the answer that does not come.
            let _ = inner.write(&frame);
        }
    }

    fn is_due(&self) -> bool {
        self.closing.load(Ordering::SeqCst) || !lock(&self.own).is_empty()
    }
}

impl In {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self.file.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        file.write_all(bytes)?;
        self.inside = !bytes.ends_with(b"\n");
        Ok(())
    }
}

// === impl Outlet ===

impl Outlet {
    pub(crate) fn new(file: File) -> Self {
        Self { inner: Mutex::new(Out { file, inside: false }) }
    }

    /// Takes the turn to write, which waits for as long as the client does not read.
    pub(crate) fn hold(&self) -> MutexGuard<'_, Out> {
        lock(&self.inner)
    }
}

impl Out {
    /// Writes a whole frame, behind a line feed if the line before was never ended.
    ///
    /// # Errors
    /// When the client is gone.
    pub(crate) fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        if self.inside {
            self.part(b"\n")?;
        }
        self.part(frame)
    }

    /// Writes a part of a frame.
    ///
    /// # Errors
    /// When the client is gone.
    pub(crate) fn part(&mut self, part: &[u8]) -> io::Result<()> {
        self.file.write_all(part)?;
        self.inside = !part.ends_with(b"\n");
        Ok(())
    }
}

/// A pipe that can be written to takes a page at least, which a frame of the guard's own never fills.
fn has_room(file: &File) -> bool {
    let mut fds = [PollFd::new(file, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().contains(PollFlags::OUT)
}

/// Nothing here is left half done by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{BufRead, BufReader, Read};
    use std::sync::Arc;

    use super::{Inlet, Outlet};

    fn pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
        std::io::pipe().unwrap()
    }

    #[test]
    fn an_own_frame_waits_for_the_end_of_another_and_never_for_a_reader() {
        let (reader, writer) = pipe();
        let inlet = Inlet::new(writer.into());
        // Larger than any pipe: it is only written once somebody reads.
        let large = vec![b'x'; 4 << 20];
        let writing = {
            let (inlet, large) = (Arc::clone(&inlet), large.clone());
            std::thread::spawn(move || inlet.write(&[large, b"\n".to_vec()].concat()))
        };
        let mut reader = BufReader::new(reader);
        let mut first = [0; 1];
        reader.read_exact(&mut first).unwrap();
        // Both return at once, and what they want happens after the frame.
        inlet.slip_in(b"lost\n".to_vec());
        inlet.slip_in(b"ping\n".to_vec());
        inlet.close();
        let mut lines = Vec::new();
        reader.read_to_end(&mut lines).unwrap();
        writing.join().unwrap().unwrap();
        assert_eq!(lines.len(), large.len(), "closing goes before what nobody waits for any more");
        assert!(inlet.write(b"more\n").is_err());
    }

    #[test]
    fn an_own_frame_goes_out_between_two_and_not_inside_one() {
        let (reader, writer) = pipe();
        let inlet = Inlet::new(writer.into());
        inlet.write(b"one ").unwrap();
        inlet.slip_in(b"ping\n".to_vec());
        inlet.write(b"line\n").unwrap();
        inlet.write(b"two\n").unwrap();
        inlet.close();
        let lines: Vec<String> = BufReader::new(reader).lines().map(Result::unwrap).collect();
        assert_eq!(lines, ["one line", "ping", "two"]);
    }

    #[test]
    fn a_line_that_broke_off_is_ended_before_the_next_frame() {
        let (mut reader, writer) = pipe();
        let outlet = Outlet::new(File::from(std::os::fd::OwnedFd::from(writer)));
        outlet.hold().part(b"{\"broken").unwrap();
        outlet.hold().write(b"{}\n").unwrap();
        outlet.hold().write(b"{}\n").unwrap();
        drop(outlet);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "{\"broken\n{}\n{}\n");
    }
}
