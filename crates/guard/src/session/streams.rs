//! Owns the streams of one session: the ids of their events, the last events, and going on where a connection broke off.
//!
//! Stream 0 is the session's own (GET); every POST that is answered with a stream has one more. An event's id is
//! `STREAM-NUMBER`, where numbers grow over all streams of the session. What was sent is kept, within bounds, also
//! while nobody is connected; `Last-Event-ID` names the stream and the event after which it goes on. A stream whose
//! missing events are not all kept any more is not resumed, for an answer might be among them; only stream 0, which
//! has announcements, goes on with what there is.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::sse;
use crate::sse::queue::{NoPlace, Receiver, Sender, queue};

/// The stream of a session that belongs to no request.
pub(crate) const OWN: u64 = 0;
/// A connection is missed for seconds, not for hours.
const KEPT_EVENTS_MAX: usize = 128;
/// A thousand sessions that all have lost their connections keep no more than 256 MiB.
const KEPT_BYTES_MAX: usize = 256 << 10;

/// The streams of one session.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: HashMap<u64, Stream>,
    kept: VecDeque<Kept>,
    kept_bytes: usize,
    last_stream: u64,
    last_event: u64,
}

#[derive(Debug, Default)]
struct Stream {
    connection: Option<Sender>,
    has_ended: bool,
    /// Whether nobody was connected yet, so that what is kept was never sent.
    is_awaited: bool,
    /// Its last event.
    last: u64,
    /// The last of its events that was not kept.
    lost: u64,
}

#[derive(Debug)]
struct Kept {
    stream: u64,
    number: u64,
    event: Bytes,
}

/// The session has an open stream already.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StreamTaken;

/// Why a stream does not go on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotResumed {
    /// The session has given out no such id, or keeps nothing of that stream any more.
    Unknown,
    /// Events after it are not kept any more.
    TooOld,
}

/// What became of an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Sent,
    /// Nobody is connected; it is kept for whoever comes back.
    Kept,
    /// There is no such stream.
    Nowhere,
    /// The client reads too slowly; nothing was done.
    Full,
}

// === impl Streams ===

impl Streams {
    /// Opens the session's own stream, which is new or has lost its connection.
    pub(crate) fn open_own(&self, primed: bool) -> Result<Receiver, StreamTaken> {
        let mut inner = self.lock();
        if inner.by_id.get(&OWN).is_some_and(Stream::is_connected) {
            return Err(StreamTaken);
        }
        Ok(inner.connect(OWN, primed))
    }

    /// Opens a stream for one request.
    pub(crate) fn open(&self, primed: bool) -> (u64, Receiver) {
        let mut inner = self.lock();
        inner.last_stream += 1;
        let stream = inner.last_stream;
        (stream, inner.connect(stream, primed))
    }

    /// Goes on with a stream after this event. Whoever was connected to it is not any more.
    pub(crate) fn resume(&self, last_event_id: &str) -> Result<Receiver, NotResumed> {
        let (stream, number) = last_event_id.split_once('-').ok_or(NotResumed::Unknown)?;
        let stream: u64 = stream.parse().map_err(|_| NotResumed::Unknown)?;
        let number: u64 = number.parse().map_err(|_| NotResumed::Unknown)?;
        let mut inner = self.lock();
        let Inner { by_id, kept, .. } = &mut *inner;
        let found = by_id.get_mut(&stream).filter(|found| number <= found.last);
        let found = found.ok_or(NotResumed::Unknown)?;
        if number < found.lost && stream != OWN {
            return Err(NotResumed::TooOld);
        }
        let (connection, events) = queue();
        for missed in kept.iter().filter(|kept| kept.stream == stream && kept.number > number) {
            put(&connection, missed.event.clone());
        }
        found.connection = (!found.has_ended).then_some(connection);
        Ok(events)
    }

