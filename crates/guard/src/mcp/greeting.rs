//! Owns how a client is greeted: with what the shared child has answered to the guard, or a child of its own to it.

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::problem::Problem;
use super::{SESSION, gate};
use crate::admin::access::Ends;
use crate::clock;
use crate::envelope::{self, Outcome, SERVER_ERROR};
use crate::http::{Body, json};
use crate::inflight::Meaning;
use crate::log::{About, Level};
use crate::metrics::{Failure, Method};
use crate::own::Sharing;
use crate::private::{self, Leash, NotStarted};
use crate::questions::Offers;
use crate::revision::Revision;
use crate::session::{Newcomer, Session};
use crate::spans::Over;
use crate::state::Guard;

/// Answers `initialize` with a session of its own.
pub(super) async fn initialize(
    guard: &Arc<Guard>,
    headers: &HeaderMap,
    (id, params): (&str, Option<&str>),
    ends: Ends,
) -> Result<Response<Body>, Problem> {
    let (part, started) = (guard.spans.begin(params, headers), Instant::now());
    let asked = member(params, "protocolVersion").and_then(|json| json.strip_prefix('"')?.strip_suffix('"'));
    let revision = asked.and_then(Revision::of).unwrap_or_default();
    let opened = open(guard, params, ends, revision).await;
    let failed = opened.as_ref().err().map(Problem::failed);
    let session = opened.as_ref().map_or("", |(session, _)| session.shown());
    let (method, took, failed) = (Method::INITIALIZE, started.elapsed(), failed.as_ref());
    guard.spans.over(&Over { part, method, tool: None, session, took, failed }, clock::now_ns());
    let (session, result) = opened?;
    let mut response = json(StatusCode::OK, envelope::response(id, Outcome::Result(&result)));
    let value = HeaderValue::from_str(&session.id).expect("a session's id is hexadecimal");
    response.headers_mut().insert(&SESSION, value);
    Ok(response)
}

/// Opens a session for a client that speaks this revision. Returns what it is greeted with as well.
async fn open(
    guard: &Arc<Guard>,
    params: Option<&str>,
    ends: Ends,
    revision: Revision,
) -> Result<(Arc<Session>, String), Problem> {
    let started = Instant::now();
    let client = params.and_then(gate::client_name).unwrap_or_default();
    gate::admit(guard, &client)?;
    // Where this one does not serve, nothing does.
    let link = guard.link().ok_or_else(|| Problem::unavailable(guard))?;
    let (generation, child, result) = match guard.settings.own.sessions.child {
        Sharing::Shared => {
            let result = link.initialized().ok_or_else(|| Problem::unavailable(guard))?;
            (link.generation, None, result.to_owned())
        }
        Sharing::Each => own_child(guard, params, revision).await?,
    };
    // It is there: without it, the child would not have been taken into service.
    let said = envelope::member(&result, "protocolVersion").ok().flatten().unwrap_or_default();
    let of_child = said.strip_prefix('"').and_then(|said| said.strip_suffix('"')).and_then(Revision::of);
    // A child that was asked for this revision may know only an older one, and the client then speaks that.
    let revision = if child.is_some() { of_child.unwrap_or(revision) } else { revision };
    let result = envelope::exchange(&result, said, &format!("\"{}\"", revision.name()));
    let result = gate::announcing(&result).unwrap_or(result);
    let newcomer = Newcomer {
        name: client.as_str().into(),
        address: Some(ends.client.ip()),
        offers: params.map(Offers::of).unwrap_or_default(),
        revision,
        child,
    };
    let session = guard.sessions.open(generation, newcomer, Instant::now()).map_err(|error| {
        Problem::answer(SERVER_ERROR, format!("no random bytes: {error}"), Some(Failure::Internal))
    })?;
    if session.child.is_some() && guard.private.link(generation).is_none() {
        guard.sessions.end(&session);
        return Err(Problem::unreachable(format!("server `{}` has ended meanwhile", guard.settings.name)));
    }
    guard.metrics.finished(Method::INITIALIZE, None, Meaning::Fine, started.elapsed());
    let fields = [
        ("session", session.shown().into()),
        ("client", client.into()),
        ("address", ends.client.ip().to_string().into()),
    ];
    guard.note(Level::Info, About::Audit, "session opened", fields);
    Ok((session, result))
}

/// Starts a child for this client alone, and tells it what the client says of itself.
async fn own_child(
    guard: &Arc<Guard>,
    params: Option<&str>,
    revision: Revision,
) -> Result<(u64, Option<Arc<Leash>>, String), Problem> {
    let object = |name: &str| member(params, name).filter(|json| json.starts_with('{'));
    let own = format!(
        "{{\"protocolVersion\":\"{}\",\"capabilities\":{},\"clientInfo\":{}}}",
        revision.name(),
        object("capabilities").unwrap_or("{}"),
        object("clientInfo").unwrap_or("{\"name\":\"unknown\",\"version\":\"0\"}"),
    );
    match private::start(guard, own).await {
        Ok(started) => Ok((started.link.generation, Some(started.leash), started.result)),
        Err(NotStarted::Full(most)) => {
            Err(Problem::overloaded(guard, &format!("all {most} sessions that it may have are in use")))
        }
        Err(NotStarted::Failed(reason)) => {
            let name = &guard.settings.name;
            Err(Problem::unreachable(format!(
                "server `{name}` could not be started for this session: {reason}"
            )))
        }
    }
}

fn member<'a>(params: Option<&'a str>, name: &str) -> Option<&'a str> {
    params.and_then(|params| envelope::member(params, name).ok().flatten())
}
