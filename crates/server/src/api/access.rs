//! Owns who may do what over the network: asked of the token before any handler runs, and closed where anything is unclear.
//!
//! Whoever opens the local socket has passed the file system's own door. Over the network a request brings the word of a
//! token; the token has a role, and maybe servers that it is for. Who acts is then its owner, whatever the message says.

mod guesses;

use std::net::SocketAddr;
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
    let config = &flow.world.config;
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical());
    let unclear = || refuse(StatusCode::FORBIDDEN, "nobody knows where this comes from".to_owned());
    let peer = peer.ok_or_else(unclear)?;
    if !peer.is_loopback() && !config.api.beyond_loopback {
        let words = "words of tokens are taken from this machine only: `listen` speaks no TLS (`beyond_loopback` of [api])";
        return Err(refuse(StatusCode::FORBIDDEN, words.to_owned()));
    }
    if request.headers().contains_key(ORIGIN) {
        return Err(refuse(StatusCode::FORBIDDEN, "this is not for pages in a browser".to_owned()));
    }
    let now_ms = clock::now_ms();
    if let Some(seconds) = flow.door.guesses.wait(peer, now_ms) {
        let mut response =
            refuse(StatusCode::TOO_MANY_REQUESTS, "too many wrong words came from there".to_owned());
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        return Err(response);
    }
    let given = request.headers().get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    let given = given.and_then(|given| std::str::from_utf8(given).ok());
    let found = given.map(|given| flow.door.keyring.find(config, given, now_ms));
    let words = match found {
        Some(Ok(token)) => return Ok(token),
        Some(Err(NoEntry::NoList(why))) => {
            tracing::error!("nobody comes in over the network: {why}");
            return Err(refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "the list of tokens cannot be read".to_owned(),
            ));
        }
        Some(Err(no)) => {
            flow.door.guesses.wrong(peer, now_ms);
            match no {
                NoEntry::Over(words) => words,
                _ => "nobody knows this token".to_owned(),
            }
        }
        None => "a token is needed: `Authorization: Bearer …` (`paramedic token create`)".to_owned(),
    };
    let mut response = refuse(StatusCode::UNAUTHORIZED, words);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    Err(response)
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
