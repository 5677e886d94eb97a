//! Owns the API of `serve`: HTTP with JSON, on the local socket, and by tokens on the address of `listen`.
//!
//! Whoever may open the socket (mode 0600) may do everything. On the network health and metrics are for everybody, the rest
//! is for whoever has a token with the role that it takes, and whoever knows the word of `[inbound]` may tell of alerts.
//! Spans come from this machine by either.

mod access;
mod alerts;
mod backend;
pub(crate) mod exposition;
mod handlers;
mod inbound;
pub mod prometheus;
mod reading;
mod tokens;
mod traces;
mod undo;
pub mod wire;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::config::Config;
use crate::flow::Flow;
use crate::tokens::Role;

pub(crate) use access::{Closed, Door, peer};
pub(crate) use handlers::Failure;

/// The largest request body, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The local socket of the `serve` of a configuration.
pub fn socket_path(config: &Config) -> PathBuf {
    config.run_dir.join("paramedic.sock")
}

/// What the local socket offers.
pub(crate) fn local(flow: Arc<Flow>) -> Router {
    let routes = ROLES.into_iter().fold(public_routes(), |routes, role| routes.merge(of_role(role)));
    // What a command has changed on this machine is told from this machine.
    let routes = routes.route("/api/v1/changes", post(undo::note_change));
    routes.layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).with_state(flow)
}

/// What the network address offers: the rest takes a token.
pub(crate) fn public(flow: Arc<Flow>) -> Router {
    let mut routes = public_routes();
    if flow.world.config.inbound.token.is_some() {
        routes = routes
            .route("/api/v1/alerts/alertmanager", post(inbound::alertmanager))
            .route("/api/v1/alerts/webhook", post(inbound::webhook));
    }
    for role in ROLES {
        let admit = from_fn_with_state((Arc::clone(&flow), role), access::admit);
        routes = routes.merge(of_role(role).route_layer(admit));
    }
    routes.layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).with_state(flow)
}

const ROLES: [Role; 4] = [Role::Viewer, Role::Responder, Role::Approver, Role::Admin];

/// What takes this role, and no higher one.
fn of_role(role: Role) -> Router<Arc<Flow>> {
    let routes = Router::new();
    match role {
        Role::Viewer => routes
            .route("/api/v1/incidents", get(handlers::incidents))
            .route("/api/v1/incidents/{id}", get(handlers::incident))
            .route("/api/v1/incidents/{id}/report", get(reading::report))
            .route("/api/v1/incidents/{id}/watch", get(reading::watch))
            .route("/api/v1/would", get(reading::would))
            .route("/api/v1/backend/{what}", get(backend::ask))
            .route("/api/v1/alerts", get(alerts::alerts))
            .route("/api/v1/traces", get(traces::list))
            .route("/api/v1/traces/{id}", get(traces::show))
            .route("/api/v1/silences", get(alerts::silences))
            .route("/api/v1/servers", get(handlers::servers))
            .route("/api/v1/servers/{name}", get(handlers::server)),
        Role::Responder => routes
            .route("/api/v1/incidents", post(handlers::open))
            .route("/api/v1/incidents/{id}/say", post(handlers::say))
            .route("/api/v1/incidents/{id}/resolve", post(handlers::resolve))
            .route("/api/v1/silences", post(alerts::silence))
            .route("/api/v1/silences/{number}/expire", post(alerts::expire)),
        Role::Approver => routes
            .route("/api/v1/incidents/{id}/approve", post(handlers::approve))
            .route("/api/v1/incidents/{id}/reject", post(handlers::reject))
            .route("/api/v1/incidents/{id}/undo", post(undo::undo))
            .route("/api/v1/servers/{name}/restart", post(handlers::restart))
            .route("/api/v1/servers/{name}/start", post(handlers::start))
            .route("/api/v1/servers/{name}/stop", post(handlers::stop)),
        Role::Admin => routes
            .route("/api/v1/tokens", get(tokens::list).post(tokens::create))
            .route("/api/v1/tokens/{typed}/revoke", post(tokens::revoke)),
    }
}

fn public_routes() -> Router<Arc<Flow>> {
    Router::new()
        .route("/health", get(handlers::health))
        .route("/metrics", get(handlers::metrics))
        .route("/v1/traces", post(traces::receive))
        .nest("/prometheus", prometheus::routes())
}
