//! Owns who may do what over the network: asked of the token before any handler runs, and closed where anything is unclear.
//!
//! Whoever opens the local socket has passed the file system's own door. Over the network a request brings the word of a
//! token; the token has a role, and maybe servers that it is for. Who acts is then its owner, whatever the message says.

mod guesses;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use guesses::Guesses;

use super::BODY_BYTES_MAX;
use super::handlers::{Failure, found};
use crate::clock;
use crate::config::Config;
use crate::flow::Flow;
use crate::inbound::bearer;
use crate::tokens::{Keyring, NoEntry, Role, Token};

/// What somebody is told who does not come in.
type Refusal = Box<Response>;

/// What the door knows: who comes in by which word, and who has tried wrong ones.
#[derive(Default)]
pub(crate) struct Door {
    keyring: Keyring,
    guesses: Guesses,
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

async fn admitted(flow: &Arc<Flow>, least: Role, request: Request) -> Result<Request, Refusal> {
    let token = token(flow, &request)?;
    if token.role < least {
        let (role, least) = (word(token.role), word(least));
        let words =
            format!("{} is {role}, and this takes {least} (`paramedic token create --role`)", token.name);
        return Err(refuse(StatusCode::FORBIDDEN, words));
    }
    let (mut head, mut body) = request.into_parts();
    let mut said = Value::Null;
    if head.method == Method::POST {
        let bytes = to_bytes(body, BODY_BYTES_MAX).await;
        let bytes = bytes.map_err(|error| refuse(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()))?;
        said = serde_json::from_slice(&bytes)
            .map_err(|error| refuse(StatusCode::BAD_REQUEST, format!("the body is no JSON: {error}")))?;
        let Value::Object(fields) = &mut said else {
            return Err(refuse(StatusCode::BAD_REQUEST, "the body is no object of JSON".to_owned()));
        };
        fields.insert("by".to_owned(), token.name.clone().into());
        head.headers.remove(CONTENT_LENGTH);
        body = Body::from(said.to_string());
    }
    within(flow, &token, head.uri.path(), &head.method, &said).await?;
    let mut request = Request::from_parts(head, body);
    request.extensions_mut().insert(token);
    Ok(request)
}

/// The token that comes with a request.
fn token(flow: &Flow, request: &Request) -> Result<Token, Refusal> {
    let unclear = || refuse(StatusCode::FORBIDDEN, "nobody knows where this comes from".to_owned());
    let peer = peer(request).ok_or_else(unclear)?;
    if request.headers().contains_key(ORIGIN) {
        return Err(refuse(StatusCode::FORBIDDEN, "this is not for pages in a browser".to_owned()));
    }
    let given = request.headers().get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    let given = given.and_then(|given| std::str::from_utf8(given).ok());
    flow.door.enter(&flow.world.config, peer, given, clock::now_ms()).map_err(|closed| {
        let (status, words) = closed.told();
        let mut response = refuse(status, words);
        match closed {
            Closed::Wait(seconds) => {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            Closed::Wrong(_) => {
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Closed::Beyond | Closed::NoList => {}
        }
        response
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
) -> Result<(), Refusal> {
    if token.servers.is_empty() {
        return Ok(());
    }
    let parts: Vec<&str> = path.trim_start_matches("/api/v1/").split('/').collect();
    let is_for = match parts[..] {
        ["servers" | "incidents"] if method == Method::GET => true,
        ["incidents"] => said["server"].as_str().is_some_and(|server| token.is_for(server)),
        ["servers", name, ..] => token.is_for(name),
        ["incidents", typed, ..] => {
            let refuse = |failure: Failure| Box::new(failure.into_response());
            let id = found(flow, typed).await.map_err(refuse)?;
            let is_for =
                flow.engine.look(|all| all.filter(|one| one.id == id).all(|one| may_see(token, one)));
            is_for.await.map_err(|error| refuse(error.into()))?
        }
        _ => false,
    };
    let words = || format!("the token of {} is for {} only", token.name, token.servers.join(", "));
    if is_for { Ok(()) } else { Err(refuse(StatusCode::FORBIDDEN, words())) }
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

fn refuse(status: StatusCode, words: String) -> Refusal {
    Box::new(Failure::new(status, words).into_response())
}
