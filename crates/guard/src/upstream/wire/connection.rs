//! Owns one connection to an upstream: writing a request, and reading what comes back.

use std::io::{self, IoSlice};
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::TcpStream;

use super::head::{self, Head, Malformed};

/// What is read at once, at least: most answers are shorter.
const READ_BYTES: usize = 8 << 10;
/// The same where a long body is known to come.
const READ_BYTES_MAX: usize = 64 << 10;
/// Answers that only say that another one is coming.
const INFORMATIONAL_MAX: usize = 16;

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// What was read and not yet taken.
    pub(super) buffer: BytesMut,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// The connection has ended, and nothing of the request was written.
    Unwritten(io::Error),
    /// Something was written.
    Broken(String),
}

// === impl Connection ===

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// Whether the upstream has neither closed it nor said anything that nobody has asked for. What the runtime knows of that
    /// is enough where it was used a moment ago; otherwise the kernel is asked.
    pub(super) fn is_quiet(&self, was_just_used: bool) -> bool {
        let peek = || {
            let mut byte = [0; 1];
            Ok(recv(&self.stream, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT)?)
        };
        let heard = if was_just_used { self.stream.try_io(Interest::READABLE, peek) } else { peek() };
        self.buffer.is_empty() && heard.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Writes a request, and reads the head of its answer. An answer that comes before all of the request is written ends
    /// the writing, and the connection with it.
    pub(super) async fn exchange(mut self, head: &[u8], body: &Bytes) -> Result<(Head, Self), Fault> {
        match self.write(head, body).await {
            Ok(None) => {
                let head = self.head().await?;
                Ok((head, self))
            }
            Ok(Some(early)) => Ok((Head { stays: false, ..early }, self)),
            // Why it does not take any more it may have said.
            Err(Fault::Broken(words)) => match self.head().await {
                Ok(head) => Ok((Head { stays: false, ..head }, self)),
                Err(_) => Err(Fault::Broken(words)),
            },
            Err(unwritten) => Err(unwritten),
        }
    }

    /// Writes. Returns the head of an answer that came first.
    async fn write(&mut self, head: &[u8], body: &Bytes) -> Result<Option<Head>, Fault> {
        let (mut written, mut interest) = (0, Interest::READABLE | Interest::WRITABLE);
        while written < head.len() + body.len() {
            let result = match head.get(written..).filter(|rest| !rest.is_empty()) {
                Some(rest) if body.is_empty() => self.stream.try_write(rest),
                Some(rest) => self.stream.try_write_vectored(&[IoSlice::new(rest), IoSlice::new(body)]),
                None => self.stream.try_write(&body[written - head.len()..]),
            };
            let fault = |error: io::Error| match written {
                0 => Fault::Unwritten(error),
                _ => Fault::Broken(error.to_string()),
            };
            match result {
                Ok(0) => return Err(fault(io::ErrorKind::WriteZero.into())),
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let ready = self.stream.ready(interest).await.map_err(fault)?;
                    if !ready.is_readable() {
                        continue;
                    }
                    if written == 0 {
                        return Err(fault(io::Error::other("it speaks without being asked")));
                    }
                    match self.hear() {
                        Ok(Heard::Nothing) => {}
                        Ok(Heard::Answer(head)) => return Ok(Some(head)),
                        // It may go on reading; if not, writing says so.
                        Ok(Heard::End) => interest = Interest::WRITABLE,
                        Err(fault) => return Err(fault),
                    }
                }
                Err(error) => return Err(fault(error)),
            }
        }
        Ok(None)
    }

    /// Reads what is there, while a request is being written.
    fn hear(&mut self) -> Result<Heard, Fault> {
        self.make_room(READ_BYTES);
        match self.stream.try_read_buf(&mut self.buffer) {
            Ok(0) => Ok(Heard::End),
            Ok(_) => Ok(self.next_head(&mut 0)?.map_or(Heard::Nothing, Heard::Answer)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Heard::Nothing),
            Err(error) => Err(Fault::Broken(error.to_string())),
        }
    }

    /// Reads the head of the answer.
    async fn head(&mut self) -> Result<Head, Fault> {
        let mut informational = 0;
        loop {
            // What was read before may have it.
            if let Some(head) = self.next_head(&mut informational)? {
                return Ok(head);
            }
            match self.fill(READ_BYTES).await {
                Ok(0) => return Err(Fault::Broken("it has closed the connection".to_owned())),
                Ok(_) => {}
                Err(error) => return Err(Fault::Broken(error.to_string())),
            }
        }
    }

    /// Takes the head of the answer off the buffer, and all those before it that only say that it is coming.
    fn next_head(&mut self, informational: &mut usize) -> Result<Option<Head>, Fault> {
        while !self.buffer.is_empty() {
            let head =
                head::take(&mut self.buffer).map_err(|Malformed(words)| Fault::Broken(words.to_owned()))?;
            match head {
                Some(head) if head.status.is_informational() => *informational += 1,
                other => return Ok(other),
            }
            if *informational > INFORMATIONAL_MAX {
                return Err(Fault::Broken("it says again and again that its answer is coming".to_owned()));
            }
        }
        Ok(None)
    }

    /// Reads more into the buffer. Returns how many bytes came: 0 at the end.
    async fn fill(&mut self, wanted: usize) -> io::Result<usize> {
        self.make_room(wanted);
        self.stream.read_buf(&mut self.buffer).await
    }

    /// The same for a body of which so many bytes are still to come, where that is known.
    pub(super) fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        left: Option<u64>,
    ) -> Poll<io::Result<usize>> {
        let left = left.map_or(0, |left| usize::try_from(left).unwrap_or(usize::MAX));
        let filling = self.fill(left.clamp(READ_BYTES, READ_BYTES_MAX));
        // It holds nothing between two calls.
        pin!(filling).poll(context)
    }

    fn make_room(&mut self, wanted: usize) {
        if self.buffer.capacity() - self.buffer.len() < wanted / 4 {
            self.buffer.reserve(wanted);
        }
    }
}

/// What was heard while a request was being written.
enum Heard {
    Nothing,
    Answer(Head),
    End,
}
