//! Owns the page of one server: what it is made of, and what its forms do, by the roles of the API.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use incident::Incident;
use logs::{Clock, Entry, Filter, Level, Pattern, Sieve, Wanted};
use metrics::Query;
use serde::Deserialize;
use serde_json::Value;
use web::Place;
use web::chart::Mark;
use web::series::{charts, limits};
use web::server::{
    Block, Controls, Dependency, Happened, LastExit, LogLine, Logs, Pace, ServerPage, ServerQuery, Traces,
    WINDOWS,
};

use super::Web;
use super::asking::range;
use super::door::{Fields, Guest, see_other};
use super::fleet::{firing, health};
use super::pages::{Eye, View};
use super::shown;
use crate::api::wire::{Order, ServerStatus};
use crate::api::{Failure, carry_out, server_status};
use crate::controls::{BlockKind, Control};
use crate::fleet::{Member, OrderError, Source, Verb};
use crate::flow::Flow;
use crate::tokens::Role;
use crate::{clock, controls};

/// How long the page may be shown without another look.
const AGAIN: Duration = Duration::from_secs(10);
/// So many lines of its log are shown.
const LINES_MAX: usize = 200;
/// Of so many lines those are looked for that are wanted.
const LINES_LOOKED_AT: usize = 20_000;
/// So many incidents and traces are shown.
const INCIDENTS_MAX: usize = 20;
const TRACES_MAX: usize = 10;
/// Of so many traces the slowest are looked for.
const TRACES_LOOKED_AT: usize = 2_000;
/// The longest text that is looked for, in characters.
const TEXT_CHARS_MAX: usize = 200;

/// The query of the page's address; what is not understood is the usual.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asking {
    window: String,
    level: String,
    q: String,
}

fn none(name: &str) -> Failure {
    OrderError::NoServer(name.to_owned()).into()
}

/// A server, where they may see it; to others there is none.
fn found(flow: &Flow, name: &str, eye: &Eye) -> Result<Arc<Member>, Failure> {
    flow.fleet.get(name).filter(|_| eye.is_for(name)).ok_or_else(|| none(name))
}

/// The page.
pub(super) async fn page(web: &Web, name: &str, query: &str, eye: &Eye) -> Result<View, Failure> {
    let flow = &web.flow;
    let member = found(flow, name, eye)?;
    let asking: Asking = serde_urlencoded::from_str(query).unwrap_or_default();
    let query = ServerQuery {
        window: ServerQuery::window_of(&asking.window),
        level: Level::of_name(&asking.level).map(|level| level.name().to_owned()).unwrap_or_default(),
        text: asking.q.chars().take(TEXT_CHARS_MAX).collect(),
    };
    let now_ms = clock::now_ms();
    let status = server_status(flow, &member);
    let incidents = happened(flow, name, eye).await?;
    let (charts, traces) = drawn(flow, name, now_ms, query.window, &incidents).await;
    let may_act = eye.role >= Role::Approver;
    let page = ServerPage {
        name: status.name.clone(),
        health: health(&status.health),
        phase: status.phase.clone(),
        reason: status.reason.clone(),
        facts: facts(&status),
        exit: exit(&status),
        dependencies: dependencies(flow, name),
        alerts: firing(flow, |server| server == name),
        incidents: incidents.into_iter().take(INCIDENTS_MAX).collect(),
        charts,
        controls: laid_down(flow, name).await,
        takes_orders: matches!(member.source(), Source::Configuration | Source::Unit(_)),
        logs: said(&member, &query, now_ms).await,
        traces,
        csrf: may_act.then(|| eye.csrf.clone()),
    };
    let title = format!("{}: {}", page.health.word(), page.name);
    let parts = page.parts(&query);
    Ok(View { title, place: Place::Fleet, body: web::all(&parts), parts, again: AGAIN })
}

