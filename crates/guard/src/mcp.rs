//! Owns `/mcp`: Streamable HTTP for any number of clients, in front of the one pipe to the child.
//!
//! Revisions 2025-11-25, 2025-06-18, 2025-03-26 with its batches (`batch`), and 2024-11-05. A client POSTs `initialize` and gets
//! what the child had answered to the guard, with the revision it asked for (or 2025-11-25), and a session in
//! `Mcp-Session-Id`, which every further request carries: 400 without one, 404 when it is over, and then the client
//! initializes again. A POST with a request is answered with JSON, or, if progress or a question of the server comes
//! first or 10 s pass and the client accepts `text/event-stream`, with a stream that ends with the answer. One with a
//! notification or a response is 202. GET is the session's stream of announcements (409 if it has one), or, with
//! `Last-Event-ID`, the rest of any stream of the session; DELETE is its end. That a client hangs up does not cancel
//! anything.

mod batch;
pub(crate) mod gate;
mod greeting;
pub(crate) mod problem;
pub(crate) mod request;
mod stream;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use http::request::Parts;
use http::{HeaderMap, HeaderName, Response, StatusCode};
use tokio::sync::{mpsc, oneshot};

use problem::Problem;
use request::Accepts;
use stream::{Arrivals, BEFORE_MAX, JSON_PATIENCE, wait};

use crate::admin::access::Ends;
use crate::audit::{Asked, Extent};
use crate::envelope::{
    self, INVALID_PARAMS, INVALID_REQUEST, Incoming, METHOD_NOT_FOUND, Malformed, Outcome, PARSE_ERROR,
    SERVER_ERROR,
};
use crate::http::{Body, empty};
use crate::inflight::{Client, Entry, Meaning, Refusal, Waiter};
use crate::metrics::{Failure, Method};
use crate::pipe::{self, Link};
use crate::questions;
use crate::revision::Revision;
use crate::session::Session;
use crate::session::subscriptions::{self, TooMany};
use crate::spans::{self, Part};
use crate::state::Guard;
use crate::taken;

/// What a client names its revision in, and its session.
pub(crate) static VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(crate) static SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// One request of a client.
#[derive(Clone, Copy)]
struct Call<'a> {
    id: &'a str,
    method: &'a str,
    params: Option<&'a str>,
    /// The client's progress token, if it wants progress.
    token: Option<&'a str>,
    /// What it is part of.
    part: Part,
    /// How long the message is.
    bytes: usize,
}

/// Answers `POST /mcp`.
pub(crate) async fn post(guard: &Arc<Guard>, head: &Parts, body: &[u8], ends: Ends) -> Response<Body> {
    let result = message(guard, &head.headers, body, ends).await;
    result.unwrap_or_else(|problem| problem.response(guard))
}

/// Answers `GET /mcp`.
pub(crate) fn get(guard: &Guard, head: &Parts) -> Response<Body> {
    if Accepts::of(&head.headers) == Accepts::Json {
        let reason = "this is a stream: accept text/event-stream";
        return Problem::protocol(StatusCode::NOT_ACCEPTABLE, INVALID_REQUEST, reason).response(guard);
    }
    let opened = session(guard, &head.headers).and_then(|session| stream::open(guard, &session, head));
    opened.unwrap_or_else(|problem| problem.response(guard))
}

/// Answers `DELETE /mcp`.
pub(crate) fn delete(guard: &Guard, head: &Parts) -> Response<Body> {
    match session(guard, &head.headers) {
        Ok(session) => {
            leave(guard, &session);
            empty(StatusCode::NO_CONTENT)
        }
        Err(problem) => problem.response(guard),
    }
}

/// Ends a session, as its client wants it.
fn leave(guard: &Guard, session: &Session) {
    let link = link_of(guard, session);
    guard.sessions.end(session);
    if let Some(link) = link {
        questions::leave(&link, session);
        pipe::leave(guard, &link, session);
    }
}

