//! Owns the pages of the runbooks that `serve` uses, and of traces: what they are made of.

use std::collections::HashMap;
use std::time::Duration;

use axum::http::StatusCode;
use chrono::DateTime;
use incident::Book;
use runbook::Level;
use runbook::lint::Finding;
use traces::TraceId;
use web::Place;
use web::runbooks::{RunbookPage, RunbookRow, runbook, runbooks};

use super::pages::{Eye, View};
use crate::api::Failure;
use crate::flow::Flow;
use crate::{clock, runbook_view};

/// How long such a page may be shown without another look: runbooks are read when `serve` starts.
const AGAIN: Duration = Duration::from_secs(60);

/// So many incidents that followed a runbook are named.
const USED_MAX: usize = 10;

/// The list of the runbooks.
pub(super) async fn list(flow: &Flow, eye: &Eye) -> Result<View, Failure> {
    let used = used(flow, eye).await?;
    let today = today();
    let rows: Vec<RunbookRow> = runbook_view::named(flow.engine.shelf())
        .into_iter()
        .map(|(name, book)| {
            let findings = runbook_view::findings(book, &today);
            let procedures = book.runbook.procedures.iter();
            RunbookRow {
                path: book.runbook.name.clone(),
                procedures: procedures
                    .map(|one| (one.title.clone(), one.alert.as_ref().map(|alert| alert.name.clone())))
                    .collect(),
                counts: [Level::Error, Level::Warning, Level::Info].map(|level| count(&findings, level)),
                last_used: used.get(&book.runbook.name).and_then(|used| used.first().cloned()),
                name,
            }
        })
        .collect();
    let parts = runbooks(&rows, &flow.unused);
    Ok(View {
        title: "Runbooks".to_owned(),
        place: Place::Runbooks,
        body: web::all(&parts),
        parts,
        again: AGAIN,
    })
}

fn count(findings: &[Finding], level: Level) -> usize {
    findings.iter().filter(|one| one.level == level).count()
}

/// One runbook.
pub(super) async fn one(flow: &Flow, name: &str, eye: &Eye) -> Result<View, Failure> {
    let none = || Failure::new(StatusCode::NOT_FOUND, format!("there is no runbook `{name}`"));
    let name = &decoded(name);
    let book: &Book = runbook_view::find(flow.engine.shelf(), name).ok_or_else(none)?;
    let used = used(flow, eye).await?.remove(&book.runbook.name).unwrap_or_default();
    let (text, findings) = (String::from_utf8_lossy(&book.bytes), runbook_view::findings(book, &today()));
    let page = RunbookPage {
        name,
        text: &text,
        runbook: &book.runbook,
        findings: &findings,
        used: &used[..used.len().min(USED_MAX)],
    };
    let parts = runbook(&page);
    Ok(View { title: name.to_owned(), place: Place::Runbooks, body: web::all(&parts), parts, again: AGAIN })
}

/// A word of a path, as it was before it was written there.
fn decoded(word: &str) -> String {
    let field = format!("word={}", word.replace('+', "%2B"));
    let fields: Vec<(String, String)> = serde_urlencoded::from_str(&field).unwrap_or_default();
    fields.into_iter().next().map(|(_, word)| word).unwrap_or_default()
}

/// The incidents that followed each runbook, the newest first, and when they were opened.
async fn used(flow: &Flow, eye: &Eye) -> Result<HashMap<String, Vec<(String, i64)>>, Failure> {
    let look = flow.engine.look(|all| {
        let mut used: HashMap<String, Vec<(String, i64)>> = HashMap::new();
        for one in all.filter(|one| eye.may_see(one)) {
            used.entry(one.runbook.name.clone()).or_default().push((one.id.to_string(), one.opened_ms));
        }
        used
    });
    let mut used = look.await?;
    used.values_mut().for_each(|all| all.sort_by_key(|(_, at_ms)| std::cmp::Reverse(*at_ms)));
    Ok(used)
}

fn today() -> String {
    DateTime::from_timestamp_millis(clock::now_ms()).unwrap_or_default().format("%Y-%m-%d").to_string()
}

/// One trace. It may be about several servers, and whoever may not see all of them sees none.
pub(super) fn trace(flow: &Flow, typed: &str, eye: &Eye) -> Result<View, Failure> {
    let none = || Failure::new(StatusCode::NOT_FOUND, format!("no trace `{typed}` is kept"));
    let id: TraceId = typed.parse().map_err(|_| none())?;
    let spans = flow.traces.trace(id).ok_or_else(none)?;
    let may_see =
        |server: Option<&str>| eye.servers.is_empty() || server.is_some_and(|server| eye.is_for(server));
    if !spans.iter().all(|span| may_see(span.server())) {
        return Err(none());
    }
    let id = id.to_string();
    let parts = web::trace(&id, &spans);
    Ok(View {
        title: format!("Trace {id}"),
        place: Place::Fleet,
        body: web::all(&parts),
        parts,
        again: AGAIN,
    })
}
