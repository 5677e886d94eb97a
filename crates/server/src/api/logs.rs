//! Owns the handler of the logs of servers.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use incident::error_chain;
use logs::{Filter, Level, Pattern};
use systemd::Journal;

use super::handlers::Shared;
use super::problem::Failure;
use super::wire::{LIMIT_MAX, LogLines, LogQuestion};
use crate::clock;
use crate::fleet::{Member, OrderError};
use crate::{log_view, unit_log};

/// Lines that are told where nobody says how many.
const LIMIT: u32 = 200;
/// The longest text that is searched for, in bytes.
const SEARCH_BYTES_MAX: usize = 1_000;

pub(super) async fn search(
    State(flow): Shared,
    Path(name): Path<String>,
    Query(question): Query<LogQuestion>,
) -> Result<Json<LogLines>, Failure> {
    let (filter, limit) = filter(&question)?;
    // The name of a server that is known, and of no other file.
    let member = flow.fleet.get(&name).ok_or(OrderError::NoServer(name))?;
    let log = log_view::path(&flow.world.config, &member.config.name);
    if !log.is_file() {
        return of_unit(&member, &filter, limit as usize).await;
    }
    let found = log_view::search(log, filter, limit as usize, clock::now_ms()).await;
    let lines = found.lines.into_iter().map(Into::into).collect();
    Ok(Json(LogLines { lines, is_cut: found.is_cut, notes: found.notes }))
}

/// The lines of a server that speaks to the journal of systemd.
async fn of_unit(member: &Member, filter: &Filter, limit: usize) -> Result<Json<LogLines>, Failure> {
    let name = &member.config.name;
    let Some(unit) = &member.config.unit else {
        let words = format!(
            "`{name}` has no log here: no guard of ours keeps one, and no unit of systemd is known of it"
        );
        return Err(Failure::new(StatusCode::NOT_FOUND, words));
    };
    let found = unit_log::search(&Journal::default(), name, unit, filter, limit, clock::now_ms()).await;
    let found = found.map_err(|error| Failure::new(StatusCode::SERVICE_UNAVAILABLE, error_chain(&error)))?;
    let lines = found.lines.into_iter().map(Into::into).collect();
    Ok(Json(LogLines { lines, is_cut: found.is_cut, notes: found.notes }))
}

fn filter(question: &LogQuestion) -> Result<(Filter, u32), Failure> {
    let malformed = |words: String| Failure::new(StatusCode::BAD_REQUEST, words);
    let limit = question.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(malformed(format!("`limit` is 1 to {LIMIT_MAX}, not {limit}")));
    }
    let text = question.search.as_deref().filter(|text| !text.is_empty());
    if text.is_some_and(|text| text.len() > SEARCH_BYTES_MAX) {
        return Err(malformed(format!("what is searched for has {SEARCH_BYTES_MAX} bytes at most")));
    }
    let pattern = match text {
        Some(text) if question.regex => {
            Some(Pattern::regex(text).map_err(|error| malformed(error_chain(&error)))?)
        }
        text => text.map(Pattern::literal),
    };
    let level = question.level.as_deref().map(|name| {
        let names = || Level::ALL.map(Level::name).join(", ");
        Level::of_name(name).ok_or_else(|| malformed(format!("`{name}` is no level; they are {}", names())))
    });
    let (since_ms, until_ms) = (question.since_ms, question.until_ms);
    Ok((Filter { pattern, level: level.transpose()?, since_ms, until_ms, server: None }, limit))
}
