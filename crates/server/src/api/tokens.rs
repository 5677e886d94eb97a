//! Owns the handlers of tokens: who has one, a new one, and one that is taken back.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use incident::error_chain;

use super::handlers::Shared;
use super::listing::{self, Listed, Order};
use super::problem::Failure;
use super::wire::{By, ListQuestion, NewToken};
use crate::clock;
use crate::document::DocumentError;
use crate::tokens::{Token, TokenError, Wish, create_token, random_token, read_tokens, revoke_token};

impl From<DocumentError<TokenError>> for Failure {
    fn from(error: DocumentError<TokenError>) -> Self {
        let status = match &error {
            DocumentError::Change(TokenError::Unknown(_)) => StatusCode::NOT_FOUND,
            DocumentError::Change(_) => StatusCode::BAD_REQUEST,
            DocumentError::Locked { .. } => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error_chain(&error))
    }
}

pub(super) async fn list(
    State(flow): Shared,
    Query(question): Query<ListQuestion>,
) -> Result<Listed<Token>, Failure> {
    let all = read_tokens(&flow.world.config)?;
    Listed::of(question, Order::Up, all.into_iter().map(|one| (listing::key(one.created_ms, &one.id), one)))
}

pub(super) async fn create(State(flow): Shared, Json(wish): Json<Wish>) -> Result<Json<NewToken>, Failure> {
    let random =
        random_token().map_err(|error| Failure::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    let (token, word) = create_token(&flow.world.config, &wish, &random, clock::now_ms())?;
    tracing::info!(by = wish.by, token = token.id, name = token.name, role = ?token.role, "a token was made");
    Ok(Json(NewToken { token, word }))
}

pub(super) async fn revoke(
    State(flow): Shared,
    Path(typed): Path<String>,
    Json(By { by }): Json<By>,
) -> Result<Json<Token>, Failure> {
    let token = revoke_token(&flow.world.config, &typed, &by, clock::now_ms())?;
    tracing::info!(by, token = token.id, name = token.name, "a token was taken back");
    Ok(Json(token))
}
