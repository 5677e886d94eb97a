//! Owns the handlers of the API: thin, from JSON to the engine or the fleet and back.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use incident::{Incident, IncidentId, Record};
use process::control::Status;
use schemars::SchemaGenerator;

use super::access::may_see;
use super::etag::tag_of;
use super::exposition;
use super::listing::{self, Listed, link};
use super::problem::Failure;
use super::signature::{Answers, Operation};
use super::wire::{
    Approve, By, Detail, Done, Happened, Health, IncidentQuestion, ListQuestion, Open, Order, Reject, Say,
    ServerStatus, Summary,
};
use crate::backend::Backend;
use crate::clock;
use crate::containment;
use crate::fleet::{Asked, Member, OrderError, Source, Verb};
use crate::flow::Flow;
use crate::remote_write::RemoteWrite;
use crate::tokens::Token;
use crate::watched::Watched;

pub(super) type Shared = State<Arc<Flow>>;

pub(super) async fn health(State(flow): Shared) -> Response {
    let servers = flow.fleet.members().count();
    let open = flow.engine.look(|all| all.filter(|one| one.state.is_open()).count());
    let (open_incidents, problem) = match open.await {
        Ok(open) => (open, None),
        Err(error) => (0, Some(incident::error_chain(&error))),
    };
    let full = flow
        .engine
        .refusing()
        .map(|reason| format!("nothing is changed while nothing can be written: {reason}"));
    let problem = problem.or(full);
    let watched = flow.engine.shelf().procedures().any(|(_, procedure)| procedure.alert.is_some());
    let blind = || "no runbook with an alert can be read: nothing is answered".to_owned();
    let reason = problem.or_else(|| (!watched).then(blind));
    // Where a runbook is not used, or another engine does not answer, the rest is: a restart would mend nothing.
    let lacking = flow.unused.iter().cloned().chain(flow.backend.as_ref().and_then(Backend::problem));
    let unsent = flow.remote_write.as_ref().and_then(RemoteWrite::problem);
    let lacking: Vec<String> = lacking.chain(unsent).chain(flow.traces.problem()).collect();
    let (code, status) = match (&reason, lacking.is_empty()) {
        (None, true) => (StatusCode::OK, "healthy"),
        (None, false) => (StatusCode::OK, "degraded"),
        (Some(_), _) => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy"),
    };
    let reason = reason.into_iter().chain(lacking).collect::<Vec<_>>().join("; ");
    let status = status.to_owned();
    let health = Health { status, reason, servers, open_incidents };
    (code, Json(health)).into_response()
}

pub(super) async fn metrics(State(flow): Shared) -> Result<Response, Failure> {
    let page = exposition::page(&flow).await?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, kind)], page).into_response())
}

pub(super) async fn incidents(
    State(flow): Shared,
    token: Option<Extension<Token>>,
    Query(question): Query<IncidentQuestion>,
) -> Result<Listed<Summary>, Failure> {
    let may_see = |one: &&Incident| token.as_ref().is_none_or(|token| may_see(token, one));
    let of = |one: &Incident| summary(&flow, one);
    let seen = flow.engine.look(|all| all.filter(may_see).map(of).collect::<Vec<Summary>>()).await?;
    let wanted = seen.into_iter().filter(|one| question.is_about(one));
    let keyed: Vec<_> = wanted.map(|one| (listing::key(one.opened_ms, &one.id), one)).collect();
    Listed::of(question, listing::Order::Up, keyed)
}

/// An incident in a list. Where it was opened before its alert fired, its procedure says how bad it is.
fn summary(flow: &Flow, incident: &Incident) -> Summary {
    let mut summary = Summary::from(incident);
    let of_procedure = || {
        let mut procedures = flow.engine.shelf().procedures();
        let (_, procedure) = procedures.find(|(_, procedure)| procedure.id == incident.procedure)?;
        Some(procedure.alert.as_ref()?.severity.name().to_owned())
    };
    summary.severity = summary.severity.or_else(of_procedure);
    summary
}

pub(super) async fn found(flow: &Flow, typed: &str) -> Result<IncidentId, Failure> {
    Ok(flow.engine.find(typed).await?)
}

async fn detail(flow: &Flow, id: &IncidentId) -> Result<Json<Detail>, Failure> {
    Ok(Json(Detail::from(flow.engine.incident(id).await?)))
}

/// An incident as far as it is asked for, with the tag of all of it.
pub(super) struct Read {
    tag: String,
    detail: Detail,
    next: Option<String>,
}

