//! Owns the part of Prometheus' HTTP API that reads: what Grafana asks of a data source, answered from the series of `serve`.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/querying/api/>.

pub mod answer;
mod parameters;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, RawForm, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics::{Labels, Metadata, Query, QueryBounds, QueryError, SeriesSelector, Store};
use serde::Serialize;
use tokio::sync::Semaphore;

use super::handlers::Shared;
use crate::clock;
use crate::flow::Flow;
use answer::{Answer, Build, Data};
use parameters::Parameters;

/// How many queries are evaluated at once: rules and scrapes need the series too, and get as much time after each query as
/// that took.
const QUERIES_MAX: usize = 1;

/// How long a query waits for its turn.
const TURN_MAX: Duration = Duration::from_secs(10);

/// How long an evaluation may take: as long wait rules and scrapes.
const EVALUATION_MAX: Duration = Duration::from_secs(1);

/// The most label sets or values in one answer, whatever `limit` says.
const LIST_MAX: usize = 100_000;

/// Whose turn it is to evaluate a query.
pub(crate) struct Turns(Arc<Semaphore>);

/// Why there is no answer, in the words of Prometheus.
struct Refusal {
    status: StatusCode,
    error_type: &'static str,
    error: String,
}

type Answered<T> = Result<Json<Answer<T>>, Refusal>;

// === impl Turns ===

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(QUERIES_MAX)))
    }
}

// === impl Refusal ===

impl Refusal {
    fn bad_data(error: &impl ToString) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error_type: "bad_data", error: error.to_string() }
    }

    fn evaluation(error: &QueryError) -> Self {
        let (status, error_type) = match error {
            QueryError::Late => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            _ => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
        };
        Self { status, error_type, error: error.to_string() }
    }

    fn busy() -> Self {
        let error = format!("other queries were not done within {} s", TURN_MAX.as_secs());
        Self { status: StatusCode::SERVICE_UNAVAILABLE, error_type: "timeout", error }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, error_type, error } = self;
        (status, Json(Answer::<()>::Error { error_type: error_type.to_owned(), error })).into_response()
    }
}

/// The routes, below `/prometheus`.
pub(super) fn routes() -> Router<Arc<Flow>> {
    Router::new()
        .route("/api/v1/query", get(query).post(query))
        .route("/api/v1/query_range", get(query_range).post(query_range))
        .route("/api/v1/series", get(series).post(series))
        .route("/api/v1/labels", get(labels).post(labels))
        .route("/api/v1/label/{name}/values", get(label_values))
        .route("/api/v1/metadata", get(metadata))
        .route("/api/v1/rules", get(rules::rules))
        .route("/api/v1/alerts", get(rules::alerts))
        .route("/api/v1/status/buildinfo", get(build))
}

async fn query(State(flow): Shared, RawForm(form): RawForm) -> Answered<Data> {
    let parameters = Parameters::read(&form)?;
    let query = parameters.query()?;
    let at_ms = parameters.moment("time")?.unwrap_or_else(clock::now_ms);
    let allowed = parameters.timeout(EVALUATION_MAX)?;
    let answer = with_store(flow, move |store| bounded(allowed, |bounds| query.answer(store, at_ms, bounds)));
    let metrics::Answer { value, annotations } =
        answer.await?.map_err(|error| Refusal::evaluation(&error))?;
    Ok(Json(Answer::success(Data::at(value, at_ms), &annotations)))
}

async fn query_range(State(flow): Shared, RawForm(form): RawForm) -> Answered<Data> {
    let parameters = Parameters::read(&form)?;
    let query: Query = parameters.query()?;
    let steps = parameters.steps()?;
    let allowed = parameters.timeout(EVALUATION_MAX)?;
    let answer =
        with_store(flow, move |store| bounded(allowed, |bounds| query.range_answer(store, steps, bounds)));
    let (series, annotations) = answer.await?.map_err(|error| Refusal::evaluation(&error))?;
    Ok(Json(Answer::success(Data::over(series), &annotations)))
}

