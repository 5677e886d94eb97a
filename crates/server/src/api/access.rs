//! Owns who may do what over the network: asked of the token before any handler runs, and closed where anything is unclear.
//!
//! Whoever opens the local socket has passed the file system's own door. Over the network a request brings the word of a
//! token; the token has a role, and maybe servers that it is for. Who acts is then its owner, whatever the message says.

mod guesses;
mod names;
mod windows;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use guesses::Guesses;
use windows::Windows;

use super::change::arrived;
use super::handlers::found;
use super::once::Keys;
use super::problem::Failure;
use crate::clock;
use crate::config::Config;
use crate::flow::Flow;
use crate::inbound::bearer;
use crate::tokens::{Keyring, NoEntry, Role, Token};

/// The file in the data directory with what was asked for under keys.
const KEYS_FILE: &str = "api-keys.jsonl";

/// What the door knows: who comes in by which word, who has tried wrong ones, who asks how often, and what was answered.
#[derive(Default)]
pub(crate) struct Door {
    keyring: Keyring,
    guesses: Guesses,
    /// Requests by the ids of tokens.
    asked: Windows<String>,
    keys: Keys,
}

/// Why a word brings nobody in.
pub(crate) enum Closed {
    /// Words are taken from this machine only.
    Beyond,
    /// Too many wrong ones came from there: for so many seconds none is looked at.
    Wait(u64),
    /// Our own list cannot be read.
    NoList,
    /// It is no word of a token that is good, for people.
    Wrong(String),
}

// === impl Door ===

impl Door {
    /// The door of a `serve`, with the keys of the one before it.
    pub(crate) fn open(config: &Config, now_ms: i64) -> Self {
        Self { keys: Keys::open(&config.data_dir.join(KEYS_FILE), now_ms), ..Self::default() }
    }

    /// What was answered under keys.
    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Whose word this is, that came from there; without one it is asked for.
    pub(crate) fn enter(
        &self,
        config: &Config,
        peer: IpAddr,
        word: Option<&str>,
        now_ms: i64,
    ) -> Result<Token, Closed> {
        if !peer.is_loopback() && !config.api.beyond_loopback {
            return Err(Closed::Beyond);
        }
        if let Some(seconds) = self.guesses.wait(peer, now_ms) {
            return Err(Closed::Wait(seconds));
        }
        let Some(word) = word else {
            let words = "a token is needed: `Authorization: Bearer …` (`paramedic token create`)";
            return Err(Closed::Wrong(words.to_owned()));
        };
        match self.keyring.find(config, word, now_ms) {
            Ok(token) => Ok(token),
            Err(NoEntry::NoList(why)) => {
                tracing::error!("nobody comes in over the network: {why}");
                Err(Closed::NoList)
            }
            Err(no) => {
                self.guesses.wrong(peer, now_ms);
                Err(Closed::Wrong(match no {
                    NoEntry::Over(words) => words,
                    _ => "nobody knows this token".to_owned(),
                }))
            }
        }
    }

    /// A token that somebody came in by, as it stands now: nothing where it is good no longer.
    pub(crate) fn still(&self, config: &Config, id: &str, now_ms: i64) -> Option<Token> {
        self.keyring.by_id(config, id, now_ms).ok()
    }
}

/// Where a request comes from.
pub(crate) fn peer(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical())
}

/// Lets a request pass that asks under a name of ours.
pub(super) async fn asked_by_name(State(flow): State<Arc<Flow>>, request: Request, next: Next) -> Response {
    let config = &flow.world.config;
    let named = request.headers().get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default());
    let named = named.chain(request.uri().authority().map(|authority| authority.as_str()));
    // Only HTTP/1.0 knows no host, and no browser speaks it.
    match named.into_iter().find(|host| !names::is_ours(config, host)) {
        None => next.run(request).await,
        Some(host) => {
            let words = format!("{host:?} is no name of this `serve` (`names` of [api])");
            Failure::new(StatusCode::MISDIRECTED_REQUEST, words).into_response()
        }
    }
}

/// Lets a request pass to its handler whose token has this role at least.
pub(super) async fn admit(
    State((flow, least)): State<(Arc<Flow>, Role)>,
    request: Request,
    next: Next,
) -> Response {
    match admitted(&flow, least, request).await {
        Ok(request) => next.run(request).await,
        Err(response) => *response,
    }
}

async fn admitted(flow: &Arc<Flow>, least: Role, request: Request) -> Result<Request, Box<Response>> {
    let token = token(flow, &request)?;
    may_ask(flow, &token)?;
    let path = request.uri().path();
    if token.role < least {
        let (role, needed) = (word(token.role), word(least));
        tracing::warn!(
            event = "audit",
            by = token.name,
            path,
            outcome = 403,
            "somebody asked for what they may not"
        );
        let words =
            format!("{} is {role}, and this takes {needed} (`paramedic token create --role`)", token.name);
        return Err(refused(Failure::new(StatusCode::FORBIDDEN, words).needing(least)));
    }
    let (mut head, mut body) = request.into_parts();
    let mut said = Value::Null;
    if head.method == Method::POST {
        let bytes = arrived(body).await.map_err(refused)?;
        said = acting(&head.headers, &bytes, &token).map_err(refused)?;
        head.headers.remove(CONTENT_LENGTH);
        body = Body::from(said.to_string());
    }
    within(flow, &token, head.uri.path(), &head.method, &said).await.map_err(refused)?;
    let mut request = Request::from_parts(head, body);
    request.extensions_mut().insert(token);
    Ok(request)
}

