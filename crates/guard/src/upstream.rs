//! Owns `/mcp` in front of a server that speaks Streamable HTTP itself: passed through, read along, and held to the controls.
//!
//! Sessions are the upstream's: clients get its own `Mcp-Session-Id`, and its 404 when it has forgotten one. An upstream
//! that says 400 to a session which it has given out itself is a common way to say the same, and becomes 404, so that
//! clients initialize again; nothing is ever half alive. Streams go through as they come (`relayed`). `Host` is the
//! upstream's own, `Authorization` is passed on: the guard stands in front of this one server, and is the same resource.
//! What was sent is never sent again, unless the connection had ended before anything of it was.

mod answered;
mod events;
mod headers;
mod kept;
mod message;
mod own;
mod relayed;
mod running;
mod seen;
mod watch;
mod wire;

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method as Verb, Response, StatusCode, Uri};
use http_body_util::Either;
use process::control::Phase;
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use events::Events;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use headers::forwarded as forwarded_headers;
pub(crate) use headers::is_stream;
pub(crate) use relayed::Relayed;
pub(crate) use running::Running;
pub(crate) use seen::Seen;
pub(crate) use watch::run;

use crate::admin::access::Ends;
use crate::audit::Asked;
use crate::clock;
use crate::http::{Body, Streamed, json};
use crate::mcp::SESSION;
use crate::mcp::gate;
use crate::mcp::problem::Problem;
use crate::metrics::{Failure, Method};
use crate::spans;
use crate::state::Guard;
use crate::taken;
use answered::Answered;
use headers::forwarded;
use message::{Message, read};
use own::Own;
use seen::Session;
pub(crate) use wire::Broken;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use wire::read_whole;
use wire::{Flow, Unsent, Wire};

/// A server that speaks HTTP, and that somebody else has started.
pub(crate) struct Upstream {
    wire: Wire,
    uri: Uri,
    pub(crate) own: Own,
    pub(crate) seen: Seen,
    pub(crate) running: Running,
    /// Told when a client has found that nobody is there.
    pub(crate) doubtful: Notify,
}

// === impl Upstream, Unsent ===

impl Upstream {
    /// The upstream at this URL. Nothing is connected yet.
    ///
    /// # Errors
    /// When it is no URL of HTTP, in words.
    pub(crate) fn new(url: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("it is no URL: {error}"))?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http"), Some(_)) => {}
            (Some("https"), _) => {
                return Err(
                    "TLS towards the upstream is not supported: put the guard on its machine".to_owned()
                );
            }
            _ => return Err("it is no URL like http://127.0.0.1:3001/mcp".to_owned()),
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("a password has no place in it".to_owned());
        }
        Ok(Self {
            wire: Wire::new(&uri),
            uri,
            own: Own::default(),
            seen: Seen::default(),
            running: Running::default(),
            doubtful: Notify::new(),
        })
    }

    pub(crate) fn url(&self) -> String {
        self.uri.to_string()
    }

    /// Sends a request with these headers, and waits for the head of the answer.
    pub(crate) async fn send<'h>(
        &self,
        verb: &Verb,
        headers: impl Iterator<Item = (&'h HeaderName, &'h HeaderValue)>,
        body: Bytes,
    ) -> Result<Response<Flow>, Unsent> {
        self.wire.send(verb, headers, body).await
    }

    /// Closes connections that nobody has used for some seconds.
    fn reap(&self, now: std::time::Instant) {
        self.wire.reap(now);
    }
}

impl Unsent {
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Unreachable(words) => format!("the upstream is not reachable: {words}"),
            Self::Broken(words) => format!("the upstream has broken off: {words}"),
        }
    }

    /// What a client is told; whoever looks after the upstream looks at once.
    fn problem(&self, guard: &Guard) -> Problem {
        if let Some(upstream) = guard.upstream.as_ref().filter(|_| guard.state().phase == Phase::Ready) {
            upstream.doubtful.notify_one();
        }
        let name = &guard.settings.name;
        match self {
            Self::Unreachable(_) => Problem::unreachable(format!("server `{name}`: {}", self.words())),
            Self::Broken(_) => Problem::lost(format!(
                "server `{name}`: {}; the request is not repeated, and may or may not have been carried out",
                self.words()
            )),
        }
    }
}

/// Answers `POST /mcp`.
pub(crate) async fn post(
    guard: &Arc<Guard>,
    upstream: &Upstream,
    head: &Parts,
    body: Bytes,
    ends: Ends,
) -> Response<Body> {
    let answered = pass(guard, upstream, head, body, ends).await;
    answered.unwrap_or_else(|problem| problem.response(guard))
}