fn facts(status: &ServerStatus) -> Vec<(&'static str, String)> {
    let package = status.package.as_ref().map(|package| format!("{} {}", package.name, package.version));
    let number = |number: Option<i32>| number.map(|number| number.to_string());
    let all = [
        ("Clients connect to", Some(status.endpoint.clone())),
        ("Comes from", Some(status.source.clone())),
        ("Restarted by", Some(status.restart_owner.clone())),
        ("Package", package),
        ("Process", number(status.pid)),
        ("Its guard", number(status.guard_pid)),
        ("Starts", status.starts.map(|starts| starts.to_string())),
        ("Stopped by", status.stopped_by.clone()),
        ("Laid down", status.restriction.clone()),
        ("Watched", status.watched.clone()),
        (
            "Guard",
            status.outdated.then(|| "runs with other arguments than the configuration has now".to_owned()),
        ),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn exit(status: &ServerStatus) -> Option<LastExit> {
    let (reason, at_ms) = (status.last_exit.clone()?, status.last_exit_ms?);
    let hidden = |line: &String| logs::redact::text(line).into_owned();
    Some(LastExit { reason, at_ms, stderr: status.stderr.iter().map(hidden).collect() })
}

fn dependencies(flow: &Flow, name: &str) -> Vec<Dependency> {
    let looked = flow.watch.looked(name).map(|looked| looked.readiness.dependencies).unwrap_or_default();
    let shown = looked.into_iter().map(|one| Dependency {
        name: one.name,
        health: health(&one.health.to_string()),
        critical: one.critical == probe::Criticality::Critical,
        reason: one.reason,
    });
    shown.collect()
}

/// The incidents about a server that they may see, the newest first.
async fn happened(flow: &Flow, name: &str, eye: &Eye) -> Result<Vec<Happened>, Failure> {
    let is_about = |one: &&Incident| one.server == name || one.members().any(|member| member == name);
    let of = |one: &Incident| Happened {
        id: one.id.to_string(),
        state: one.state.to_string(),
        is_open: one.state.is_open(),
        title: one.title.clone(),
        opened_ms: one.opened_ms,
    };
    let look = flow.engine.look(|all| all.filter(is_about).filter(|one| eye.may_see(one)).map(of).collect());
    let mut all: Vec<Happened> = look.await?;
    all.sort_by_key(|one| std::cmp::Reverse(one.opened_ms));
    Ok(all)
}

async fn drawn(
    flow: &Arc<Flow>,
    name: &str,
    now_ms: i64,
    window: usize,
    incidents: &[Happened],
) -> (Vec<web::chart::Chart>, Traces) {
    let (_, _, length_ms) = WINDOWS[window];
    let marks: Vec<Mark> =
        incidents.iter().map(|one| Mark { at_ms: one.opened_ms, name: one.id.clone() }).collect();
    let (flow, name) = (Arc::clone(flow), name.to_owned());
    let draw = move || {
        let limits = limits(flow.watch.alerts().rules());
        let mut ask = |query: &Query, steps| range(&flow, query, steps);
        let charts = charts(&name, (now_ms, length_ms), &limits, &marks, &mut ask);
        let filter =
            traces::Filter { server: Some(name), limit: TRACES_LOOKED_AT, ..traces::Filter::default() };
        let last = flow.traces.find(&filter);
        let mut slowest = last.clone();
        slowest.sort_by_key(|one| std::cmp::Reverse(one.span_took));
        slowest.truncate(TRACES_MAX);
        (charts, Traces { slowest, last: last.into_iter().take(TRACES_MAX).collect() })
    };
    tokio::task::spawn_blocking(draw).await.unwrap_or_default()
}

/// What its guard lets through, as it says itself; none where no guard answers.
async fn laid_down(flow: &Flow, name: &str) -> Option<Controls> {
    let status = controls::status(flow, name, "the page").await.ok()?;
    let set = |set: &Value| {
        let (by, at_ms) = (set["by"].as_str()?, set["at_ms"].as_i64()?);
        let at =
            chrono::DateTime::from_timestamp_millis(at_ms).unwrap_or_default().format("%Y-%m-%d %H:%M UTC");
        let why = set["reason"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
        Some(format!("By {by}, {at}{why}."))
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let percent = |value: &Value| value.as_u64().and_then(|value| u8::try_from(value).ok()).unwrap_or(100);
    let blocks = status["blocks"].as_array().map(Vec::as_slice).unwrap_or_default().iter();
    let clients = status["writes"]["clients"].as_object().into_iter().flatten();
    Some(Controls {
        percent: percent(&status["writes"]["percent"]),
        clients: clients.map(|(client, value)| (client.clone(), percent(value))).collect(),
        set: set(&status["writes"]["set"]),
        blocks: blocks
            .map(|block| Block {
                kind: text(&block["kind"]),
                name: text(&block["name"]),
                until_ms: block["until_ms"].as_i64(),
                set: set(&block["set"]).unwrap_or_default(),
            })
            .collect(),
        pace: status["pace"].as_object().map(|pace| Pace {
            per_second: pace.get("per_second").and_then(Value::as_u64),
            at_once: pace.get("at_once").and_then(Value::as_u64),
            set: pace.get("set").and_then(set).unwrap_or_default(),
        }),
        draining: status["draining"].as_bool().unwrap_or(false),
        in_flight: status["requests_in_flight"].as_u64().unwrap_or(0),
        sessions: status["sessions"].as_u64().unwrap_or(0),
        problem: status["controls_problem"].as_str().map(str::to_owned),
    })
}

/// The last lines of its log that are wanted. It is read from its end, and no further than so many lines.
async fn said(member: &Arc<Member>, query: &ServerQuery, now_ms: i64) -> Logs {
    let (member, query) = (Arc::clone(member), query.clone());
    tokio::task::spawn_blocking(move || read(&member, &query, now_ms)).await.unwrap_or_default()
}

fn read(member: &Member, query: &ServerQuery, now_ms: i64) -> Logs {
    let name = &member.config.name;
    let note = |note: String| Logs { lines: Vec::new(), notes: vec![note] };
    let text = query.text.trim();
    let filter = Filter {
        pattern: (!text.is_empty()).then(|| Pattern::literal(text)),
        level: Level::of_name(&query.level),
        ..Filter::default()
    };
    let is_all = filter.pattern.is_none() && filter.level.is_none();
    let lines_max = if is_all { LINES_MAX } else { LINES_LOOKED_AT };
    let tail = match logs::tail(&member.log, Wanted { lines_max, since_ms: None }) {
        Ok(tail) if tail.follower.is_there() => tail,
        Ok(_) => {
            return note(format!(
                "No guard of ours keeps its log; `paramedic server logs {name}` looks elsewhere too."
            ));
        }
        Err(error) => return note(format!("Its log cannot be read: {error}")),
    };
    // A guard writes moments with their zone.
    let clock = Clock { local: |time| time.and_utc().timestamp_millis(), written_ms: now_ms };
    let mut sieve = Sieve::new(&filter);
    let mut found: VecDeque<LogLine> = VecDeque::new();
    let mut is_cut = tail.is_cut;
    for mut entry in tail.lines.iter().filter_map(|line| sieve.take(&line.bytes, clock)) {
        logs::redact::entry(&mut entry);
        found.push_back(line(&entry));
        if found.len() > LINES_MAX {
            found.pop_front();
            is_cut = true;
        }
    }
    let looked_at =
        if is_all { String::new() } else { format!("Looked at were the last {LINES_LOOKED_AT} lines. ") };
    let notes = is_cut.then(|| format!("{looked_at}`paramedic server logs {name}` has all."));
    Logs { lines: found.into(), notes: notes.into_iter().collect() }
}

fn line(entry: &Entry) -> LogLine {
    let words = [entry.event.as_str(), entry.message.as_str()];
    LogLine {
        at_ms: entry.at_ms,
        level: entry.level.map(|level| level.name().to_owned()).unwrap_or_default(),
        text: words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "),
    }
}

/// Does what a form of a server says.
pub(super) async fn act(
    State(web): State<Arc<Web>>,
    Extension(guest): Extension<Guest>,
    Extension(fields): Extension<Fields>,
    Path((name, act)): Path<(String, String)>,
) -> Response {
    let done = done(&web, &guest, &name, &act, &fields).await;
    let Ok(here) = format!("/servers/{name}").parse::<Uri>() else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match done {
        Ok(()) => see_other(here.path()),
        Err(refused) => shown::page(&web, &guest, &here, Some(refused)).await,
    }
}

async fn done(web: &Web, guest: &Guest, name: &str, act: &str, fields: &Fields) -> Result<(), Failure> {
    let (flow, by) = (&web.flow, guest.token.name.as_str());
    if guest.token.role < Role::Approver {
        let words = format!("{by} is a {}, and this takes an approver", guest.token.role.name());
        return Err(Failure::new(StatusCode::FORBIDDEN, words));
    }
    found(flow, name, &Eye::of(web, &guest.token))?;
    let verb = match act {
        "restart" => Some(Verb::Restart),
        "start" => Some(Verb::Start),
        "stop" => Some(Verb::Stop),
        _ => None,
    };
    if let Some(verb) = verb {
        let order = Order { key: format!("page/{}", uuid::Uuid::now_v7()), by: by.to_owned() };
        drop(carry_out(flow, name, verb, order).await?);
        return Ok(());
    }
    let control = control(act, fields)?;
    let reason = Some(fields.get("reason")).filter(|reason| !reason.is_empty());
    controls::order(flow, name, by, reason, &control).await?;
    Ok(())
}

/// What a form wants of the guard.
fn control(act: &str, fields: &Fields) -> Result<Control, Failure> {
    let bad = |words: String| Failure::new(StatusCode::BAD_REQUEST, words);
    let named = || {
        let kind = match fields.get("kind") {
            "tool" => BlockKind::Tool,
            "client" => BlockKind::Client,
            "address" => BlockKind::Address,
            other => return Err(bad(format!("`{other}` is nothing that can be shut out"))),
        };
        Ok((kind, fields.get("name").to_owned()))
    };
    Ok(match act {
        // Whoever looks at the page sees what still runs: nothing is waited for.
        "readonly" => Control::ReadOnly { wait_s: Some(0) },
        "drain" => Control::Drain { wait_s: Some(0) },
        "undrain" => Control::Undrain,
        "limit" => {
            let number = |name: &str| match fields.get(name) {
                "" => Ok(None),
                text => text.parse().map(Some).map_err(|_| bad(format!("`{text}` is no number of requests"))),
            };
            Control::Limit { per_second: number("per_second")?, at_once: number("at_once")? }
        }
        "unlimit" => Control::Unlimit,
        "writes" => {
            let percent = fields.get("percent");
            let number = percent.parse().ok().filter(|number| (1..=100).contains(number));
            let percent = number.ok_or_else(|| bad(format!("`{percent}` is no percentage: 1 to 100")))?;
            Control::Writes { percent, client: None }
        }
        "block" => {
            let (kind, name) = named()?;
            let length = fields.get("for");
            let for_s = match length {
                "" => None,
                length => {
                    let read = runbook::parse_duration(length)
                        .and_then(|length| u32::try_from(length.as_secs()).ok());
                    Some(read.ok_or_else(|| bad(format!("`{length}` is no length of time, such as 30m")))?)
                }
            };
            Control::Block { kind, name, for_s }
        }
        "unblock" => {
            let (kind, name) = named()?;
            Control::Unblock { kind, name }
        }
        "clear-cache" => Control::ClearCache,
        _ => return Err(Failure::new(StatusCode::NOT_FOUND, format!("nothing here is called `{act}`"))),
    })
}
