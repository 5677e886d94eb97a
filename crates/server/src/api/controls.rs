//! Owns the handlers of what operators have the guards of servers do.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use incident::error_chain;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::handlers::Shared;
use super::problem::Failure;
use super::wire::{OrderControl, Signs};
use crate::controls::{self, ControlError};
use crate::signs::SignsError;
use crate::tokens::Token;

/// Looks at once: each may read the data of its server.
static LOOKS: Semaphore = Semaphore::const_new(2);

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        let status = match &error {
            ControlError::NoServer(_) => StatusCode::NOT_FOUND,
            ControlError::KillSwitch
            | ControlError::NoGuard(_)
            | ControlError::NothingToTakeBack(_)
            | ControlError::Change(..) => StatusCode::CONFLICT,
            ControlError::TooLong(_) => StatusCode::BAD_REQUEST,
            ControlError::Silent(..) => StatusCode::SERVICE_UNAVAILABLE,
            ControlError::Refused { code, .. } => match code {
                404 => StatusCode::NOT_FOUND,
                409 => StatusCode::CONFLICT,
                _ => StatusCode::BAD_REQUEST,
            },
            ControlError::Note(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error_chain(&error))
    }
}

pub(super) async fn show(
    State(flow): Shared,
    token: Option<Extension<Token>>,
    Path(server): Path<String>,
) -> Result<Json<Value>, Failure> {
    let by = token.as_ref().map_or("the local socket", |token| token.name.as_str());
    Ok(Json(controls::status(&flow, &server, by).await?))
}

/// Looks whether a server and its data are well: it is asked, and something is read through it.
pub(super) async fn signs(State(flow): Shared, Path(server): Path<String>) -> Result<Json<Signs>, Failure> {
    let world = &flow.world;
    let signs = crate::signs::Signs::of(&world.config, &server, &world.exe).map_err(|error| {
        let status = match &error {
            SignsError::NoServer(_) => StatusCode::NOT_FOUND,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Failure::new(status, error_chain(&error))
    })?;
    // It is never closed.
    let _turn = LOOKS.acquire().await.ok();
    Ok(Json(signs.look().await.into()))
}

pub(super) async fn order(
    State(flow): Shared,
    Path(server): Path<String>,
    Json(OrderControl { by, reason, order }): Json<OrderControl>,
) -> Result<Json<Value>, Failure> {
    Ok(Json(controls::order(&flow, &server, &by, reason.as_deref(), &order).await?))
}
