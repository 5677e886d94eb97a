//! Owns server-sent events: the form of one, and the body that sends them.
//!
//! A message is `event: message`, a line `data: ` with the JSON on it, and an empty line; events
//! of a session have an `id: ` as well (see `session::streams`). While nothing happens a comment is sent every 15 s, so that no proxy in between takes the connection for dead, and a client that has gone
//! away is noticed.

pub(crate) mod queue;

use std::any::Any;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use queue::Receiver;

const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a client waits before it comes back for a stream that broke off: a guard that restarts takes less.
const RETRY: Duration = Duration::from_secs(1);
const COMMENT: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// One message, which has no line break, as an event.
pub(crate) fn event(message: &[u8]) -> Bytes {
    named("message", message)
}

/// An event of this name.
pub(crate) fn named(name: &str, data: &[u8]) -> Bytes {
    [b"event: ".as_slice(), name.as_bytes(), b"\ndata: ", data, b"\n\n"].concat().into()
}

/// The same, with the id of an event.
pub(crate) fn numbered(stream: u64, number: u64, message: &[u8]) -> Bytes {
    let head = format!("event: message\nid: {stream}-{number}\ndata: ");
    [head.as_bytes(), message, b"\n\n"].concat().into()
}

/// An event that only has an id, from which a stream can be resumed before anything was said, and how soon that may be
/// tried.
pub(crate) fn priming(stream: u64, number: u64) -> Bytes {
    let millis = RETRY.as_millis();
    format!("id: {stream}-{number}\nretry: {millis}\ndata: \n\n").into()
}

/// Something that lives as long as a body.
pub(crate) type Held = Box<dyn Any + Send>;

/// A body of events, which ends when their source does.
#[derive(Debug)]
pub(crate) struct EventStream {
    events: Receiver,
    keep_alive: Interval,
    /// What lives as long as the body: it may keep a session from being idle, or end with it.
    _held: Option<Held>,
}

// === impl EventStream ===

impl EventStream {
    pub(crate) fn new(events: Receiver, held: Option<Held>) -> Self {
        Self::every(KEEP_ALIVE, events, held)
    }

    fn every(period: Duration, events: Receiver, held: Option<Held>) -> Self {
        let mut keep_alive = interval_at(Instant::now() + period, period);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { events, keep_alive, _held: held }
    }
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Poll::Ready(event) = self.events.poll_recv(context) {
            return Poll::Ready(event.map(|event| Ok(Frame::data(event))));
        }
        self.keep_alive.poll_tick(context).map(|_| Some(Ok(Frame::data(COMMENT))))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt;

    use super::queue::queue;
    use super::{COMMENT, EventStream, event};

    #[tokio::test]
    async fn a_silent_stream_is_kept_alive_and_ends_with_its_source() {
        let (sender, events) = queue();
        let mut stream = EventStream::every(Duration::from_millis(1), events, None);
        sender.place(2).unwrap().send(event(b"{}"));
        let first = stream.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first, "event: message\ndata: {}\n\n");
        assert_eq!(stream.frame().await.unwrap().unwrap().into_data().unwrap(), COMMENT);
        drop(sender);
        while let Some(frame) = stream.frame().await {
            assert_eq!(frame.unwrap().into_data().unwrap(), COMMENT);
        }
    }
}
