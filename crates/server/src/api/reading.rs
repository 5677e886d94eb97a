//! Owns the handlers that only read incidents: reports in their forms, the shadow, and what happens while one waits.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use incident::Shadow;

use super::handlers::{Shared, found};
use super::listing::{self, Listed, Order};
use super::problem::Failure;
use super::wire::{Asked, Detail, Happened, ListQuestion, ReportFormat, Watch};

/// How long a watcher is kept waiting for something new before it has to ask again.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// The most records in one answer to a watcher: the rest comes with the next.
const RECORDS_MAX: usize = 500;

pub(super) async fn report(
    State(flow): Shared,
    Path(typed): Path<String>,
    Query(Asked { format }): Query<Asked>,
) -> Result<Response, Failure> {
    let id = found(&flow, &typed).await?;
    let report = flow.engine.report(&id).await?;
    Ok(match format {
        ReportFormat::Markdown => {
            ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], report.markdown()).into_response()
        }
        ReportFormat::Html => {
            ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], report.html()).into_response()
        }
        ReportFormat::Json => Json(report).into_response(),
    })
}

pub(super) async fn would(
    State(flow): Shared,
    Query(question): Query<ListQuestion>,
) -> Result<Listed<Shadow>, Failure> {
    let shadows = flow.engine.shadows().await?;
    Listed::of(
        question,
        Order::Up,
        shadows.into_iter().map(|one| (listing::key(one.opened_ms, &one.id), one)),
    )
}

/// What has happened in an incident after so many records; waits for it where there is nothing yet.
pub(super) async fn watch(
    State(flow): Shared,
    Path(typed): Path<String>,
    Query(Watch { after }): Query<Watch>,
) -> Result<Json<Detail>, Failure> {
    let id = found(&flow, &typed).await?;
    let news = flow.engine.wait_until(&id, |incident| incident.timeline.len() > after);
    if let Ok(waited) = tokio::time::timeout(WAIT_MAX, news).await {
        waited?;
    }
    let incident = flow.engine.incident(&id).await?;
    let records = incident.timeline.into_iter().skip(after).take(RECORDS_MAX);
    let timeline = records.map(|(at_ms, record)| Happened { at_ms, record }).collect();
    Ok(Json(Detail { id, timeline }))
}