/// What is said, by the owner of the token.
fn acting(headers: &HeaderMap, bytes: &[u8], token: &Token) -> Result<Value, Failure> {
    let kind = headers.get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or_default());
    let is_json =
        kind.is_some_and(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "application/json"));
    if !is_json {
        let words = "the body is `application/json`, and `Content-Type` says so";
        return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, words));
    }
    let malformed = |words: String| Failure::new(StatusCode::BAD_REQUEST, words);
    let mut said =
        serde_json::from_slice(bytes).map_err(|error| malformed(format!("the body is no JSON: {error}")))?;
    let Value::Object(fields) = &mut said else {
        return Err(malformed("the body is no object of JSON".to_owned()));
    };
    fields.insert("by".to_owned(), token.name.clone().into());
    Ok(said)
}

/// Counts what a token asks for.
fn may_ask(flow: &Flow, token: &Token) -> Result<(), Box<Response>> {
    let (asked, now_ms) = (&flow.door.asked, clock::now_ms());
    let allowed = flow.world.config.api.requests_per_minute;
    if let Some(seconds) = asked.wait(&token.id, allowed, now_ms) {
        let words = format!(
            "{} asks for too much: {allowed} requests a minute (`requests_per_minute` of [api])",
            token.name
        );
        return Err(refused(Failure::new(StatusCode::TOO_MANY_REQUESTS, words).after_s(seconds)));
    }
    asked.count(token.id.clone(), now_ms);
    Ok(())
}

/// The token that comes with a request.
fn token(flow: &Flow, request: &Request) -> Result<Token, Box<Response>> {
    let refuse = |words: &str| refused(Failure::new(StatusCode::FORBIDDEN, words));
    let peer = peer(request).ok_or_else(|| refuse("nobody knows where this comes from"))?;
    if request.headers().contains_key(ORIGIN) {
        return Err(refuse("this is not for pages in a browser"));
    }
    let given = request.headers().get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    let given = given.and_then(|given| std::str::from_utf8(given).ok());
    flow.door.enter(&flow.world.config, peer, given, clock::now_ms()).map_err(|closed| {
        let (status, words) = closed.told();
        let failure = Failure::new(status, words);
        match closed {
            Closed::Wait(seconds) => refused(failure.after_s(seconds)),
            Closed::Wrong(_) => {
                let mut response = refused(failure);
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                response
            }
            Closed::Beyond | Closed::NoList => refused(failure),
        }
    })
}

// === impl Closed ===

impl Closed {
    /// What is answered, for people.
    pub(crate) fn told(&self) -> (StatusCode, String) {
        let words = match self {
            Self::Beyond => {
                "words of tokens are taken from this machine only: `listen` speaks no TLS (`beyond_loopback` of [api])"
            }
            Self::Wait(_) => "too many wrong words came from there",
            Self::NoList => "the list of tokens cannot be read",
            Self::Wrong(words) => words,
        };
        let status = match self {
            Self::Beyond => StatusCode::FORBIDDEN,
            Self::Wait(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NoList => StatusCode::SERVICE_UNAVAILABLE,
            Self::Wrong(_) => StatusCode::UNAUTHORIZED,
        };
        (status, words.to_owned())
    }
}

/// Refuses what a token that is for some servers asks of others. Lists of servers and incidents are narrowed by their
/// handlers; what is about no server in particular is not for such a token.
async fn within(
    flow: &Arc<Flow>,
    token: &Token,
    path: &str,
    method: &Method,
    said: &Value,
) -> Result<(), Failure> {
    if token.servers.is_empty() {
        return Ok(());
    }
    let parts: Vec<&str> = path.trim_start_matches("/api/v1/").split('/').collect();
    let is_for = match parts[..] {
        ["servers" | "incidents"] if method == Method::GET => true,
        ["incidents"] => said["server"].as_str().is_some_and(|server| token.is_for(server)),
        ["servers", name, ..] => token.is_for(name),
        ["incidents", typed, ..] => {
            let id = found(flow, typed).await?;
            let is_for =
                flow.engine.look(|all| all.filter(|one| one.id == id).all(|one| may_see(token, one)));
            is_for.await?
        }
        _ => false,
    };
    let words = || format!("the token of {} is for {} only", token.name, token.servers.join(", "));
    if is_for { Ok(()) } else { Err(Failure::new(StatusCode::FORBIDDEN, words())) }
}

/// Whether an incident is about servers of a token alone.
pub(super) fn may_see(token: &Token, incident: &incident::Incident) -> bool {
    token.is_for(&incident.server) && incident.members().all(|server| token.is_for(server))
}

fn word(role: Role) -> &'static str {
    match role {
        Role::Viewer => "a viewer",
        Role::Responder => "a responder",
        Role::Approver => "an approver",
        Role::Admin => "an admin",
    }
}

fn refused(failure: Failure) -> Box<Response> {
    Box::new(failure.into_response())
}
