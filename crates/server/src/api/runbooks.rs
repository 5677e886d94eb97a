//! Owns the handlers of runbooks: which are used, and what the linter has to say.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use incident::Book;
use runbook::Level;
use runbook::lint::Finding;

use super::handlers::Shared;
use super::listing::{Listed, Order};
use super::problem::Failure;
use super::wire::{ListQuestion, ProcedureSummary, RunbookDetail, RunbookSummary};
use crate::clock;
use crate::runbook_view::{find, findings, named};

/// The runbooks that are used.
pub(super) async fn list(
    State(flow): Shared,
    Query(question): Query<ListQuestion>,
) -> Result<Listed<RunbookSummary>, Failure> {
    let today = clock::today();
    let of = |(name, book): (String, &Book)| (name.clone(), summary(name, book, &findings(book, &today)));
    Listed::of(question, Order::Up, named(flow.engine.shelf()).into_iter().map(of))
}

/// A runbook whole.
pub(super) async fn show(
    State(flow): Shared,
    Path(name): Path<String>,
) -> Result<Json<RunbookDetail>, Failure> {
    let missing = || {
        let words = format!("no runbook `{name}` is used: `paramedic runbook list` shows those that are");
        Failure::new(StatusCode::NOT_FOUND, words)
    };
    let book = find(flow.engine.shelf(), &name).ok_or_else(missing)?;
    let found = findings(book, &clock::today());
    let markdown = String::from_utf8_lossy(&book.bytes).into_owned();
    let findings = found.iter().map(Into::into).collect();
    Ok(Json(RunbookDetail { summary: summary(name, book, &found), markdown, findings }))
}

fn summary(name: String, book: &Book, found: &[Finding]) -> RunbookSummary {
    let count = |level| found.iter().filter(|finding| finding.level == level).count();
    let procedure = |procedure: &runbook::Procedure| ProcedureSummary {
        id: procedure.id.clone(),
        title: procedure.title.clone(),
        line: procedure.line,
        alert: procedure.alert.as_ref().map(|alert| alert.name.clone()),
    };
    RunbookSummary {
        name,
        path: book.runbook.name.clone(),
        sha256: book.runbook.sha256.clone(),
        procedures: book.runbook.procedures.iter().map(procedure).collect(),
        errors: count(Level::Error),
        warnings: count(Level::Warning),
        notes: count(Level::Info),
    }
}
