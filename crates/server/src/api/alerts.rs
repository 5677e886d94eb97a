//! Owns the handlers of alerts and silences: which alerts there are, what keeps them quiet, and what people say to that.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use incident::{Suppressed, error_chain};
use metrics::{Alert, AlertState, Labels, SilenceError};

use super::handlers::Shared;
use super::listing::{Listed, Order};
use super::problem::Failure;
use super::wire::{AddSilence, AlertStatus, By, ListQuestion, SilenceStatus};
use crate::clock;
use crate::document::DocumentError;
use crate::flow::Flow;
use crate::inbound::{self, Told, unanswered};
use crate::silences::{SilenceFileError, add_silence, expire_silence, read_silences};

impl From<SilenceFileError> for Failure {
    fn from(error: SilenceFileError) -> Self {
        let status = match &error {
            SilenceFileError::File(DocumentError::Change(SilenceError::None(_))) => StatusCode::NOT_FOUND,
            SilenceFileError::File(DocumentError::Change(_) | DocumentError::Locked { .. }) => {
                StatusCode::CONFLICT
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error_chain(&error))
    }
}

pub(super) async fn alerts(
    State(flow): Shared,
    Query(question): Query<ListQuestion>,
) -> Result<Listed<AlertStatus>, Failure> {
    // Those that fire come first; a source may tell of one that others know as well.
    let key = |one: &AlertStatus| {
        let rank = u8::from(one.state != AlertState::Firing);
        format!("{rank} {} {} {}", one.name, one.fingerprint, one.from)
    };
    Listed::of(question, Order::Up, all(&flow).await.into_iter().map(|one| (key(&one), one)))
}

async fn all(flow: &Flow) -> Vec<AlertStatus> {
    let alerts: Vec<Alert> = flow.watch.active().to_vec();
    let told = inbound::told(&flow.engine, &flow.fleet, &alerts).await;
    let (opening, quiet): (Vec<&Told>, Vec<&Told>) = told.iter().partition(|one| one.opens_nothing.is_none());
    let (firing, others): (Vec<&Alert>, Vec<&Alert>) =
        alerts.iter().partition(|alert| alert.state == AlertState::Firing);
    let ours = firing.iter().map(|alert| status(flow, alert));
    let mut all: Vec<AlertStatus> = ours.chain(opening.into_iter().map(status_of_told)).collect();
    let suppressed = |all: &[AlertStatus]| -> Vec<Suppressed> {
        let labels: Vec<Labels> = all.iter().map(|one| one.labels.clone()).collect();
        flow.engine.suppressed(&labels)
    };
    let names: Vec<String> = all.iter().map(|one| one.name.clone()).collect();
    let quieted = suppressed(&all);
    for (one, suppressed) in all.iter_mut().zip(quieted) {
        one.inhibited_by = suppressed.inhibited_by.map(|idx| names[idx].clone());
        one.silenced_by = suppressed.silenced_by;
    }
    // What does not fire inhibits nothing and is not inhibited; a silence holds for it all the same.
    let others = others.iter().map(|alert| status(flow, alert));
    let mut others: Vec<AlertStatus> = others.chain(quiet.into_iter().map(status_of_told)).collect();
    let quieted = suppressed(&others);
    for (one, suppressed) in others.iter_mut().zip(quieted) {
        one.silenced_by = suppressed.silenced_by;
    }
    all.append(&mut others);
    all
}

fn status(flow: &Flow, alert: &Alert) -> AlertStatus {
    let since_ms = match alert.state {
        AlertState::Firing => alert.fired_ms,
        AlertState::Resolved => alert.resolved_ms,
        AlertState::Pending | AlertState::Inactive => None,
    };
    AlertStatus {
        name: alert.rule.clone(),
        state: alert.state,
        server: alert.labels.get("server_name").unwrap_or_default().to_owned(),
        since_ms: since_ms.unwrap_or(alert.started_ms),
        value: Some(alert.value).filter(|value| value.is_finite()),
        labels: alert.labels.clone(),
        fingerprint: alert.fingerprint.to_string(),
        silenced_by: Vec::new(),
        inhibited_by: None,
        from: alert.source.clone(),
        opens_nothing: unanswered(&flow.engine, &alert.rule),
    }
}

fn status_of_told(told: &Told) -> AlertStatus {
    let heard = &told.standing.heard;
    AlertStatus {
        name: heard.name.clone(),
        state: AlertState::Firing,
        server: heard.server.clone(),
        since_ms: heard.started_ms,
        value: None,
        labels: heard.labels.iter().collect(),
        fingerprint: heard.fingerprint.clone(),
        silenced_by: Vec::new(),
        inhibited_by: None,
        from: told.standing.from.clone(),
        opens_nothing: told.opens_nothing.clone(),
    }
}

pub(super) async fn silences(
    State(flow): Shared,
    Query(question): Query<ListQuestion>,
) -> Result<Listed<SilenceStatus>, Failure> {
    let now_ms = clock::now_ms();
    let all = read_silences(&flow.world.config)?;
    let status = |one: &metrics::Silence| SilenceStatus { state: one.state(now_ms), silence: one.clone() };
    Listed::of(question, Order::Up, all.all(now_ms).map(|one| (format!("{:010}", one.number), status(one))))
}

pub(super) async fn silence(
    State(flow): Shared,
    Json(add): Json<AddSilence>,
) -> Result<Json<SilenceStatus>, Failure> {
    let now_ms = clock::now_ms();
    let (silence, breadth) = add.into_parts();
    let number = add_silence(&flow.world.config, &flow.engine, silence.clone(), breadth, now_ms).await?;
    let silence = metrics::Silence { number, ..silence };
    Ok(Json(SilenceStatus { state: silence.state(now_ms), silence }))
}

pub(super) async fn expire(
    State(flow): Shared,
    Path(number): Path<u32>,
    Json(By { by }): Json<By>,
) -> Result<Json<SilenceStatus>, Failure> {
    let now_ms = clock::now_ms();
    let silence = expire_silence(&flow.world.config, &flow.engine, number, &by, now_ms).await?;
    Ok(Json(SilenceStatus { state: silence.state(now_ms), silence }))
}
