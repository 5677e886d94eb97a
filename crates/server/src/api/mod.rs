//! Owns the API of `serve`: HTTP with JSON, on the local socket, and by tokens on the address of `listen`.
//!
//! Whoever may open the socket (mode 0600) may do everything. On the network health and metrics are for everybody, the rest
//! is for whoever has a token with the role that it takes, and whoever knows the word of `[inbound]` may tell of alerts.
//! Spans come from this machine by either.

mod access;
mod alerts;
mod backend;
mod change;
mod commands;
mod controls;
mod etag;
mod evidence;
pub(crate) mod exposition;
mod handlers;
mod inbound;
mod journal;
mod listing;
mod local_peer;
mod logs;
mod looks;
mod once;
mod openapi;
mod problem;
pub mod prometheus;
mod reading;
mod route;
mod routes;
mod runbooks;
mod settings;
mod signature;
mod switches;
mod tokens;
mod traces;
mod undo;
pub mod wire;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::connect_info::IntoMakeServiceWithConnectInfo;
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::routing::any;

use crate::config::Config;
use crate::flow::Flow;
use route::{Route, Who};

pub(crate) use access::{Closed, Door, peer};
pub(crate) use handlers::{carry_out, server_status};
use local_peer::LocalPeer;
pub use openapi::description;
pub(crate) use problem::{Failure, blocking};

/// The largest request body, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The local socket of the `serve` of a configuration.
pub fn socket_path(config: &Config) -> PathBuf {
    config.run_dir.join("paramedic.sock")
}

/// What the local socket offers.
pub(crate) fn local(flow: Arc<Flow>) -> IntoMakeServiceWithConnectInfo<Router, LocalPeer> {
    let routes = routes::table().filter(|route| route.who != Who::Teller);
    let add = |router: Router<Arc<Flow>>, route: Route| {
        let handler = match route.who {
            Who::Everybody | Who::Teller => route.handler,
            Who::Local | Who::Role(_) if route.method == Method::POST => {
                route.handler.route_layer(from_fn_with_state(Arc::clone(&flow), change::around))
            }
            Who::Local | Who::Role(_) => route.handler.route_layer(from_fn(etag::tagged)),
        };
        router.route(route.path, handler)
    };
    let router = finished(routes.fold(Router::new(), add), flow).layer(from_fn(local_peer::admit));
    router.into_make_service_with_connect_info()
}

/// What the network address offers: most of it takes a token.
pub(crate) fn public(flow: Arc<Flow>) -> Router {
    let is_told = flow.world.config.inbound.token.is_some();
    // What a command has changed on this machine is told from this machine.
    let routes =
        routes::table().filter(|route| route.who != Who::Local && (is_told || route.who != Who::Teller));
    let add = |router: Router<Arc<Flow>>, route: Route| {
        let Who::Role(role) = route.who else { return router.route(route.path, route.handler) };
        let handler = match route.method {
            Method::POST => route.handler.route_layer(from_fn_with_state(Arc::clone(&flow), change::around)),
            _ => route.handler.route_layer(from_fn(etag::tagged)),
        };
        let admit = from_fn_with_state((Arc::clone(&flow), role), access::admit);
        router.route(route.path, handler.route_layer(admit))
    };
    let router = routes.fold(Router::new(), add);
    let asked_by_name = from_fn_with_state(Arc::clone(&flow), access::asked_by_name);
    finished(router, flow).layer(asked_by_name)
}

/// What holds for all of it.
fn finished(routes: Router<Arc<Flow>>, flow: Arc<Flow>) -> Router {
    routes
        .route("/api/{*rest}", any(problem::unknown))
        .nest("/prometheus", prometheus::routes().layer(from_fn(change::arriving)))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(map_response(problem::of_framework))
        .with_state(flow)
}