impl IntoResponse for Read {
    fn into_response(self) -> Response {
        let mut response = Json(self.detail).into_response();
        let tag = HeaderValue::try_from(self.tag).ok().map(|tag| (ETAG, tag));
        response.headers_mut().extend(tag.into_iter().chain(self.next.as_deref().and_then(link)));
        response
    }
}

impl Answers for Read {
    fn answers(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        Json::<Detail>::answers(operation, schemas);
        operation.is_part = true;
    }
}

pub(super) async fn incident(
    State(flow): Shared,
    Path(typed): Path<String>,
    Query(question): Query<ListQuestion>,
) -> Result<Read, Failure> {
    let id = found(&flow, &typed).await?;
    let incident = flow.engine.incident(&id).await?;
    let tag = tag_of(&incident);
    // What happened is only added to: its place is its key.
    let records = incident.timeline.into_iter().enumerate();
    let records = records.map(|(at, (at_ms, record))| (format!("{at:08}"), Happened { at_ms, record }));
    let (timeline, next) = Listed::of(question, listing::Order::Up, records)?.into_parts();
    Ok(Read { tag, detail: Detail { id, timeline }, next })
}

pub(super) async fn open(
    State(flow): Shared,
    Json(Open { server, procedure, by, reason }): Json<Open>,
) -> Result<Json<Detail>, Failure> {
    if flow.fleet.get(&server).is_none() {
        return Err(OrderError::NoServer(server).into());
    }
    let id = flow.engine.open_for(&server, &procedure, &by, &reason).await?;
    detail(&flow, &id).await
}

pub(super) async fn say(
    State(flow): Shared,
    Path(typed): Path<String>,
    Json(Say { by, say }): Json<Say>,
) -> Result<Json<Detail>, Failure> {
    let id = found(&flow, &typed).await?;
    flow.engine.say(&id, &by, say).await?;
    detail(&flow, &id).await
}

pub(super) async fn resolve(
    State(flow): Shared,
    Path(typed): Path<String>,
    Json(By { by }): Json<By>,
) -> Result<Json<Detail>, Failure> {
    let id = found(&flow, &typed).await?;
    flow.engine.resolve(&id, &by).await?;
    detail(&flow, &id).await
}

pub(super) async fn approve(
    State(flow): Shared,
    Path(typed): Path<String>,
    Json(Approve { unit, by, question, values }): Json<Approve>,
) -> Result<Json<Detail>, Failure> {
    let id = found(&flow, &typed).await?;
    flow.engine.approve(&id, &unit, &by, &question, values).await?;
    detail(&flow, &id).await
}

pub(super) async fn reject(
    State(flow): Shared,
    Path(typed): Path<String>,
    Json(Reject { unit, by, reason }): Json<Reject>,
) -> Result<Json<Detail>, Failure> {
    let id = found(&flow, &typed).await?;
    flow.engine.reject(&id, &unit, &by, &reason).await?;
    detail(&flow, &id).await
}

pub(super) async fn servers(
    State(flow): Shared,
    token: Option<Extension<Token>>,
    Query(question): Query<ListQuestion>,
) -> Result<Listed<ServerStatus>, Failure> {
    let is_for = |member: &Arc<Member>| token.as_ref().is_none_or(|token| token.is_for(&member.config.name));
    // They are in the order of the configuration, and those that clients start come behind.
    let all = flow.fleet.members().filter(is_for).enumerate();
    let all = all.map(|(at, member)| (format!("{at:08}"), server_status(&flow, &member)));
    Listed::of(question, listing::Order::Up, all)
}

pub(super) async fn server(
    State(flow): Shared,
    Path(name): Path<String>,
) -> Result<Json<ServerStatus>, Failure> {
    let member = flow.fleet.get(&name).ok_or(OrderError::NoServer(name))?;
    Ok(Json(server_status(&flow, &member)))
}

pub(super) async fn restart(
    State(flow): Shared,
    Path(name): Path<String>,
    Json(order): Json<Order>,
) -> Result<Json<Done>, Failure> {
    carry_out(&flow, &name, Verb::Restart, order).await
}

pub(super) async fn start(
    State(flow): Shared,
    Path(name): Path<String>,
    Json(order): Json<Order>,
) -> Result<Json<Done>, Failure> {
    carry_out(&flow, &name, Verb::Start, order).await
}

pub(super) async fn stop(
    State(flow): Shared,
    Path(name): Path<String>,
    Json(order): Json<Order>,
) -> Result<Json<Done>, Failure> {
    carry_out(&flow, &name, Verb::Stop, order).await
}

