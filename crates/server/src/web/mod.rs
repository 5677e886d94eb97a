//! Owns the pages of `serve` on the address of `listen`: who may see them, what they show, and what their forms do.
//!
//! A page is a path (`pages`) and the parts that stand there for whoever looks; `stream` tells browsers of parts that have
//! changed. A form is sent to the path of what it is about, and does what the API does.

mod asking;
mod door;
mod fleet;
mod incidents;
mod journal;
mod library;
mod outside;
mod pages;
mod servers;
mod session;
mod shown;
mod stream;

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use crate::api;
use crate::flow::Flow;
use asking::Hours;
use journal::Checks;
pub(crate) use outside::is_ours;
use session::Sessions;
use stream::Streams;

/// Where browsers hear of what has changed.
const EVENTS: &str = "/events";

/// What all pages share.
pub(crate) struct Web {
    flow: Arc<Flow>,
    sessions: Sessions,
    streams: Streams,
    hours: Hours,
    checks: Arc<Checks>,
    /// Stands where the word of a session belongs in what is rendered once for several of them. Nobody can guess it.
    csrf_mark: String,
}

/// What the network address offers: the API, and beside it the pages.
pub(crate) fn public(flow: Arc<Flow>) -> Router {
    api::public(Arc::clone(&flow)).merge(routes(flow))
}

fn routes(flow: Arc<Flow>) -> Router {
    let mut random = [0; 16];
    // Without randomness nobody gets a session either.
    let _ = getrandom::fill(&mut random);
    let csrf_mark = format!("csrf-{}", checksum::hex::write(&random));
    let web = Arc::new(Web {
        flow,
        sessions: Sessions::default(),
        streams: Streams::default(),
        hours: Hours::default(),
        checks: Arc::default(),
        csrf_mark,
    });
    let signed_in = Router::new()
        .route(EVENTS, get(stream::events))
        .route("/logout", post(door::leave))
        .route("/incidents/{id}/{act}", post(incidents::act).get(incidents::report))
        .route("/incidents/{id}/kept/{sha256}", get(incidents::kept))
        .route("/servers/{name}/{act}", post(servers::act))
        .fallback(pages::show)
        .layer(from_fn_with_state(Arc::clone(&web), door::signed_in));
    Router::new()
        .route("/login", get(door::show).post(door::come_in))
        .route("/assets/{mark}/{name}", get(asset))
        // Browsers ask for it with a page that names none, such as a report.
        .route("/favicon.ico", get(async || StatusCode::NO_CONTENT))
        .merge(signed_in)
        .layer(from_fn_with_state(Arc::clone(&web), outside::check))
        .with_state(web)
}

/// A file that pages load: found by its whole path among those that there are.
async fn asset(uri: Uri, Path(_): Path<(String, String)>) -> Response {
    match web::assets().iter().find(|one| one.path == uri.path()) {
        Some(one) => {
            let kept = (CACHE_CONTROL, "public, max-age=31536000, immutable");
            ([(CONTENT_TYPE, one.kind), kept], one.text).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
