//! Owns the body of an answer that an upstream streams: passed on as it comes, and read along for the one answer in it
//! that somebody waits for.
//!
//! Nothing is held back, with two exceptions: a list of tools that has to be narrowed, and an answer whose length is bounded, are passed on event
//! by event, and the guard's own announcements go between two events. A stream that breaks off, or takes too long, before the answer
//! has come ends with an error in its place: who waits must not wait for ever. One that the upstream ends after an event
//! with an id ends as it is: its client may go on with it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};

use super::events::Events;
use super::running::Request;
use super::seen::Session;
use super::wire::{Broken, Flow};
use crate::envelope::{self, Incoming, SERVER_ERROR};
use crate::inflight::{Who, narrowed};
use crate::metrics::Failure;
use crate::outgoing::{self, Answering};
use crate::state::Guard;
use crate::{sse, taken};

/// An event that is held may be as long as an answer on a child's pipe.
const HELD_BYTES_MAX: usize = 16 << 20;

/// A body that is passed on.
pub(crate) struct Relayed {
    guard: Arc<Guard>,
    body: Option<Flow>,
    /// None for a body that is no stream of events.
    events: Option<Events>,
    /// Whose answer is in it.
    request: Option<Request>,
    session: Arc<Session>,
    /// Whether it is passed on event by event, and what of the next event has come.
    held: Option<BytesMut>,
    /// What waits to be passed on.
    ready: Option<Bytes>,
    announcements: Option<mpsc::Receiver<Bytes>>,
    deadline: Option<Pin<Box<Sleep>>>,
}

// === impl Relayed ===

impl Relayed {
    /// A body whose content is nobody's business here.
    pub(crate) fn raw(guard: &Arc<Guard>, body: Flow, session: &Arc<Session>) -> Self {
        let (guard, session) = (Arc::clone(guard), Arc::clone(session));
        let (body, announcements) = (Some(body), None);
        Self {
            guard,
            body,
            events: None,
            request: None,
            session,
            held: None,
            ready: None,
            announcements,
            deadline: None,
        }
    }

    /// The same behind a first part that was taken out of it.
    pub(crate) fn after(mut self, first: Bytes) -> Self {
        self.ready = Some(first);
        self
    }

    /// A stream with the answer to a request, which has to come by the deadline.
    pub(crate) fn answer(
        guard: &Arc<Guard>,
        body: Flow,
        session: &Arc<Session>,
        request: Option<Request>,
        deadline: Instant,
    ) -> Self {
        let lists =
            request.as_ref().is_some_and(|request| request.method == crate::metrics::Method::TOOLS_LIST);
        let is_bounded = request.is_some() && guard.own().limits.answer_bytes.is_some();
        let holds = is_bounded || (lists && guard.narrows_lists()) || outgoing::holds_unread(guard);
        let held = holds.then(BytesMut::new);
        let deadline = request.is_some().then(|| Box::pin(tokio::time::sleep_until(deadline)));
        Self { events: Some(Events::default()), request, held, deadline, ..Self::raw(guard, body, session) }
    }

    /// The stream of a session, with the guard's own announcements.
    pub(crate) fn stream(
        guard: &Arc<Guard>,
        body: Flow,
        session: &Arc<Session>,
        announcements: Option<mpsc::Receiver<Bytes>>,
    ) -> Self {
        // Answers come by it as well, to who has come back for them.
        let held = outgoing::holds_unread(guard).then(BytesMut::new);
        Self { events: Some(Events::default()), announcements, held, ..Self::raw(guard, body, session) }
    }

    /// Takes in a part of the body; returns what goes on now.
    fn part(&mut self, part: Bytes) -> Option<Bytes> {
        let Some(events) = &mut self.events else { return Some(part) };
        let ended = events.feed(&part);
        let mut out = BytesMut::new();
        let mut from = 0;
        for event in ended {
            let changed = event.data.as_deref().and_then(|data| self.read(data));
            if let Some(held) = &mut self.held {
                held.extend_from_slice(&part[from..event.end]);
                let raw = held.split();
                out.extend_from_slice(changed.as_deref().unwrap_or(&raw));
                from = event.end;
            }
        }
        match &mut self.held {
            None => Some(part),
            Some(held) => {
                held.extend_from_slice(&part[from..]);
                if held.len() > HELD_BYTES_MAX {
                    return self.cut("an event of its stream is longer than 16 MiB");
                }
                (!out.is_empty()).then(|| out.freeze())
            }
        }
    }