/// Carries out an order and writes restarts down, whoever ordered them.
pub(crate) async fn carry_out(
    flow: &Flow,
    name: &str,
    verb: Verb,
    order: Order,
) -> Result<Json<Done>, Failure> {
    let member = flow.fleet.get(name).ok_or_else(|| OrderError::NoServer(name.to_owned()))?;
    let started_ms = clock::now_ms();
    let since_ms = if verb == Verb::Restart { since(flow, &order.key).await? } else { None };
    let asked = Asked { key: order.key.clone(), by: order.by.clone(), since_ms };
    let result = flow.fleet.order(name, verb, asked).await;
    let took_ms = u64::try_from(clock::now_ms() - started_ms).unwrap_or(0);
    let anew = result.as_ref().is_ok_and(|carried| carried.anew);
    if verb == Verb::Restart && (anew || result.is_err()) {
        let pid = result.as_ref().ok().and_then(|carried| Some(carried.child?.pid));
        let problem = result.as_ref().err().map(ToString::to_string);
        let start_ms = problem.is_none().then_some(took_ms);
        let (server, by, key) = (name.to_owned(), order.by.clone(), order.key.clone());
        flow.engine.note_restart(Record::Restarted { server, by, key, pid, start_ms, problem }).await?;
    }
    result?;
    if verb == Verb::Stop {
        flow.engine.note_stop(name, &order.by, &order.key).await?;
    }
    Ok(Json(Done { server: server_status(flow, &member), took_ms, anew }))
}

/// When the incident was opened, this time, whose first run since orders something under this key: whatever was started since is as good.
async fn since(flow: &Flow, key: &str) -> Result<Option<i64>, Failure> {
    let mut parts = key.split('/');
    let (Some(id), Some(run)) = (parts.next(), parts.next()) else { return Ok(None) };
    let opened = |one: &Incident| {
        let is_first = run.parse() == Ok(one.run_before + 1);
        is_first.then(|| one.reopened_ms.last().copied().unwrap_or(one.opened_ms))
    };
    Ok(flow.engine.look(|all| all.filter(|one| one.id.as_str() == id).find_map(opened)).await?)
}

/// How a server is.
pub(crate) fn server_status(flow: &Flow, member: &Member) -> ServerStatus {
    let supervised = member.supervised();
    let looked = flow.watch.looked(&member.config.name).filter(|_| !member.is_absent());
    let report = looked.map(|looked| looked.readiness);
    let status: Option<&Status> = supervised.status.as_ref();
    let last_exit = supervised.last_exit();
    let (source, restart_owner, without) = match member.source() {
        Source::Configuration => ("configuration", "serve", "no guard"),
        Source::Upstream => ("upstream", "upstream", "upstream"),
        Source::Unit(_) => ("unit", "systemd", "unknown"),
        Source::Client(_) => ("client", "client", "absent"),
    };
    let phase = supervised.phase();
    let phase = phase.map_or_else(|| without.to_owned(), |phase| format!("{phase:?}").to_lowercase());
    let endpoint = match member.source() {
        Source::Client(_) => "stdio, of its client".to_owned(),
        _ => member.config.endpoint(flow.world.config.guard_address),
    };
    let health = report.as_ref().map_or(probe::Health::Unknown, |report| report.health).to_string();
    let reason = supervised.problem.clone().or_else(|| report.map(|report| report.reason));
    ServerStatus {
        name: member.config.name.clone(),
        phase,
        health,
        reason: reason.unwrap_or_else(|| "not asked yet".to_owned()),
        endpoint,
        source: source.to_owned(),
        restart_owner: restart_owner.to_owned(),
        package: status.and_then(|status| status.package.as_deref().cloned()),
        pid: supervised.child().map(|child| child.pid),
        guard_pid: status.map(|status| status.guard.pid),
        starts: supervised.starts(),
        last_exit: last_exit.map(|exit| exit.reason.clone()),
        last_exit_ms: last_exit.map(|exit| exit.at_ms),
        stderr: last_exit.map(|exit| exit.stderr.clone()).unwrap_or_default(),
        stopped_by: supervised.stopped_by().map(str::to_owned),
        restriction: restriction(flow, member, status),
        watched: Watched::of(&flow.world.config, &member.config.name, clock::now_ms()).map(|one| one.words()),
        outdated: supervised.outdated,
    }
}

/// What is laid down for a server: what its guard says, and how it is contained.
fn restriction(flow: &Flow, member: &Member, status: Option<&Status>) -> Option<String> {
    let laid_down = status.and_then(|status| status.restriction.as_deref().cloned());
    let contained = containment::contained(&flow.world.config, &member.config.name);
    let words: Vec<String> = contained.into_iter().chain(laid_down).collect();
    (!words.is_empty()).then(|| words.join("; "))
}
