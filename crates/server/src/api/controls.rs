//! Owns the handlers of what operators have the guards of servers do.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use incident::error_chain;
use serde_json::Value;

use super::handlers::Shared;
use super::problem::Failure;
use super::wire::OrderControl;
use crate::controls::{self, ControlError};
use crate::tokens::Token;

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        let status = match &error {
            ControlError::NoServer(_) => StatusCode::NOT_FOUND,
            ControlError::KillSwitch | ControlError::NoGuard(_) => StatusCode::CONFLICT,
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

pub(super) async fn order(
    State(flow): Shared,
    Path(server): Path<String>,
    Json(OrderControl { by, reason, order }): Json<OrderControl>,
) -> Result<Json<Value>, Failure> {
    Ok(Json(controls::order(&flow, &server, &by, reason.as_deref(), &order).await?))
}
