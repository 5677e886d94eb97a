//! Owns the threads that carry bytes: client to server, server to client, and the server's standard error.
//!
//! They are threads because each waits for somebody else: a side that does not read holds up whoever writes to it, and
//! nobody else. The client's streams may be shared with other processes, and so are not made non-blocking.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::frames::{Frame, Frames, Part};
use super::relay::{Gone, Relay, Signal};

/// What the client has written before it closed its end is still passed on, if the server takes it in this time.
const FAREWELL: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };
const STDERR_BYTES: usize = 16 << 10;

/// The standard streams of the guard: the client's ends.
pub(crate) struct Streams {
    pub(crate) stdin: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

/// The end of these threads says that all is read that a server has left in its pipes.
pub(crate) struct Readers {
    threads: Vec<thread::JoinHandle<()>>,
}

// === impl Streams ===

impl Streams {
    /// Copies of this process's own.
    pub(crate) fn standard() -> io::Result<Self> {
        use std::os::fd::AsFd;
        Ok(Self {
            stdin: io::stdin().as_fd().try_clone_to_owned()?,
            stdout: io::stdout().as_fd().try_clone_to_owned()?,
            stderr: io::stderr().as_fd().try_clone_to_owned()?,
        })
    }
}

// === impl Readers ===

impl Readers {
    /// Carries what a server says, until it can say no more.
    pub(crate) fn start(
        relay: &Arc<Relay>,
        generation: u64,
        stdout: OwnedFd,
        stderr: OwnedFd,
        to: OwnedFd,
    ) -> io::Result<Self> {
        let out = {
            let relay = Arc::clone(relay);
            start("server-out", move || from_server(&relay, generation, stdout.into()))?
        };
        let relay = Arc::clone(relay);
        let err = start("server-err", move || errors(&relay, stderr.into(), to.into()))?;
        Ok(Self { threads: vec![out, err] })
    }

    pub(crate) fn are_done(&self) -> bool {
        self.threads.iter().all(thread::JoinHandle::is_finished)
    }
}

/// Carries what the client says, and notices its end. Nobody waits for these threads: they end with the process.
pub(crate) fn listen_to_client(relay: &Arc<Relay>, stdin: OwnedFd, stdout: OwnedFd) -> io::Result<()> {
    let watched = stdin.try_clone()?;
    let reading = Arc::clone(relay);
    start("client-in", move || from_client(&reading, stdin.into()))?;
    let relay = Arc::clone(relay);
    start("client-end", move || wait_for_end(&relay, &watched, &stdout))?;
    Ok(())
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

fn from_client(relay: &Relay, stdin: File) {
    let mut frames = Frames::new(stdin);
    // Where a frame goes that is in the middle of being passed on in parts.
    let mut way = None;
    let mut inside = false;
    loop {
        match frames.next() {
            Ok(Frame::Whole(frame)) => relay.client_said(frame),
            Ok(Frame::Part(part, last)) => {
                if !inside {
                    relay.record.unread("the client");
                    way = relay.way_for_parts();
                    if way.is_none() {
                        relay.parts_withheld();
                    }
                }
                inside = last == Part::More;
                relay.record.bytes_from_client(part.len());
                way = way.filter(|inlet| inlet.write(part).is_ok());
            }
            Ok(Frame::End) | Err(_) => break,
        }
    }
    relay.signal(Signal::ClientGone(Gone::Closed));
}

fn from_server(relay: &Relay, generation: u64, stdout: File) {
    let mut frames = Frames::new(stdout);
    // Nobody else speaks to the client in the middle of a frame.
    let mut held = None;
    let mut withheld = false;
    loop {
        match frames.next() {
            Ok(Frame::Whole(frame)) => relay.server_said(generation, frame),
            Ok(Frame::Part(part, last)) if withheld || (held.is_none() && relay.withholds_parts()) => {
                relay.record.bytes_from_server(part.len());
                withheld = last == Part::More;
            }
            Ok(Frame::Part(part, last)) => {
                let mut client = held.take().unwrap_or_else(|| {
                    relay.record.unread("the server");
                    relay.client.hold()
                });
                relay.record.bytes_from_server(part.len());
                if client.part(part).is_err() {
                    relay.signal(Signal::ClientGone(Gone::Unreachable));
                }
                held = (last == Part::More).then_some(client);
            }
            Ok(Frame::End) | Err(_) => break,
        }
    }
    drop(held);
    relay.signal(Signal::Silent(generation));
}

/// The server's standard error is the client's, and its last lines are kept.
fn errors(relay: &Relay, mut stderr: File, mut to: File) {
    let mut buffer = vec![0; STDERR_BYTES];
    let mut lines = Vec::new();
    loop {
        match stderr.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                // Where nobody listens, the server must not be held up.
                let _ = to.write_all(&buffer[..read]);
                lines.extend_from_slice(&buffer[..read]);
                let end = memchr::memrchr(b'\n', &lines).map_or(0, |feed| feed + 1);
                let end = if lines.len() > STDERR_BYTES { lines.len() } else { end };
                lines
                    .drain(..end)
                    .as_slice()
                    .split(|byte| *byte == b'\n')
                    .for_each(|line| relay.record.error_line(line));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    relay.record.error_line(&lines);
}

/// Watches the client's ends: it does not read any more, or it has closed its output and was listened to for long
/// enough. A server that takes no input keeps the other thread from seeing either.
fn wait_for_end(relay: &Relay, stdin: &OwnedFd, stdout: &OwnedFd) {
    let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    let mut closed = Closed::No;
    loop {
        let mut fds = vec![PollFd::new(stdout, PollFlags::empty())];
        if closed == Closed::No {
            fds.push(PollFd::new(stdin, PollFlags::RDHUP));
        }
        let woken = match poll(&mut fds, (closed == Closed::JustNow).then_some(&FAREWELL)) {
            Ok(woken) => woken,
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
        };
        if fds[0].revents().intersects(gone) {
            return relay.signal(Signal::ClientGone(Gone::Unreachable));
        }
        if woken == 0 {
            closed = Closed::Told;
            relay.signal(Signal::ClientGone(Gone::Closed));
        } else if fds.get(1).is_some_and(|stdin| stdin.revents().intersects(gone | PollFlags::RDHUP)) {
            closed = Closed::JustNow;
        }
    }
}

/// Whether the client has closed its output.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closed {
    No,
    JustNow,
    Told,
}
