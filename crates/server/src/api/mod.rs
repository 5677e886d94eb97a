//! Owns the API of `serve`: HTTP with JSON, whole on the local socket, health and metrics on the address of `listen`.
//!
//! Whoever may open the socket (mode 0600) may do everything; on the network nothing can be changed, and whoever knows
//! the word of `[inbound]` may tell of alerts. Spans come from this machine by either.

mod alerts;
mod backend;
pub(crate) mod exposition;
mod handlers;
mod inbound;
pub mod prometheus;
mod reading;
mod traces;
mod undo;
pub mod wire;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use crate::config::Config;
use crate::flow::Flow;

/// The largest request body, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The local socket of the `serve` of a configuration.
pub fn socket_path(config: &Config) -> PathBuf {
    config.run_dir.join("paramedic.sock")
}

/// What the local socket offers.
pub(crate) fn local(flow: Arc<Flow>) -> Router {
    public_routes()
        .route("/api/v1/incidents", get(handlers::incidents).post(handlers::open))
        .route("/api/v1/incidents/{id}", get(handlers::incident))
        .route("/api/v1/incidents/{id}/report", get(reading::report))
        .route("/api/v1/incidents/{id}/watch", get(reading::watch))
        .route("/api/v1/would", get(reading::would))
        .route("/api/v1/incidents/{id}/say", post(handlers::say))
        .route("/api/v1/incidents/{id}/resolve", post(handlers::resolve))
        .route("/api/v1/incidents/{id}/approve", post(handlers::approve))
        .route("/api/v1/incidents/{id}/reject", post(handlers::reject))
        .route("/api/v1/backend/{what}", get(backend::ask))
        .route("/api/v1/alerts", get(alerts::alerts))
        .route("/api/v1/traces", get(traces::list))
        .route("/api/v1/traces/{id}", get(traces::show))
        .route("/api/v1/silences", get(alerts::silences).post(alerts::silence))
        .route("/api/v1/silences/{number}/expire", post(alerts::expire))
        .route("/api/v1/servers", get(handlers::servers))
        .route("/api/v1/servers/{name}", get(handlers::server))
        .route("/api/v1/servers/{name}/restart", post(handlers::restart))
        .route("/api/v1/servers/{name}/start", post(handlers::start))
        .route("/api/v1/servers/{name}/stop", post(handlers::stop))
        .route("/api/v1/incidents/{id}/undo", post(undo::undo))
        .route("/api/v1/changes", post(undo::note_change))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(flow)
}

/// What the network address offers.
pub(crate) fn public(flow: Arc<Flow>) -> Router {
    let mut routes = public_routes();
    if flow.world.config.inbound.token.is_some() {
        routes = routes
            .route("/api/v1/alerts/alertmanager", post(inbound::alertmanager))
            .route("/api/v1/alerts/webhook", post(inbound::webhook));
    }
    routes.layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).with_state(flow)
}

fn public_routes() -> Router<Arc<Flow>> {
    Router::new()
        .route("/health", get(handlers::health))
        .route("/metrics", get(handlers::metrics))
        .route("/v1/traces", post(traces::receive))
        .nest("/prometheus", prometheus::routes())
}
