//! Owns the pages of incidents, and what their forms do: the same as the API, asked by the same roles.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use incident::{Incident, IncidentId, UnitEnd, Word};
use serde::Deserialize;
use web::{IncidentRow, Place};

use super::Web;
use super::door::{Fields, Guest, see_other};
use super::pages::{Eye, View, typed};
use super::shown;
use crate::api::Failure;
use crate::api::wire::{BundleCheck, BundleQuestion, BundleSummary};
use crate::evidence_view;
use crate::flow::Flow;
use crate::tokens::Role;

/// How long a page of incidents may be shown without another look.
const AGAIN: Duration = Duration::from_secs(15);
/// So many that are over are listed: the journal has the others.
const OVER_MAX: usize = 100;
/// How long a page waits for the end of what may take long: longer than most of it, and no longer than somebody waits.
const LONG_WAIT: Duration = Duration::from_secs(5);
/// A report stands for itself: nothing is loaded, sent or run.
const REPORT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'; sandbox";

/// What somebody looks for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asking {
    q: String,
}

/// The list: those that are open first.
pub(super) async fn list(flow: &Flow, query: &str, eye: &Eye) -> Result<View, Failure> {
    let asking: Asking = serde_urlencoded::from_str(query).unwrap_or_default();
    let text = typed(&asking.q);
    let mut rows: Vec<IncidentRow> =
        flow.engine.look(|all| all.filter(|one| eye.may_see(one)).map(IncidentRow::of).collect()).await?;
    rows.retain(|row| row.has(&text));
    rows.sort_by_key(|row| (!row.is_open(), std::cmp::Reverse(row.opened_ms)));
    let open = rows.iter().filter(|row| row.is_open()).count();
    rows.truncate(open + OVER_MAX);
    let title = if open == 0 { "Incidents".to_owned() } else { format!("({open}) Incidents") };
    Ok(of_parts(title, web::incidents(&rows, &text)))
}

/// One incident, where they may see it; to others there is none.
async fn found(flow: &Flow, typed: &str, eye: &Eye) -> Result<(IncidentId, Incident), Failure> {
    let none = || Failure::new(StatusCode::NOT_FOUND, format!("there is no incident `{typed}`"));
    let id = flow.engine.find(typed).await.map_err(|_| none())?;
    let incident = flow.engine.incident(&id).await?;
    if eye.may_see(&incident) { Ok((id, incident)) } else { Err(none()) }
}

/// The page of one incident.
pub(super) async fn one(flow: &Arc<Flow>, typed: &str, eye: &Eye) -> Result<View, Failure> {
    let (id, incident) = found(flow, typed, eye).await?;
    let bundles: Vec<web::Bundle> = of_incident(flow, &id).await?.into_iter().map(bundle).collect();
    let report = flow.engine.report(&id).await?;
    let book = flow.engine.runbook(&id).await.ok();
    let contacts: Vec<String> = flow.world.config.contact.iter().map(|one| one.name.clone()).collect();
    let may =
        web::May { lead: eye.role >= Role::Responder, answer: eye.role >= Role::Approver, csrf: &eye.csrf };
    let page = web::IncidentPage {
        incident: &incident,
        report: &report,
        book: book.as_ref(),
        contacts: &contacts,
        bundles: &bundles,
        may,
    };
    let parts = web::incident(&page);
    Ok(of_parts(format!("{}: {}", incident.server, incident.title), parts))
}

async fn of_incident(flow: &Arc<Flow>, id: &IncidentId) -> Result<Vec<BundleSummary>, Failure> {
    let question = BundleQuestion { incident: Some(id.to_string()), ..BundleQuestion::default() };
    evidence_view::list(flow, question).await
}

fn bundle(one: BundleSummary) -> web::Bundle {
    let checked = one.checked.map(|check| {
        let BundleCheck { at_ms, by, problems, .. } = check;
        web::Checked { at_ms, by, problems }
    });
    web::Bundle { name: one.bundle, bytes: one.bytes, checked }
}

fn of_parts(title: String, parts: Vec<web::Part>) -> View {
    View { title, place: Place::Incidents, body: web::all(&parts), parts, again: AGAIN }
}

/// The report of an incident, as a page or as text.
pub(super) async fn report(
    State(web): State<Arc<Web>>,
    Extension(guest): Extension<Guest>,
    Path((typed, file)): Path<(String, String)>,
) -> Response {
    let eye = Eye::of(&web, &guest.token);
    let made = async {
        let (id, _) = found(&web.flow, &typed, &eye).await?;
        Ok::<_, Failure>(web.flow.engine.report(&id).await?)
    };
    let made = made.await;
    match (file.as_str(), made) {
        ("report.html", Ok(report)) => {
            let headers =
                [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, REPORT_POLICY)];
            (headers, report.html()).into_response()
        }
        ("report.md", Ok(report)) => {
            ([(CONTENT_TYPE, "text/plain; charset=utf-8")], report.markdown()).into_response()
        }
        (_, Err(Failure { status, words, .. })) => shown::message(&guest, status, &words),
        _ => shown::message(&guest, StatusCode::NOT_FOUND, "there is no such page of an incident"),
    }
}

