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

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method as Verb, Request, Response, StatusCode, Uri};
use http_body_util::{Either, Full};
use hyper::body::Incoming as HttpBody;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use process::control::Phase;
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use events::Events;
#[cfg(feature = "fuzzing")]
pub(crate) use headers::forwarded as forwarded_headers;
pub(crate) use headers::is_stream;
pub(crate) use relayed::Relayed;
pub(crate) use running::Running;
pub(crate) use seen::Seen;
pub(crate) use watch::run;

use crate::admin::access::Ends;
use crate::audit::Asked;
use crate::http::{Body, KEEPALIVE_SECONDS, Streamed, json};
use crate::mcp::gate;
use crate::mcp::problem::Problem;
use crate::metrics::{Failure, Method};
use crate::spans;
use crate::state::Guard;
use crate::taken;
use answered::Answered;
use headers::{forwarded, strip};
use message::{Kind, Message, read};
use own::Own;
use seen::Session;

pub(crate) const SESSION: &str = "mcp-session-id";
pub(crate) const VERSION: &str = "mcp-protocol-version";
/// On one machine, or in one room, a connection takes a millisecond.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Node.js closes a connection that has not been used for five seconds.
const IDLE_MAX: Duration = Duration::from_secs(4);
const IDLE_CONNECTIONS_MAX: usize = 512;
/// A server that speaks HTTP, and that somebody else has started.
pub(crate) struct Upstream {
    client: Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
    pub(crate) own: Own,
    pub(crate) seen: Seen,
    pub(crate) running: Running,
    /// Told when a client has found that nobody is there.
    pub(crate) doubtful: Notify,
}

/// Why nothing came back.
pub(crate) enum Unsent {
    /// Nobody is there: nothing was sent.
    Unreachable(String),
    /// It broke off.
    Broken(String),
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
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        // One that has gone without a word is noticed, as a client is.
        let [first, every, count] = KEEPALIVE_SECONDS;
        connector.set_keepalive(Some(Duration::from_secs(first.into())));
        connector.set_keepalive_interval(Some(Duration::from_secs(every.into())));
        connector.set_keepalive_retries(Some(count));
        connector.set_tcp_user_timeout(Some(Duration::from_secs((first + every * count).into())));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build(connector);
        Ok(Self {
            client,
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
    pub(crate) async fn send(
        &self,
        verb: Verb,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<HttpBody>, Unsent> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = verb;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        self.client.request(request).await.map_err(|error| {
            let words = crate::http::chain(&error);
            if error.is_connect() { Unsent::Unreachable(words) } else { Unsent::Broken(words) }
        })
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
    let opens = messages.as_ref().is_ok_and(|all| all.iter().any(|one| one.method == "initialize"));
    let client = if opens { gate::client_name_of(&body) } else { None };
    let first = messages.as_ref().ok().and_then(|all| all.iter().find_map(|one| one.request_id()));
    let first = first.map(str::to_owned);
    let answers = |problem: Problem| match &first {
        Some(id) => problem.to(id),
        None => problem,
    };
    if opens {
        gate::admit(guard, client.as_deref().unwrap_or_default()).map_err(answers)?;
    }
    let tool = messages.as_ref().ok().and_then(|all| all.iter().find_map(|one| one.tool.as_deref()));
    let timeout = guard.own().limits.timeout(tool, guard.settings.request_timeout);
    let params =
        messages.as_ref().ok().and_then(|all| all.first()?.params).filter(|_| opens).map(str::to_owned);
    let heard = Heard { session: &session, headers: &head.headers, bytes: body.len() };
    let mut request = hold(guard, upstream, heard, messages).await.map_err(answers)?;
    if let Some(kept) = request.as_mut().and_then(|request| kept::answer(guard, &session, request)) {
        return Ok(json(StatusCode::OK, kept));
    }
    let deadline = Instant::now() + timeout;
    let mut headers = forwarded(&head.headers);
    // The message goes through as it is; what the guard is part of stands in the head.
    let own = request.as_ref().and_then(running::Request::handed_on);
    if let Some(own) = own.and_then(|own| HeaderValue::try_from(own.to_string()).ok()) {
        headers.insert(spans::PARENT, own);
    }
    let sent = upstream.send(Verb::POST, headers, body);
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
    if opens && let Some(given) = response.headers().get(SESSION).and_then(|value| value.to_str().ok()) {
        let client = client.unwrap_or_default();
        upstream.seen.opened(
            given,
            (&client, &params.unwrap_or_default()),
            ends.client.ip(),
            std::time::Instant::now(),
        );
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
    session: &'a Session,
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
    let who = gate::Asker { client: &session.client, place: session.place, session: &session.shown };
    let messages = match messages {
        Ok(messages) => messages,
        // The upstream says what is wrong with it, unless it might take it for something else than it looks like.
        Err(_) if !guard.controls.hold().is_restricting() => return Ok(None),
        Err((code, reason)) => return Err(Problem::protocol(StatusCode::BAD_REQUEST, code, reason)),
    };
    if guard.is_draining() && messages.iter().any(|one| one.request_id().is_some()) {
        return Err(gate::draining(guard));
    }
    for _ in 0..gate::LOOKS_MAX {
        let controls = guard.controls.now();
        if controls.is_restricting() {
            for one in messages.iter().filter(|one| one.request_id().is_some()) {
                gate::check(guard, &controls, who, &one.method, one.tool.as_deref()).await?;
            }
        }
        let held = guard.controls.hold();
        if Arc::ptr_eq(&held, &controls) {
            let (own, taker, mut slots) = (guard.own(), session.taker(), Vec::new());
            for one in messages.iter().filter(|one| one.request_id().is_some()) {
                slots.extend(taken::take(guard, &own, taker, &one.method, one.tool.as_deref())?);
            }
            let is_alone = messages.len() == 1;
            let Some(one) = messages.into_iter().find(|one| one.request_id().is_some()) else {
                return Ok(None);
            };
            let wanted =
                is_alone.then(|| kept::wanted(guard, upstream, &own.cache, (session, headers), &one));
            let part = guard.spans.begin(one.params, headers);
            let arguments = one.tool.as_deref().and_then(|tool| own.audit.shown(tool, one.params?));
            let asked = Asked { bytes, part, arguments, ..Asked::of(taker) };
            let Kind::Request(id) = one.kind else { return Ok(None) };
            if one.method == "tools/call" {
                gate::note_call(guard, &session.shown, one.tool.as_deref().unwrap_or_default());
            }
            let method = Method::of(&one.method);
            let taken = upstream.running.add(guard, &id, method, one.tool, &session.shown, (asked, slots));
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
    match within(guard, upstream.send(Verb::GET, forwarded(&head.headers), Bytes::new())).await {
        Ok(response) => {
            let (mut head, body) = response.into_parts();
            strip(&mut head.headers);
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
    match within(guard, upstream.send(Verb::DELETE, forwarded(&head.headers), Bytes::new())).await {
        Ok(response) => {
            let (mut head, body) = response.into_parts();
            strip(&mut head.headers);
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
    sent: impl Future<Output = Result<Response<HttpBody>, Unsent>>,
) -> Result<Response<HttpBody>, Unsent> {
    let timeout = guard.settings.request_timeout;
    let late = || Unsent::Unreachable(format!("it has not answered within {} s", timeout.as_secs_f64()));
    tokio::time::timeout(timeout, sent).await.unwrap_or_else(|_| Err(late()))
}

fn session_id(head: &Parts) -> Option<&str> {
    head.headers.get(SESSION).and_then(|value| value.to_str().ok())
}
