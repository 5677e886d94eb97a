//! Owns who looks at pages: in by a token's word, known by a cookie, out again; and that whatever changes something brings
//! the word of its session.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Query, Request, State};
use axum::http::header::{COOKIE, LOCATION, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse as _, Response};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;

use super::session::RANDOM_BYTES;
use super::{Web, outside, shown};
use crate::api::{Closed, peer};
use crate::clock;
use crate::config::Config;
use crate::tokens::Token;

/// The largest form, in bytes: the longest text of a person, written as forms write it.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// Who has come in.
#[derive(Clone)]
pub(super) struct Guest {
    /// Their token, as it stands now.
    pub(super) token: Token,
    /// The word that their forms bring back.
    pub(super) csrf: String,
    /// What their cookie holds.
    pub(super) cookie: String,
}

/// What a form says, its word taken out.
#[derive(Clone, Default)]
pub(super) struct Fields(BTreeMap<String, String>);

/// Where somebody wants to go from the door.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Way {
    #[serde(default)]
    next: String,
}

/// Lets whoever is signed in pass to the page, and shows others the door.
pub(super) async fn signed_in(State(web): State<Arc<Web>>, mut request: Request, next: Next) -> Response {
    let Some(guest) = guest(&web, request.headers()) else { return to_the_door(&request) };
    if request.method() == Method::POST {
        let (head, body) = request.into_parts();
        let Ok(bytes) = to_bytes(body, FORM_BYTES_MAX).await else {
            let words = format!("a form has {FORM_BYTES_MAX} bytes at most");
            return shown::message(&guest, StatusCode::PAYLOAD_TOO_LARGE, &words);
        };
        let Some(fields) = Fields::of(&bytes, &guest.csrf) else {
            return shown::message(
                &guest,
                StatusCode::FORBIDDEN,
                "this is no form of this session: load the page again",
            );
        };
        request = Request::from_parts(head, axum::body::Body::empty());
        request.extensions_mut().insert(fields);
    }
    request.extensions_mut().insert(guest);
    next.run(request).await
}

/// Who comes with these headers; nobody where the session is over, or its token.
fn guest(web: &Web, headers: &HeaderMap) -> Option<Guest> {
    let (config, now_ms) = (&web.flow.world.config, clock::now_ms());
    let cookie = cookie(config, headers)?;
    let known = web.sessions.using(&cookie, now_ms)?;
    match web.flow.door.still(config, &known.token, now_ms) {
        Some(token) => Some(Guest { token, csrf: known.csrf, cookie }),
        None => {
            web.sessions.close(&cookie);
            None
        }
    }
}