async fn message(
    guard: &Arc<Guard>,
    headers: &HeaderMap,
    body: &[u8],
    ends: Ends,
) -> Result<Response<Body>, Problem> {
    let refuse = |code, reason| Err(Problem::protocol(StatusCode::BAD_REQUEST, code, reason));
    let message = match envelope::parse(body) {
        Ok(message) => message,
        Err(Malformed::Batch) => return batch::answer(guard, headers, body).await,
        Err(Malformed::NotJson) => return refuse(PARSE_ERROR, "the body is not a JSON object"),
        Err(Malformed::Invalid(reason)) => return refuse(INVALID_REQUEST, reason),
    };
    match message {
        Incoming::Request { id, method, params } if method == "initialize" => {
            greeting::initialize(guard, headers, (id, params), ends).await.map_err(|problem| problem.to(id))
        }
        Incoming::Request { id, method, params } => {
            let session = session(guard, headers).map_err(|problem| problem.to(id))?;
            let (part, bytes) = (guard.spans.begin(params, headers), body.len());
            let call = Call { id, method: &method, params, token: None, part, bytes };
            let accepts = Accepts::of(headers);
            match gate::pass(guard, &session, call, accepts).await {
                Ok(arrivals) => Ok(wait(session, arrivals, accepts, JSON_PATIENCE).await),
                Err(problem) => Err(problem.to(id)),
            }
        }
        told @ (Incoming::Notification { .. } | Incoming::Response { .. }) => {
            heard(guard, &*session(guard, headers)?, &told);
            Ok(empty(StatusCode::ACCEPTED))
        }
    }
}

/// Takes in what wants no answer.
fn heard(guard: &Guard, session: &Session, told: &Incoming<'_>) {
    match told {
        Incoming::Notification { method, params } => notify(guard, session, method, *params),
        Incoming::Response { id, outcome } => {
            if let Some(link) = link_of(guard, session) {
                questions::answer(&link, session, id, *outcome);
            }
        }
        Incoming::Request { .. } => {}
    }
}

/// Passes a request on to the child; `named` is the name in its parameters, `extent` what is written down of it.
fn begin(
    guard: &Guard,
    session: &Arc<Session>,
    call: Call<'_>,
    named: Option<String>,
    accepts: Accepts,
    extent: Extent,
) -> Result<Arrivals, Problem> {
    let link = link_of(guard, session).ok_or_else(|| Problem::unavailable(guard))?;
    if call.method == "server/discover" {
        // It belongs to the stateless era, and the pipe is in that of the handshake.
        return Err(Problem::answer(METHOD_NOT_FOUND, "this is a session, as of initialize", None));
    }
    let token = call.params.map(envelope::progress_token).transpose().map_err(|_| {
        let reason = "`_meta` or `progressToken` is wrong, or there twice";
        Problem::answer(INVALID_PARAMS, reason, Some(Failure::Protocol))
    })?;
    let call = Call { token: token.flatten(), ..call };
    let (reply, answer) = oneshot::channel();
    let (sender, before) = match accepts {
        Accepts::Json => (None, None),
        Accepts::Both | Accepts::Events => {
            let (sender, before) = mpsc::channel(BEFORE_MAX);
            (Some(sender), Some(before))
        }
    };
    // Until it is sent, so that the server hears of subscriptions in the order in which they are known here.
    let _order = guard.sessions.subscribing(call.method);
    if let Some(answer) = subscribe(guard, session, call)? {
        return Ok(answer);
    }
    let method = Method::of(call.method);
    let tool = named.filter(|_| method == Method::TOOLS_CALL);
    let own = guard.own();
    let taker = session.taker();
    let slot = taken::take(guard, &own, taker, call.method, tool.as_deref())?;
    if let Some(tool) = &tool {
        gate::note_call(guard, session.shown(), tool);
    }
    let arguments = tool.as_deref().and_then(|tool| own.audit.shown(extent, tool, call.params?));
    let asked = Asked { bytes: call.bytes, part: call.part, arguments, ..Asked::of(taker) };
    let initialized = link.initialized().unwrap_or_default();
    let wanted = guard.cache.wanted(&own.cache, link.generation, initialized, call.method, call.params);
    let started = Instant::now();
    let kept = wanted.as_ref().and_then(|wanted| guard.cache.find(wanted, started));
    wanted.iter().for_each(|wanted| guard.metrics.cached(wanted.kind(), kept.is_some()));
    let entry = Entry {
        method,
        started,
        deadline: started + own.limits.timeout(tool.as_deref(), guard.settings.request_timeout),
        is_cancelled: false,
        waiter: Waiter::Client(Box::new(Client {
            running: session.run(),
            id: call.id.into(),
            token: call.token.map(Into::into),
            before: sender,
            tool,
            asked,
            wanted: wanted.filter(|_| kept.is_none()),
            slot,
            reply,
        })),
    };
    if let Some(kept) = kept {
        entry.answer(guard, Outcome::Result(&kept));
        return Ok(Arrivals { answer, before });
    }
    send(guard, &link, entry, call)?;
    Ok(Arrivals { answer, before })
}