    /// Sends a message to a stream at once, or keeps it.
    pub(crate) fn push(&self, stream: u64, message: &[u8]) -> Pushed {
        let mut inner = self.lock();
        let Some(found) = inner.by_id.get(&stream).filter(|found| !found.has_ended) else {
            return Pushed::Nowhere;
        };
        let place = match found.connection.as_ref().map(|connection| connection.place(message.len())) {
            Some(Ok(place)) => Some(place),
            Some(Err(NoPlace::Full)) => return Pushed::Full,
            Some(Err(NoPlace::Closed)) | None => None,
        };
        let event = inner.event(stream, message);
        match place {
            Some(place) => {
                place.send(event);
                Pushed::Sent
            }
            None => Pushed::Kept,
        }
    }

    /// Sends a message to the session's own stream; before that is opened for the first time it is kept for then.
    pub(crate) fn hold(&self, message: &[u8]) -> Pushed {
        self.lock().by_id.entry(OWN).or_insert(Stream { is_awaited: true, ..Stream::default() });
        self.push(OWN, message)
    }

    /// Sends a message to a stream as soon as its client reads, or keeps it.
    pub(crate) async fn deliver(&self, stream: u64, message: &[u8]) {
        while self.push(stream, message) == Pushed::Full {
            let connection = self.lock().by_id.get(&stream).and_then(|found| found.connection.clone());
            if let Some(connection) = connection {
                // Room, or a connection that is closed: both are seen at the next look.
                let _ = connection.wait(message.len()).await;
            }
        }
    }

    /// Nothing more is sent to this stream.
    pub(crate) fn end(&self, stream: u64) {
        let mut inner = self.lock();
        if let Some(found) = inner.by_id.get_mut(&stream) {
            found.has_ended = true;
            found.connection = None;
        }
        inner.forget(stream);
    }

    /// Ends and forgets all of them.
    pub(crate) fn close(&self) {
        *self.lock() = Inner::default();
    }