async fn series(State(flow): Shared, RawForm(form): RawForm) -> Answered<Vec<Labels>> {
    let parameters = Parameters::read(&form)?;
    let limit = parameters.limit(LIST_MAX)?;
    let selectors = parameters.selectors()?;
    if selectors.is_empty() {
        return Err(Refusal::bad_data(&"no match[] parameter provided"));
    }
    let mut found = found(flow, &parameters, selectors).await?;
    found.truncate(limit);
    Ok(success(found))
}

async fn labels(State(flow): Shared, RawForm(form): RawForm) -> Answered<Vec<String>> {
    let parameters = Parameters::read(&form)?;
    let limit = parameters.limit(LIST_MAX)?;
    let found = found(flow, &parameters, parameters.selectors()?).await?;
    let names: BTreeSet<&str> = found.iter().flat_map(Labels::iter).map(|(name, _)| name).collect();
    Ok(success(names.into_iter().take(limit).map(str::to_owned).collect()))
}

async fn label_values(
    State(flow): Shared,
    Path(name): Path<String>,
    RawForm(form): RawForm,
) -> Answered<Vec<String>> {
    let parameters = Parameters::read(&form)?;
    let limit = parameters.limit(LIST_MAX)?;
    let found = found(flow, &parameters, parameters.selectors()?).await?;
    let values: BTreeSet<&str> = found.iter().filter_map(|labels| labels.get(&name)).collect();
    Ok(success(values.into_iter().take(limit).map(str::to_owned).collect()))
}

/// Each family has one entry: pages that differ in what they tell of it are told apart by nobody.
async fn metadata(State(flow): Shared, RawForm(form): RawForm) -> Answered<BTreeMap<String, [Metadata; 1]>> {
    let parameters = Parameters::read(&form)?;
    let (limit, only) = (parameters.limit(LIST_MAX)?, parameters.metric());
    let known = flow.watch.metadata().into_iter();
    let wanted = known.filter(|(name, _)| only.is_none_or(|only| only == name)).take(limit);
    Ok(success(wanted.map(|(name, family)| (name, [family])).collect()))
}

async fn build() -> Json<Answer<Build>> {
    success(Build::current())
}

/// The series of these selectors, from `start` to `end`.
async fn found(
    flow: Arc<Flow>,
    parameters: &Parameters,
    selectors: Vec<SeriesSelector>,
) -> Result<Vec<Labels>, Refusal> {
    let from_ms = parameters.moment("start")?.unwrap_or(i64::MIN).saturating_sub(1);
    let to_ms = parameters.moment("end")?.unwrap_or(i64::MAX);
    with_store(flow, move |store| metrics::series(store, &selectors, from_ms, to_ms)).await
}

/// Reads the store where it holds up nobody who waits for other things.
async fn with_store<T: Send + 'static>(
    flow: Arc<Flow>,
    read: impl FnOnce(&Store) -> T + Send + 'static,
) -> Result<T, Refusal> {
    let turn = tokio::time::timeout(TURN_MAX, Arc::clone(&flow.queries.0).acquire_owned()).await;
    let Ok(Ok(turn)) = turn else { return Err(Refusal::busy()) };
    let watch = Arc::clone(&flow.watch);
    let reading = tokio::task::spawn_blocking(move || {
        let store = watch.store();
        let began = Instant::now();
        // The turn lasts as long as the evaluation, also when nobody waits for the answer any more.
        (read(&store), began.elapsed(), turn)
    });
    let read = reading.await.map(|(read, took, turn)| {
        tokio::spawn(async move {
            tokio::time::sleep(took).await;
            drop(turn);
        });
        read
    });
    read.map_err(|error| Refusal {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        error_type: "internal",
        error: error.to_string(),
    })
}

/// Evaluates for so long at most.
fn bounded<T>(allowed: Duration, evaluate: impl FnOnce(QueryBounds<'_>) -> T) -> T {
    let until = Instant::now() + allowed;
    evaluate(QueryBounds { is_late: &|| Instant::now() > until, ..QueryBounds::default() })
}

fn success<T: Serialize>(data: T) -> Json<Answer<T>> {
    Json(Answer::success(data, &[]))
}