    /// Reads the data of one event. Returns the event that is to go on in its place.
    fn read(&mut self, data: &[u8]) -> Option<Bytes> {
        match envelope::parse(data) {
            Ok(Incoming::Response { id, outcome }) => {
                let is_awaited = self.request.as_ref().is_some_and(|request| &*request.id == id);
                if !is_awaited {
                    return self.unawaited(id, outcome);
                }
                let request = self.request.as_mut()?;
                let who = Who { client: &self.session.client, place: self.session.place };
                let narrowed = narrowed(&self.guard, request.method, who, outcome);
                self.deadline = None;
                // Only what is held can be changed.
                let too_long = self.held.as_ref().and_then(|_| taken::too_long(&self.guard, outcome));
                let instead = too_long.or_else(|| request.held_back(outcome));
                request.answered(instead.as_deref().map_or(outcome, envelope::Outcome::Error));
                let changed = instead.map(Err).or(narrowed).filter(|_| self.held.is_some())?;
                let outcome = match &changed {
                    Ok(result) => envelope::Outcome::Result(result),
                    Err(error) => envelope::Outcome::Error(error),
                };
                Some(sse::event(&envelope::response(id, outcome)))
            }
            Ok(Incoming::Notification { method, .. }) => {
                if method == "notifications/tools/list_changed" {
                    self.guard.catalogue.changed();
                }
                self.guard.cache.announced(&method);
                None
            }
            Err(_) if self.held.is_some() && outgoing::holds_unread(&self.guard) => {
                // Several messages in one event, or none: nobody can say what is in it.
                Some(Bytes::from_static(b": an event that is no single message was not passed on\n\n"))
            }
            Ok(Incoming::Request { .. }) | Err(_) => None,
        }
    }

    /// An answer that nobody is known to wait for here: one that was asked for before a stream broke off.
    fn unawaited(&self, id: &str, outcome: envelope::Outcome<'_>) -> Option<Bytes> {
        let answering =
            Answering { client: &self.session.client, session: &self.session.shown, ..Answering::default() };
        let error = outgoing::held_back(&self.guard, answering, outcome).filter(|_| self.held.is_some())?;
        Some(sse::event(&envelope::response(id, envelope::Outcome::Error(&error))))
    }

    /// Ends the stream with an error in the place of the answer, if that has not come.
    fn cut(&mut self, reason: &str) -> Option<Bytes> {
        self.body = None;
        self.deadline = None;
        self.held = None;
        let request = self.request.as_mut().filter(|request| !request.is_finished())?;
        let reason = format!(
            "server `{}`: {reason}; the request is not repeated, and may or may not have been carried out",
            self.guard.settings.name
        );
        let message = envelope::error(Some(&request.id), SERVER_ERROR, &reason);
        request.failed(&serde_json::json!({ "message": reason }).to_string(), Failure::Timeout);
        // What broke off in an event must not spoil this one.
        Some([b"\n\n".as_slice(), &sse::event(&message)].concat().into())
    }

    fn poll_announcement(&mut self, context: &mut Context<'_>) -> Option<Bytes> {
        let is_between = self.events.as_ref().is_some_and(Events::is_between);
        let announcements = self.announcements.as_mut().filter(|_| is_between)?;
        match announcements.poll_recv(context) {
            Poll::Ready(Some(event)) => Some(event),
            Poll::Ready(None) => {
                self.announcements = None;
                None
            }
            Poll::Pending => None,
        }
    }
}

impl Body for Relayed {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        loop {
            if let Some(ready) = this.ready.take() {
                return Poll::Ready(Some(Ok(Frame::data(ready))));
            }
            let Some(body) = &mut this.body else { return Poll::Ready(None) };
            // An upstream that never stops to speak would never be waited for.
            if this.deadline.as_ref().is_some_and(|at| at.deadline() <= Instant::now()) {
                this.ready = this.cut("it has not answered in time");
                continue;
            }
            match Pin::new(body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(part) => this.ready = this.part(part),
                    // Trailers say nothing in this protocol.
                    Err(_) => continue,
                },
                Poll::Ready(Some(Err(error))) if this.events.is_none() => {
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(Some(Err(error))) => {
                    this.ready = this.cut(&format!("its stream has broken off ({error})"));
                }
                Poll::Ready(None) => {
                    let can_go_on = this.events.as_ref().is_some_and(|events| events.last_id().is_some());
                    if can_go_on && let Some(request) = &mut this.request {
                        request.left("its stream has ended before the answer; its client may resume it");
                    }
                    this.ready = this.cut("its stream has ended before the answer");
                }
                Poll::Pending => {
                    if let Some(event) = this.poll_announcement(context) {
                        return Poll::Ready(Some(Ok(Frame::data(event))));
                    }
                    let is_late =
                        this.deadline.as_mut().is_some_and(|at| at.as_mut().poll(context).is_ready());
                    if !is_late {
                        return Poll::Pending;
                    }
                    this.ready = this.cut("it has not answered in time");
                }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.body, &self.events) {
            (Some(body), None) if self.ready.is_none() => body.size_hint(),
            _ => SizeHint::default(),
        }
    }
}
