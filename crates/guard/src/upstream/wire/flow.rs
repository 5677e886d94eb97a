//! Owns the body of an upstream's answer: read by whoever wants it, as it comes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::Idle;
use super::connection::Connection;
use super::framing::Framing;
use super::head::Malformed;

/// A body that comes.
#[derive(Debug)]
pub(crate) struct Flow {
    /// None once it is over, and where it has broken off.
    connection: Option<Connection>,
    framing: Framing,
    /// Where the connection goes when the body is over; none where it is closed then.
    idle: Option<Arc<Idle>>,
}

/// It has broken off, for this reason.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(String);

// === impl Flow ===

impl Flow {
    pub(super) fn new(connection: Connection, framing: Framing, idle: Option<Arc<Idle>>) -> Self {
        let mut flow = Self { connection: Some(connection), framing, idle };
        flow.settle();
        flow
    }

    /// Lets the connection go once the body is over. What is malformed behind a part is found when the next one is wanted.
    fn settle(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        if self.framing.settle(&mut connection.buffer).is_err() || !self.framing.is_over() {
            return;
        }
        if let (Some(connection), Some(idle)) = (self.connection.take(), self.idle.take())
            && connection.buffer.is_empty()
        {
            idle.put(connection, Instant::now());
        }
    }

    fn broken(&mut self, words: String) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.connection = None;
        Poll::Ready(Some(Err(Broken(words))))
    }
}

impl Body for Flow {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        loop {
            let Some(connection) = &mut this.connection else { return Poll::Ready(None) };
            match this.framing.take(&mut connection.buffer) {
                Ok(Some(part)) => {
                    this.settle();
                    return Poll::Ready(Some(Ok(Frame::data(part))));
                }
                Ok(None) => {}
                Err(Malformed(words)) => return this.broken(words.to_owned()),
            }
            if this.framing.is_over() {
                this.settle();
                continue;
            }
            match ready!(connection.poll_fill(context, this.framing.left())) {
                Ok(0) if this.framing == Framing::UntilClose => {
                    this.connection = None;
                    return Poll::Ready(None);
                }
                Ok(0) => return this.broken("the connection was closed before its end".to_owned()),
                Ok(_) => {}
                Err(error) => return this.broken(error.to_string()),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.connection.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.connection, self.framing.left()) {
            (None, _) => SizeHint::with_exact(0),
            (Some(_), Some(left)) => SizeHint::with_exact(left),
            (Some(_), None) => SizeHint::default(),
        }
    }
}
