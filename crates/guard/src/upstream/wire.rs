//! Owns the connections to an upstream: HTTP/1.1, one request at a time on each, and those that wait for the next one.
//!
//! A request is written in one piece, and whoever waits for the answer reads it: no task, no channel and no second wake
//! stands between (docs/adr/037). A connection that has ended before anything of a request was written is replaced; from
//! the first byte on, nothing is sent again. One is used again if its answer has been read to its end, nothing came
//! behind that, and neither side has said that it closes. A body that nobody reads to its end takes its connection along.

mod connection;
mod flow;
mod framing;
mod head;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "fuzzing"))]
mod whole;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, Uri};
use tokio::net::TcpStream;

pub(crate) use flow::{Broken, Flow};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use whole::read as read_whole;

use crate::keepalive::notice_its_end;
use crate::log::push_number;
use connection::{Connection, Fault};

/// On one machine, or in one room, a connection takes a millisecond.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Node.js closes a connection that has not been used for five seconds.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// Hardly anything befalls a connection in so short a time, and if it does, the runtime knows of it soon.
const JUST_NOW: Duration = Duration::from_millis(1);
const IDLE_CONNECTIONS_MAX: usize = 512;
/// Most heads are shorter.
const HEAD_BYTES: usize = 1 << 10;
/// A body of this length is copied behind its head; a longer one is written from where it is.
const COPIED_BYTES_MAX: usize = 16 << 10;

/// The way to an upstream.
#[derive(Debug)]
pub(crate) struct Wire {
    /// As it is connected to: without the brackets of IPv6.
    host: String,
    port: u16,
    /// What every head has behind its verb: target, version, host.
    line: String,
    idle: Arc<Idle>,
}

/// Connections that wait for a request.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    /// The one used last is the last.
    list: Mutex<Vec<(Connection, Instant)>>,
}

/// Why nothing came back.
#[derive(Debug)]
pub(crate) enum Unsent {
    /// Nobody is there: nothing was sent.
    Unreachable(String),
    /// It broke off.
    Broken(String),
}

// === impl Wire ===

impl Wire {
    /// The way to this URL, which has a host. Nothing is connected yet.
    pub(crate) fn new(uri: &Uri) -> Self {
        let host = uri.host().unwrap_or_default();
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let authority = uri.authority().map_or(host, |authority| authority.as_str());
        Self {
            line: format!(" {target} HTTP/1.1\r\nhost: {authority}\r\n"),
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: uri.port_u16().unwrap_or(80),
            idle: Arc::default(),
        }
    }

    /// Sends a request with these headers, none of which is about the connection or the length of the body, and reads the
    /// head of the answer.
    pub(crate) async fn send<'h>(
        &self,
        verb: &Method,
        headers: impl Iterator<Item = (&'h HeaderName, &'h HeaderValue)>,
        body: Bytes,
    ) -> Result<Response<Flow>, Unsent> {
        let mut head = self.head(verb, headers, body.len());
        let body = if body.len() <= COPIED_BYTES_MAX {
            head.extend_from_slice(&body);
            Bytes::new()
        } else {
            body
        };
        // Each turn takes one out, so this comes to an end.
        while let Some(connection) = self.idle.take(Instant::now()) {
            match connection.exchange(&head, &body).await {
                Ok((head, connection)) => return Ok(self.answer(head, connection)),
                Err(Fault::Unwritten(_)) => {}
                Err(Fault::Broken(words)) => return Err(Unsent::Broken(words)),
            }
        }
        match self.connect().await?.exchange(&head, &body).await {
            Ok((head, connection)) => Ok(self.answer(head, connection)),
            Err(Fault::Unwritten(error)) => {
                Err(Unsent::Unreachable(format!("its connection takes nothing: {error}")))
            }
            Err(Fault::Broken(words)) => Err(Unsent::Broken(words)),
        }
    }

    /// Closes connections that have waited for too long.
    pub(crate) fn reap(&self, now: Instant) {
        self.idle.lock().retain(|(_, since)| now.saturating_duration_since(*since) < IDLE_MAX);
    }

    fn head<'h>(
        &self,
        verb: &Method,
        headers: impl Iterator<Item = (&'h HeaderName, &'h HeaderValue)>,
        body_bytes: usize,
    ) -> Vec<u8> {
        let mut head =
            Vec::with_capacity(HEAD_BYTES.max(self.line.len() + body_bytes.min(COPIED_BYTES_MAX) + 512));
        head.extend_from_slice(verb.as_str().as_bytes());
        head.extend_from_slice(self.line.as_bytes());
        for (name, value) in headers {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                head.extend_from_slice(part);
            }
        }
        if body_bytes > 0 || *verb == Method::POST {
            head.extend_from_slice(b"content-length: ");
            push_number(&mut head, body_bytes as u64);
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        head
    }

    async fn connect(&self) -> Result<Connection, Unsent> {
        let fail = |error: &dyn std::fmt::Display| {
            Unsent::Unreachable(format!("cannot connect to {}:{}: {error}", self.host, self.port))
        };
        let connecting = TcpStream::connect((&*self.host, self.port));
        let stream = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(fail(&error)),
            Err(_) => {
                return Err(fail(&format!("nobody has answered within {} s", CONNECT_TIMEOUT.as_secs())));
            }
        };
        // Without it, a request would wait for the acknowledgement of the one before.
        stream.set_nodelay(true).map_err(|error| fail(&error))?;
        // One that has gone without a word is noticed, as a client is.
        notice_its_end(&stream);
        Ok(Connection::new(stream))
    }

    fn answer(&self, head: head::Head, connection: Connection) -> Response<Flow> {
        let flow = Flow::new(connection, head.framing, head.stays.then(|| Arc::clone(&self.idle)));
        let mut response = Response::new(flow);
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        response
    }
}

// === impl Idle ===

impl Idle {
    /// The connection that was used last, if there is one that is still there.
    fn take(&self, now: Instant) -> Option<Connection> {
        loop {
            let (connection, since) = self.lock().pop()?;
            let waited = now.saturating_duration_since(since);
            if waited < IDLE_MAX && connection.is_quiet(waited < JUST_NOW) {
                return Some(connection);
            }
        }
    }

    fn put(&self, connection: Connection, now: Instant) {
        let mut list = self.lock();
        if list.len() < IDLE_CONNECTIONS_MAX {
            list.push((connection, now));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Connection, Instant)>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
