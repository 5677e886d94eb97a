//! Owns how a page is put together for one who looks: the parts in their frame, with the word of the session.

use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse as _, Response};
use checksum::Digest;
use web::{Frame, Markup, Place, Visitor};

use super::door::Guest;
use super::pages::{Eye, view};
use super::{EVENTS, Web};
use crate::api::Failure;
use crate::clock;

/// The page at an address; `refused` is why something was not done that was asked for there.
pub(super) async fn page(web: &Web, guest: &Guest, uri: &Uri, refused: Option<Failure>) -> Response {
    let here = uri.path_and_query().map_or("/", |here| here.as_str());
    let eye = Eye::of(web, &guest.token);
    let view = match view(web, uri.path(), uri.query().unwrap_or_default(), &eye).await {
        Ok(view) => view,
        Err(Failure { status, words, .. }) => return message(guest, status, &words),
    };
    let query = serde_urlencoded::to_string([("page", here), ("seen", &digest(&view.body))]);
    let events = format!("{EVENTS}?{}", query.unwrap_or_default());
    let frame = Frame {
        title: &view.title,
        place: view.place,
        visitor: Some(visitor(guest)),
        events: Some(&events),
        now_ms: Some(clock::now_ms()),
    };
    let (status, words) = match refused {
        Some(Failure { status, words, .. }) => (status, Some(words)),
        None => (StatusCode::OK, None),
    };
    let text = frame.page(&web::body(words.as_deref(), &view.body));
    (status, Html(text.replace(&web.csrf_mark, &guest.csrf))).into_response()
}

/// A page that only says something.
pub(super) fn message(guest: &Guest, status: StatusCode, words: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("No");
    let frame =
        Frame { title, place: Place::None, visitor: Some(visitor(guest)), events: None, now_ms: None };
    (status, Html(frame.page(&web::message(title, words)))).into_response()
}

fn visitor(guest: &Guest) -> Visitor<'_> {
    Visitor { name: &guest.token.name, role: guest.token.role.name(), csrf: &guest.csrf }
}

/// What is another whenever the page is.
pub(super) fn digest(body: &Markup) -> String {
    Digest::of(body.0.as_bytes()).to_string()
}
