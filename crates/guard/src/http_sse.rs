//! Owns HTTP+SSE, the transport of the revision 2024-11-05, for clients that still use it.
//!
//! `GET /sse` is a stream. Its first event is `endpoint`, whose data is the path to which the client POSTs its messages;
//! they are answered with 202, and all that the server says comes as events `message` on the stream. There is no
//! resumption: the end of the stream is the end of its session, of a child of its own, and of the calls that run.
//!
//! Nothing that holds for a client of `/mcp` is written a second time here: behind each stream is a session of `/mcp`
//! (of a child or of an upstream), opened by the client's own `initialize`; every message goes in by the same door
//! (`endpoint`), and what comes out, in whichever form, goes on to the stream (`answers`, `listening`).

mod answers;
mod connection;
mod listening;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode, header};
use hyper::body::Incoming as HttpBody;
use serde_json::value::RawValue;

use crate::admin::access::Ends;
use crate::clients::{self, Peer};
use crate::endpoint;
use crate::envelope::{self, INVALID_REQUEST, Incoming, Malformed, SERVER_ERROR};
use crate::http::{Body, empty, events, problem};
use crate::mcp::gate;
use crate::mcp::problem::Problem;
use crate::state::Guard;
use connection::Connection;
pub(crate) use connection::Connections;

/// Where a stream is opened.
pub(crate) const STREAM: &str = "/sse";
/// Where messages are posted to.
pub(crate) const MESSAGES: &str = "/messages";
/// The parameter that names the stream.
const PARAMETER: &str = "session_id";

/// Answers `GET /sse`.
pub(crate) async fn open(guard: &Arc<Guard>, mut head: Parts, peer: &Peer) -> Response<Body> {
    let user = match clients::who(guard, &head, peer).await {
        Ok(user) => user,
        Err(unknown) => return *unknown,
    };
    if user.is_some() {
        head.headers.remove(header::AUTHORIZATION);
    }
    if !guard.port.is_serving() {
        return sent_on(guard);
    }
    // Who it is is known when it initializes.
    if let Err(problem) = gate::admit(guard, "") {
        return problem.response(guard);
    }
    match connection::open(guard, head.headers, peer.ends, user) {
        Ok(stream) => events(stream),
        Err(error) => {
            problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("the system gives no random bytes: {error}"))
        }
    }
}

/// Answers `POST /messages`.
pub(crate) async fn post(guard: &Arc<Guard>, head: Parts, body: HttpBody, peer: &Peer) -> Response<Body> {
    let user = match clients::who(guard, &head, peer).await {
        Ok(user) => user,
        Err(unknown) => return *unknown,
    };
    let found = stream_of(head.uri.query()).and_then(|id| guard.http_sse.find(&id));
    // Somebody else's stream is one that nobody knows.
    let Some(connection) = found.filter(|connection| connection.user == user) else {
        if !guard.port.is_serving() {
            return sent_on(guard);
        }
        return Problem::session_not_found().response(guard);
    };
    match endpoint::read(guard, &head, body).await {
        Ok(body) => message(guard, &connection, &head, body, peer.ends).await,
        Err(problem) => problem.response(guard),
    }
}

/// Says that another guard has the port now, to whoever comes by a connection that it had before.
fn sent_on(guard: &Guard) -> Response<Body> {
    Problem::unreachable("another guard has this port now: connect again".to_owned()).response(guard)
}

pub(crate) fn stream_of(query: Option<&str>) -> Option<String> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query?).ok()?;
    pairs.into_iter().find(|(name, _)| name == PARAMETER).map(|(_, value)| value)
}

/// Takes in what a client has posted.
async fn message(
    guard: &Arc<Guard>,
    connection: &Arc<Connection>,
    head: &Parts,
    body: Bytes,
    ends: Ends,
) -> Response<Body> {
    let inner = connection.request(&http::Method::POST, &head.headers);
    let (ids, opens) = match envelope::parse(&body) {
        Ok(Incoming::Request { id, method, .. }) => (vec![id.into()], method == "initialize"),
        Ok(Incoming::Notification { method, .. }) => {
            let begins = method == "notifications/initialized";
            let answered = endpoint::post(guard, &inner, body, ends).await;
            if begins && answered.status().is_success() {
                connection.listen(guard);
            }
            return told(answered);
        }
        Ok(Incoming::Response { .. }) => return told(endpoint::post(guard, &inner, body, ends).await),
        Err(Malformed::Batch) => (ids_of(&body), false),
        // It is said there what is wrong with it.
        Err(Malformed::NotJson | Malformed::Invalid(_)) => {
            return endpoint::post(guard, &inner, body, ends).await;
        }
    };
    if opens && !connection.begin_session() {
        let reason = "this stream has been initialized already";
        let problem = Problem::protocol(StatusCode::OK, INVALID_REQUEST, reason);
        return refused(guard, connection, &ids, problem).await;
    }
    let Some(number) = connection.begin(ids.clone()) else {
        let problem = Problem::overloaded(guard, "too many requests of this client are running");
        return refused(guard, connection, &ids, problem).await;
    };
    let (task_guard, task_connection) = (Arc::clone(guard), Arc::clone(connection));
    let mut task = Box::pin(async move {
        let (guard, connection) = (&task_guard, &task_connection);
        let response = endpoint::post(guard, &inner, body, ends).await;
        if opens {
            answers::opened(guard, connection, response, &ids, ends).await;
        } else {
            answers::take_in(guard, connection, response, &ids).await;
        }
        connection.done(number);
    });
    // So far that it is known: what the client sends next may be about it.
    if !poll_fn(|context| Poll::Ready(task.as_mut().poll(context).is_ready())).await {
        // What a client opens is not left half open.
        if opens { drop(tokio::spawn(task)) } else { connection.spawn(task) }
    }
    empty(StatusCode::ACCEPTED)
}

/// What a client hears that has told something: 202, or why it was not taken.
fn told(answered: Response<Body>) -> Response<Body> {
    if answered.status().is_success() { empty(StatusCode::ACCEPTED) } else { answered }
}

/// Says on the stream why these requests are not carried out.
async fn refused(
    guard: &Arc<Guard>,
    connection: &Arc<Connection>,
    ids: &[Box<str>],
    problem: Problem,
) -> Response<Body> {
    let message = problem.message(guard);
    let error = std::str::from_utf8(&message).ok().and_then(|text| envelope::member(text, "error").ok()?);
    for id in ids {
        let error = error.map(|error| envelope::response(id, envelope::Outcome::Error(error)));
        let error = error.unwrap_or_else(|| envelope::error(Some(id), SERVER_ERROR, "it was refused"));
        connection.say(guard, &error).await;
    }
    empty(StatusCode::ACCEPTED)
}

/// The ids of the requests in a batch.
fn ids_of(body: &[u8]) -> Vec<Box<str>> {
    let messages: Vec<&RawValue> = serde_json::from_slice(body).unwrap_or_default();
    let ids = messages.into_iter().filter_map(|message| match envelope::parse(message.get().as_bytes()) {
        Ok(Incoming::Request { id, .. }) => Some(id.into()),
        _ => None,
    });
    ids.collect()
}
