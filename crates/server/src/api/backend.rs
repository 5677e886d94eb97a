//! Owns asking the metrics backend by way of the local socket: its API as it stands there, with the secrets and the bounds of
//! the configuration.

use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::handlers::Shared;
use super::problem::Failure;

/// What may be asked: what looks, and changes nothing.
const QUESTIONS: [&str; 4] = ["query", "query_range", "rules", "alerts"];

pub(super) async fn ask(
    State(flow): Shared,
    Path(what): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let Some(backend) = &flow.backend else {
        let words =
            "there is no metrics backend; [metrics.backend] of the configuration names one".to_owned();
        return Err(Failure::new(StatusCode::NOT_FOUND, words));
    };
    if !QUESTIONS.contains(&what.as_str()) {
        return Err(Failure::new(StatusCode::NOT_FOUND, format!("`{what}` is nothing that can be asked")));
    }
    let asked: Vec<(String, String)> = serde_urlencoded::from_str(&query.unwrap_or_default())
        .map_err(|error| Failure::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let asked: Vec<(&str, &str)> =
        asked.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let body = backend.ask(&what, &asked).await.map_err(|error| {
        let words = format!("the metrics backend has no answer: {}", incident::error_chain(&error));
        Failure::new(StatusCode::BAD_GATEWAY, words)
    })?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