async fn pass(
    guard: &Arc<Guard>,
    upstream: &Upstream,
    head: &Parts,
    body: Bytes,
    ends: Ends,
) -> Result<Response<Body>, Problem> {
    let id = session_id(head);
    let session = upstream.seen.of(id, ends.client.ip(), std::time::Instant::now());
    let messages = read(&body);
    let all = messages.as_deref().unwrap_or_default();
    let first = all.iter().find_map(|one| one.id);
    let answers = |problem: Problem| match first {
        Some(id) => problem.to(id),
        None => problem,
    };
    let opens = all.iter().any(|one| one.method == "initialize");
    let client = if opens { gate::client_name_of(&body) } else { None };
    if opens {
        gate::admit(guard, client.as_deref().unwrap_or_default()).map_err(answers)?;
    }
    let tool = all.iter().find_map(|one| one.tool.as_deref());
    let timeout = guard.own().limits.timeout(tool, guard.settings.request_timeout);
    let params = all.first().and_then(|one| one.params).filter(|_| opens);
    let heard = Heard { session: &session, headers: &head.headers, bytes: body.len() };
    let mut request = hold(guard, upstream, heard, messages).await.map_err(answers)?;
    if let Some(kept) = request.as_mut().and_then(|request| kept::answer(guard, &session, request)) {
        return Ok(json(StatusCode::OK, kept));
    }
    let deadline = Instant::now() + timeout;
    // The message goes through as it is; what the guard is part of stands in the head.
    let own = request.as_ref().and_then(running::Request::handed_on);
    let own = own.and_then(|own| HeaderValue::try_from(own.to_string()).ok());
    let theirs = forwarded(&head.headers).filter(|(name, _)| own.is_none() || **name != spans::HEADER);
    let headers = theirs.chain(own.iter().map(|own| (&spans::HEADER, own)));
    let sent = upstream.send(&Verb::POST, headers, body.clone());
    let response = match tokio::time::timeout_at(deadline, sent).await {
        Ok(Ok(response)) => response,
        Ok(Err(unsent)) => {
            fail(&mut request, &unsent.words(), Failure::Internal);
            return Err(answers(unsent.problem(guard)));
        }
        Err(_) => {
            let seconds = timeout.as_secs_f64();
            let reason = format!("server `{}` has not answered within {seconds} s", guard.settings.name);
            fail(&mut request, &reason, Failure::Timeout);
            return Err(answers(Problem::lost(reason)));
        }
    };
    if opens && let Some(given) = response.headers().get(&SESSION).and_then(|value| value.to_str().ok()) {
        let greeted = (client.as_deref().unwrap_or_default(), params.unwrap_or_default());
        upstream.seen.opened(given, greeted, ends.client.ip(), std::time::Instant::now());
    }
    let answer = Answered { guard, upstream, session: &session, id, deadline };
    answer.finish(response, request).await.map_err(answers)
}

fn fail(request: &mut Option<running::Request>, reason: &str, failure: Failure) {
    if let Some(request) = request {
        request.failed(&serde_json::json!({ "message": reason }).to_string(), failure);
    }
}

/// What is known of a request beside its messages.
#[derive(Clone, Copy)]
struct Heard<'a> {
    session: &'a Arc<Session>,
    headers: &'a HeaderMap,
    bytes: usize,
}