fn to_the_door(request: &Request) -> Response {
    if request.uri().path() == super::EVENTS {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if *request.method() != Method::GET {
        let words = "Nobody is signed in here any more: nothing was done.";
        return (StatusCode::UNAUTHORIZED, Html(web::login("/incidents", Some(words)))).into_response();
    }
    let here = request.uri().path_and_query().map_or("/", |here| here.as_str());
    let site = request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site == Some(b"cross-site") {
        // A link of somebody else brings no cookie along. From a page of ours, one moment later, it does.
        return Html(web::onward(here)).into_response();
    }
    let query = serde_urlencoded::to_string([("next", here)]).unwrap_or_default();
    see_other(&format!("/login?{query}"))
}

/// The door.
pub(super) async fn show(Query(way): Query<Way>) -> Response {
    Html(web::login(&way.next, None)).into_response()
}

/// What is typed at the door.
#[derive(Deserialize)]
pub(super) struct Typed {
    word: String,
    #[serde(default)]
    next: String,
}

/// Somebody types the word of a token.
pub(super) async fn come_in(State(web): State<Arc<Web>>, request: Request) -> Response {
    let unclear = || (StatusCode::FORBIDDEN, "nobody knows where this comes from\n").into_response();
    let Some(peer) = peer(&request) else { return unclear() };
    let config = &web.flow.world.config;
    let (head, body) = request.into_parts();
    let typed = to_bytes(body, FORM_BYTES_MAX).await.ok();
    let typed = typed.and_then(|bytes| serde_urlencoded::from_bytes::<Typed>(&bytes).ok());
    let Some(Typed { word, next }) = typed else {
        return (StatusCode::BAD_REQUEST, "this is no form of the door\n").into_response();
    };
    let now_ms = clock::now_ms();
    let token = match web.flow.door.enter(config, peer, Some(word.trim()), now_ms) {
        Ok(token) => token,
        Err(closed) => return stays_out(&closed, &next),
    };
    let mut random = [0; RANDOM_BYTES];
    if let Err(error) = getrandom::fill(&mut random) {
        tracing::error!(%error, "there is no randomness for a session");
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    // A session that the browser had before ends here: nobody goes on in one that somebody else has begun.
    if let Some(before) = cookie(config, &head.headers) {
        web.sessions.close(&before);
    }
    let value = web.sessions.open(&token.id, &random, now_ms);
    tracing::info!(token = token.id, name = token.name, "somebody has signed in");
    let by_tls = outside::is_by_tls(&head.headers);
    let secure = if by_tls { "; Secure" } else { "" };
    let set =
        format!("{}={value}; HttpOnly; SameSite=Strict; Path=/{secure}", names(config)[usize::from(by_tls)]);
    let mut response = see_other(if is_way(&next) { &next } else { "/" });
    if let Ok(set) = HeaderValue::from_str(&set) {
        response.headers_mut().insert(SET_COOKIE, set);
    }
    response
}

fn stays_out(closed: &Closed, next: &str) -> Response {
    let (status, words) = closed.told();
    let mut response = (status, Html(web::login(next, Some(&words)))).into_response();
    if let Closed::Wait(seconds) = closed {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(*seconds));
    }
    response
}

/// Somebody leaves.
pub(super) async fn leave(
    State(web): State<Arc<Web>>,
    axum::Extension(guest): axum::Extension<Guest>,
) -> Response {
    web.sessions.close(&guest.cookie);
    let mut response = see_other("/login");
    for name in names(&web.flow.world.config) {
        let gone = format!("{name}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
        if let Ok(gone) = HeaderValue::from_str(&gone) {
            response.headers_mut().append(SET_COOKIE, gone);
        }
    }
    response
}

/// Sends a browser to a page.
pub(super) fn see_other(to: &str) -> Response {
    match HeaderValue::from_str(to) {
        Ok(to) => (StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// The names of our cookie: with and without TLS. Ports of one machine share their cookies, so that it has ours.
fn names(config: &Config) -> [String; 2] {
    let port = config.listen.port();
    [format!("paramedic_{port}"), format!("__Host-paramedic_{port}")]
}

/// What our cookie holds.
fn cookie(config: &Config, headers: &HeaderMap) -> Option<String> {
    let names = names(config);
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let ours = pairs.filter(|(name, _)| names.iter().any(|one| one == name));
    ours.map(|(_, value)| value.to_owned()).next_back()
}

/// Whether this is a page of ours, and not an address of somebody else.
fn is_way(next: &str) -> bool {
    next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

// === impl Fields ===

impl Fields {
    /// What a form says that brings this word.
    fn of(bytes: &[u8], csrf: &str) -> Option<Self> {
        let mut fields: BTreeMap<String, String> =
            serde_urlencoded::from_bytes::<Vec<(String, String)>>(bytes).ok()?.into_iter().collect();
        let given = fields.remove("csrf")?;
        bool::from(given.as_bytes().ct_eq(csrf.as_bytes())).then_some(Self(fields))
    }

    /// A field; empty where there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |value| value.trim())
    }

    /// The fields whose names begin so, without that.
    pub(super) fn beginning(&self, with: &str) -> BTreeMap<String, String> {
        let named =
            |(name, value): (&String, &String)| Some((name.strip_prefix(with)?.to_owned(), value.clone()));
        self.0.iter().filter_map(named).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_from_the_door_leads_to_a_page_of_ours() {
        for good in ["/", "/incidents/I-1?x=%2F", "/servers/a"] {
            assert!(is_way(good), "{good}");
        }
        for bad in ["", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nx: y", "/ä"] {
            assert!(!is_way(bad), "{bad}");
        }
    }

    #[test]
    fn a_form_brings_the_word_of_its_session() {
        let fields = Fields::of(b"csrf=w&reason=a+b&value.X=1", "w").unwrap();
        assert_eq!((fields.get("reason"), fields.get("none")), ("a b", ""));
        assert_eq!(fields.beginning("value."), BTreeMap::from([("X".to_owned(), "1".to_owned())]));
        for bytes in ["reason=a", "csrf=&reason=a", "csrf=W", "csrf=ww", ""] {
            assert!(Fields::of(bytes.as_bytes(), "w").is_none(), "{bytes}");
        }
    }
}