/// What is kept for an incident, whole, as text that nothing is done with.
pub(super) async fn kept(
    State(web): State<Arc<Web>>,
    Extension(guest): Extension<Guest>,
    Path((typed, sha256)): Path<(String, String)>,
) -> Response {
    let eye = Eye::of(&web, &guest.token);
    let kept = async {
        let (id, _) = found(&web.flow, &typed, &eye).await?;
        let none =
            || Failure::new(StatusCode::NOT_FOUND, "the incident keeps nothing of this name".to_owned());
        web.flow.engine.kept(&id, &sha256).await?.ok_or_else(none)
    };
    match kept.await {
        Ok(bytes) => {
            let headers =
                [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CONTENT_SECURITY_POLICY, REPORT_POLICY)];
            (headers, bytes).into_response()
        }
        Err(Failure { status, words, .. }) => shown::message(&guest, status, &words),
    }
}

/// Does what a form of an incident says.
pub(super) async fn act(
    State(web): State<Arc<Web>>,
    Extension(guest): Extension<Guest>,
    Extension(fields): Extension<Fields>,
    Path((typed, act)): Path<(String, String)>,
) -> Response {
    let done = done(&web, &guest, &typed, &act, &fields).await;
    let Ok(here) = format!("/incidents/{typed}").parse::<Uri>() else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match done {
        Ok(()) => see_other(here.path()),
        Err(refused) => shown::page(&web, &guest, &here, Some(refused)).await,
    }
}

async fn done(web: &Web, guest: &Guest, typed: &str, act: &str, fields: &Fields) -> Result<(), Failure> {
    let by = guest.token.name.as_str();
    let least = match act {
        "approve" | "reject" | "undo" => Role::Approver,
        _ => Role::Responder,
    };
    if guest.token.role < least {
        let words =
            format!("{by} is a {}, and this takes a role of {}", guest.token.role.name(), least.name());
        return Err(Failure::new(StatusCode::FORBIDDEN, words));
    }
    let (id, _) = found(&web.flow, typed, &Eye::of(web, &guest.token)).await?;
    let engine = &web.flow.engine;
    let unit = fields.get("unit");
    let word = match act {
        "approve" => {
            let values = fields.beginning("value.");
            return Ok(engine.approve(&id, unit, by, fields.get("question"), values).await?);
        }
        "reject" => {
            let reason = fields.get("reason");
            return Ok(engine.reject_read(&id, unit, by, fields.get("question"), reason).await?);
        }
        "resolve" => return Ok(engine.resolve(&id, by).await?),
        "check-evidence" => return check(&web.flow, &id, fields.get("bundle"), by).await,
        "undo" => return undo(&web.flow, id, fields.get("what"), by).await,
        _ => word(act, fields),
    };
    let none = || Failure::new(StatusCode::NOT_FOUND, format!("nothing here is called `{act}`"));
    Ok(engine.say(&id, by, word.ok_or_else(none)?).await?)
}

/// Has a bundle of the incident checked. What takes longer goes on, and the page says later what came of it.
async fn check(flow: &Arc<Flow>, id: &IncidentId, name: &str, by: &str) -> Result<(), Failure> {
    let is_it = |one: &BundleSummary| one.bundle == name;
    if !of_incident(flow, id).await?.iter().any(is_it) {
        let words = format!("the incident has no bundle `{name}`");
        return Err(Failure::new(StatusCode::NOT_FOUND, words));
    }
    let (flow, name, by) = (Arc::clone(flow), name.to_owned(), by.to_owned());
    let checking = tokio::spawn(async move { evidence_view::check(&flow, &name, &by).await });
    let Ok(ended) = tokio::time::timeout(LONG_WAIT, checking).await else { return Ok(()) };
    let failed = |words: String| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, words);
    ended.map_err(|error| failed(error.to_string()))??;
    Ok(())
}

/// Takes something back. What takes longer goes on, and the timeline of the page says what came of it.
async fn undo(flow: &Flow, id: IncidentId, what: &str, by: &str) -> Result<(), Failure> {
    let (engine, what, by) = (flow.engine.clone(), what.to_owned(), by.to_owned());
    let undoing = tokio::spawn(async move { engine.undo(&id, &what, &by).await });
    let Ok(ended) = tokio::time::timeout(LONG_WAIT, undoing).await else { return Ok(()) };
    let failed = |words: String| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, words);
    let undone = ended.map_err(|error| failed(error.to_string()))??;
    if undone.end == (UnitEnd::Exited { code: 0 }) {
        return Ok(());
    }
    let words = format!("it was not taken back: {}. {}", undone.outcome, undone.printed.trim());
    Err(Failure::new(StatusCode::CONFLICT, words))
}

fn word(act: &str, fields: &Fields) -> Option<Word> {
    let text = |name: &str| fields.get(name).to_owned();
    Some(match act {
        "abort" => Word::Abort { reason: text("reason") },
        "follow-up" => Word::FollowUp { text: text("text") },
        // No follow-up has the number 0: who names none is told so.
        "follow-up-done" => Word::FollowUpDone {
            number: fields.get("number").parse().unwrap_or_default(),
            note: text("text"),
        },
        "acknowledge" => Word::Acknowledge,
        "note" => Word::Note { text: text("text") },
        "hold" => Word::Hold { reason: text("reason") },
        "resume" => Word::Resume,
        "escalate" => Word::Escalate { to: text("to"), reason: text("reason") },
        "close" => Word::Close { reason: text("reason") },
        _ => return None,
    })
}