    /// Whether the client is connected to any of them.
    pub(crate) fn is_connected(&self) -> bool {
        self.lock().by_id.values().any(Stream::is_connected)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing here is left half done by a panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Inner, Stream ===

impl Inner {
    fn connect(&mut self, stream: u64, primed: bool) -> Receiver {
        let (connection, events) = queue();
        let found = self.by_id.entry(stream).or_default();
        if primed {
            self.last_event += 1;
            found.last = self.last_event;
            put(&connection, sse::priming(stream, found.last));
        }
        if std::mem::take(&mut found.is_awaited) {
            for missed in self.kept.iter().filter(|kept| kept.stream == stream) {
                put(&connection, missed.event.clone());
            }
        }
        found.connection = Some(connection);
        events
    }

    /// Makes a message the next event of a stream, and keeps it.
    fn event(&mut self, stream: u64, message: &[u8]) -> Bytes {
        self.last_event += 1;
        let number = self.last_event;
        let event = sse::numbered(stream, number, message);
        let found = self.by_id.entry(stream).or_default();
        found.last = number;
        if event.len() > KEPT_BYTES_MAX {
            found.lost = number;
            return event;
        }
        self.kept_bytes += event.len();
        self.kept.push_back(Kept { stream, number, event: event.clone() });
        while self.kept.len() > KEPT_EVENTS_MAX || self.kept_bytes > KEPT_BYTES_MAX {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.kept_bytes -= oldest.event.len();
            if let Some(poorer) = self.by_id.get_mut(&oldest.stream) {
                poorer.lost = poorer.lost.max(oldest.number);
            }
            self.forget(oldest.stream);
        }
        event
    }

    /// Forgets a stream that has ended and of which nothing is kept.
    fn forget(&mut self, stream: u64) {
        let is_kept = self.kept.iter().any(|kept| kept.stream == stream);
        if !is_kept && self.by_id.get(&stream).is_some_and(|found| found.has_ended) {
            self.by_id.remove(&stream);
        }
    }
}

/// Puts an event into a queue that is new: there is room for all that is kept.
fn put(connection: &Sender, event: Bytes) {
    if let Ok(place) = connection.place(event.len()) {
        place.send(event);
    }
}

impl Stream {
    fn is_connected(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| !connection.is_closed())
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT_BYTES_MAX, KEPT_EVENTS_MAX, NotResumed, OWN, Pushed, Receiver, Streams};
    use crate::sse::queue::BEHIND_MAX;

    fn all(mut events: Receiver) -> String {
        let mut text = String::new();
        while let Ok(event) = events.try_recv() {
            text.push_str(std::str::from_utf8(&event).unwrap());
        }
        text
    }

    #[test]
    fn only_the_events_of_the_stream_come_back() {
        let streams = Streams::default();
        let (one, first) = streams.open(true);
        let (two, second) = streams.open(false);
        for (stream, message) in [(one, "a"), (two, "b"), (one, "c"), (two, "d")] {
            assert_eq!(streams.push(stream, message.as_bytes()), Pushed::Sent);
        }
        assert!(
            all(first).starts_with("id: 1-1\nretry: 1000\ndata: \n\nevent: message\nid: 1-2\ndata: a\n\n")
        );
        drop(second);
        assert_eq!(streams.push(one, b"e"), Pushed::Kept, "its connection is gone");
        assert_eq!(streams.push(7, b"e"), Pushed::Nowhere);
        let resumed = streams.resume("1-2").unwrap();
        assert_eq!(streams.push(one, b"f"), Pushed::Sent);
        let text = all(resumed);
        let data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        assert_eq!(data, ["c", "e", "f"]);
        streams.end(two);
        let mut ended = streams.resume("2-3").unwrap();
        assert_eq!(ended.try_recv().unwrap(), "event: message\nid: 2-5\ndata: d\n\n");
        assert!(ended.try_recv().is_err() && ended.is_closed(), "it ends after what was missed");
        assert_eq!(streams.push(two, b"g"), Pushed::Nowhere);
        for id in ["", "1", "1-", "-1", "1-99", "3-1", "0-0", "x-1", "1-2-3", "99999999999999999999-1"] {
            assert_eq!(streams.resume(id).unwrap_err(), NotResumed::Unknown, "{id}");
        }
        streams.close();
        assert_eq!(streams.resume("1-2").unwrap_err(), NotResumed::Unknown);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let streams = Streams::default();
        drop(streams.open_own(true).unwrap());
        let (one, _) = streams.open(true);
        for _ in 0..=KEPT_EVENTS_MAX {
            streams.push(one, b"x");
        }
        assert_eq!(streams.resume("1-2").unwrap_err(), NotResumed::TooOld);
        assert_eq!(all(streams.resume("1-3").unwrap()).matches("data: x").count(), KEPT_EVENTS_MAX);
        streams.push(OWN, &vec![b'y'; KEPT_BYTES_MAX / 2]);
        streams.push(OWN, &vec![b'z'; KEPT_BYTES_MAX / 2]);
        let rest = all(streams.resume("0-1").unwrap());
        assert!(rest.contains('z') && !rest.contains('y'), "the own stream goes on with what there is");
        assert!(streams.lock().kept_bytes <= KEPT_BYTES_MAX);
        let (big, _) = streams.open(true);
        let id = format!("{big}-{}", streams.lock().last_event);
        streams.push(big, &vec![b'x'; KEPT_BYTES_MAX]);
        streams.end(big);
        assert_eq!(streams.resume(&id).unwrap_err(), NotResumed::Unknown, "it was too large to be kept");
        for _ in 0..3 * KEPT_EVENTS_MAX {
            let (stream, _) = streams.open(true);
            streams.push(stream, b"x");
            streams.end(stream);
        }
        assert!(streams.lock().by_id.len() <= KEPT_EVENTS_MAX + 2);
    }

    #[tokio::test]
    async fn a_slow_client_holds_up_and_loses_nothing() {
        let streams = Streams::default();
        let (one, mut events) = streams.open(false);
        for _ in 0..BEHIND_MAX {
            assert_eq!(streams.push(one, b"x"), Pushed::Sent);
        }
        assert_eq!(streams.push(one, b"y"), Pushed::Full);
        let (_, first) = tokio::join!(streams.deliver(one, b"y"), events.recv());
        assert!(first.is_some());
        assert!(all(events).ends_with("data: y\n\n"));
        tokio::time::timeout(std::time::Duration::from_secs(20), streams.deliver(one, b"z")).await.unwrap();
    }
}