/// Takes note of a subscription, or of its end, which the server is only told if it is nobody else's as well.
fn subscribe(guard: &Guard, session: &Session, call: Call<'_>) -> Result<Option<Arrivals>, Problem> {
    let is_new = match call.method {
        "resources/subscribe" => true,
        "resources/unsubscribe" => false,
        _ => return Ok(None),
    };
    // Whatever has no URI the server refuses.
    let Some(uri) = call.params.and_then(subscriptions::uri) else { return Ok(None) };
    if is_new {
        session.subscriptions.add(&uri).map_err(|TooMany| {
            let reason = "this session has subscribed to as much as it may";
            Problem::answer(INVALID_PARAMS, reason, Some(Failure::Protocol))
        })?;
        return Ok(None);
    }
    session.subscriptions.remove(&uri);
    if !guard.sessions.others_subscribe(session, &uri) {
        return Ok(None);
    }
    guard.metrics.finished(Method::of(call.method), None, Meaning::Fine, std::time::Duration::ZERO);
    let (reply, answer) = oneshot::channel();
    // Its receiver is there.
    let _ = reply.send(envelope::response(call.id, Outcome::Result("{}")).into());
    Ok(Some(Arrivals { answer, before: None }))
}

fn send(guard: &Guard, link: &Link, entry: Entry, call: Call<'_>) -> Result<(), Problem> {
    let number = link.in_flight.add(entry).map_err(|refusal| match refusal {
        Refusal::Full => Problem::overloaded(guard, "too many requests are running"),
        Refusal::Ended(reason) => Problem::answer(SERVER_ERROR, reason, None),
    })?;
    let exchanged = match (call.params, call.token) {
        (Some(params), Some(token)) => {
            Some(Cow::Owned(envelope::exchange(params, token, &number.to_string())))
        }
        (params, _) => params.map(Cow::Borrowed),
    };
    let line = match (&exchanged, call.part.handed_on()) {
        (Some(params), Some(own)) => {
            envelope::request(number, call.method, Some(&spans::with_parent(params, own)))
        }
        (params, _) => envelope::request(number, call.method, params.as_deref()),
    };
    link.send(line).map_err(|_| {
        link.in_flight.take(number);
        Problem::overloaded(guard, "it does not read its input")
    })
}

/// The pipe to the child that a session talks to, as long as it is there.
fn link_of(guard: &Guard, session: &Session) -> Option<Arc<Link>> {
    match session.child {
        Some(_) => guard.private.link(session.generation),
        None => guard.link().filter(|link| link.generation == session.generation),
    }
}

fn notify(guard: &Guard, session: &Session, method: &str, params: Option<&str>) {
    let Some(link) = link_of(guard, session) else { return };
    let params = match method {
        // To a shared child the guard has said the one for itself, and asks nobody for the other.
        "notifications/initialized" | "notifications/roots/list_changed" if session.child.is_none() => return,
        "notifications/progress" => {
            let Some(params) = params else { return };
            let Ok(Some(token)) = envelope::member(params, "progressToken") else { return };
            let Some(own) = link.questions.token(session, token) else { return };
            Some(envelope::exchange(params, token, &own))
        }
        "notifications/cancelled" => {
            let Some(params) = params else { return };
            let Ok(Some(id)) = envelope::member(params, "requestId") else { return };
            // What is answered already, or belongs to somebody else, is not cancelled.
            let Some(number) = link.in_flight.find(session, id) else { return };
            link.in_flight.cancelled(number, Instant::now());
            Some(envelope::exchange(params, id, &number.to_string()))
        }
        _ => params.map(str::to_owned),
    };
    let mut line = envelope::notification(method, params.as_deref());
    line.push(b'\n');
    if link.send(line).is_err() {
        tracing::debug!(method, "a notification was lost: the server does not read its input");
    }
}

fn session(guard: &Guard, headers: &HeaderMap) -> Result<Arc<Session>, Problem> {
    if let Some(version) = headers.get(&VERSION)
        && version.to_str().ok().and_then(Revision::of).is_none()
    {
        let reason = format!("unsupported protocol version (supported: {})", Revision::names());
        return Err(Problem::protocol(StatusCode::BAD_REQUEST, SERVER_ERROR, reason));
    }
    let id = headers.get(&SESSION).ok_or_else(|| {
        let reason = "the header Mcp-Session-Id is missing: initialize first";
        Problem::protocol(StatusCode::BAD_REQUEST, SERVER_ERROR, reason)
    })?;
    let session = id.to_str().ok().and_then(|id| guard.sessions.find(id, Instant::now()));
    session.ok_or_else(Problem::session_not_found)
}
