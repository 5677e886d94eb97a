//! Owns the handlers of changes: what a person has changed is written down, and what was changed is taken back.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::problem::Failure;
use super::wire::{Made, Undo, Undone};
use crate::flow::Flow;

type Shared = State<Arc<Flow>>;

/// Takes something back, and answers when that has ended.
pub(super) async fn undo(
    State(flow): Shared,
    Path(typed): Path<String>,
    Json(Undo { by, what }): Json<Undo>,
) -> Result<Json<Undone>, Failure> {
    let id = flow.engine.find(&typed).await?;
    // Whoever asks may hang up; what is begun goes on to its end.
    let engine = flow.engine.clone();
    let undone = tokio::spawn(async move { engine.undo(&id, &what, &by).await }).await;
    match undone {
        Ok(undone) => Ok(Json(Undone::from(undone?))),
        Err(error) => Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

/// Writes down what a person has changed about a server, or about this machine.
pub(super) async fn note_change(
    State(flow): Shared,
    Json(Made { by, server, change }): Json<Made>,
) -> Result<Json<()>, Failure> {
    flow.engine.note_change(server.as_deref(), &by, change).await?;
    Ok(Json(()))
}