/// Holds the messages to the controls and the limits, and notes the request among them that an answer is awaited for.
async fn hold(
    guard: &Arc<Guard>,
    upstream: &Upstream,
    Heard { session, headers, bytes }: Heard<'_>,
    messages: Result<Vec<Message<'_>>, (i32, &'static str)>,
) -> Result<Option<running::Request>, Problem> {
    let who = gate::Asker { taker: session.taker(), place: session.place };
    let messages = match messages {
        Ok(messages) => messages,
        // The upstream says what is wrong with it, unless it might take it for something else than it looks like.
        Err(_) if !guard.is_forbidding() => return Ok(None),
        Err((code, reason)) => return Err(Problem::protocol(StatusCode::BAD_REQUEST, code, reason)),
    };
    if guard.is_draining() && messages.iter().any(|one| one.id.is_some()) {
        return Err(gate::draining(guard));
    }
    for one in messages.iter().filter(|one| one.id.is_some()) {
        gate::inspect(guard, who, one.tool.as_deref(), one.params).await?;
    }
    for _ in 0..gate::LOOKS_MAX {
        let controls = guard.controls.now();
        if controls.is_restricting() {
            for one in messages.iter().filter(|one| one.id.is_some()) {
                gate::check(guard, &controls, who, &one.method, one.tool.as_deref()).await?;
            }
        }
        let held = guard.controls.hold();
        if Arc::ptr_eq(&held, &controls) {
            let (own, taker, mut slots) = (guard.own(), session.taker(), Vec::new());
            for one in messages.iter().filter(|one| one.id.is_some()) {
                slots.extend(taken::take(guard, &own, taker, &one.method, one.tool.as_deref())?);
            }
            let is_alone = messages.len() == 1;
            let request = messages.into_iter().find_map(|one| Some((one.id?, one)));
            let Some((id, one)) = request else { return Ok(None) };
            let wanted =
                is_alone.then(|| kept::wanted(guard, upstream, &own.cache, (session, headers), &one));
            let part = guard.spans.begin(one.params, headers);
            let extent = held.extent(clock::now_ms());
            let arguments = one.tool.as_deref().and_then(|tool| own.audit.shown(extent, tool, one.params?));
            let asked = Asked { bytes, part, arguments, ..Asked::of(taker) };
            if one.method == "tools/call" {
                gate::note_call(guard, &session.shown, one.tool.as_deref().unwrap_or_default());
            }
            let method = Method::of(&one.method);
            let taken = upstream.running.add(guard, id, method, one.tool, session, (asked, slots));
            let wanted = wanted.flatten();
            return taken
                .map(|request| Some(request.keeping(wanted)))
                .ok_or_else(|| Problem::overloaded(guard, "too many requests are running"));
        }
    }
    Err(Problem::overloaded(guard, "what is allowed changes all the time"))
}

/// Answers `GET /mcp`.
pub(crate) async fn get(guard: &Arc<Guard>, upstream: &Upstream, head: &Parts, ends: Ends) -> Response<Body> {
    let id = session_id(head);
    let session = upstream.seen.of(id, ends.client.ip(), std::time::Instant::now());
    if let Err(problem) = gate::admit(guard, &session.client) {
        return problem.response(guard);
    }
    match within(guard, upstream.send(&Verb::GET, forwarded(&head.headers), Bytes::new())).await {
        Ok(response) => {
            let (mut head, body) = response.into_parts();
            if head.status == StatusCode::NOT_FOUND {
                id.inspect(|id| upstream.seen.over(id));
            }
            let relayed = if is_stream(&head.headers) {
                head.headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
                Relayed::stream(guard, body, &session, id.and_then(|id| upstream.seen.stream(id)))
            } else {
                Relayed::raw(guard, body, &session)
            };
            Response::from_parts(head, Either::Right(Streamed::Relayed(Box::new(relayed))))
        }
        Err(unsent) => unsent.problem(guard).response(guard),
    }
}

/// Answers `DELETE /mcp`.
pub(crate) async fn delete(
    guard: &Arc<Guard>,
    upstream: &Upstream,
    head: &Parts,
    ends: Ends,
) -> Response<Body> {
    let id = session_id(head);
    let session = upstream.seen.of(id, ends.client.ip(), std::time::Instant::now());
    match within(guard, upstream.send(&Verb::DELETE, forwarded(&head.headers), Bytes::new())).await {
        Ok(response) => {
            let (head, body) = response.into_parts();
            if head.status.is_success() || head.status == StatusCode::NOT_FOUND {
                id.inspect(|id| upstream.seen.over(id));
            }
            let relayed = Relayed::raw(guard, body, &session);
            Response::from_parts(head, Either::Right(Streamed::Relayed(Box::new(relayed))))
        }
        Err(unsent) => unsent.problem(guard).response(guard),
    }
}

/// Waits for the head of an answer as long as a request may take.
async fn within(
    guard: &Guard,
    sent: impl Future<Output = Result<Response<Flow>, Unsent>>,
) -> Result<Response<Flow>, Unsent> {
    let timeout = guard.settings.request_timeout;
    let late = || Unsent::Unreachable(format!("it has not answered within {} s", timeout.as_secs_f64()));
    tokio::time::timeout(timeout, sent).await.unwrap_or_else(|_| Err(late()))
}

fn session_id(head: &Parts) -> Option<&str> {
    head.headers.get(&SESSION).and_then(|value| value.to_str().ok())
}
