//! Owns the handler of the configuration: as it stands, with all defaults. It names where secrets are, and has none.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::handlers::Shared;

pub(super) async fn show(State(flow): Shared) -> Response {
    Json(&*Arc::clone(&flow.world.config)).into_response()
}
