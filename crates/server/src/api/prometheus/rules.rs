//! Owns the rules and alerts in the form of Prometheus' API: `/api/v1/rules`, `/api/v1/alerts`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{RawQuery, State};
use chrono::{DateTime, SecondsFormat};
use incident::error_chain;
use metrics::{Alert, AlertState, GroupStatus, Labels, Rule, RuleStatus};
use serde::Serialize;

use super::answer::Answer;
use super::success;
use crate::api::handlers::Shared;

/// All groups.
#[derive(Serialize)]
pub(super) struct Groups {
    groups: Vec<Group>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    name: String,
    file: String,
    /// In seconds.
    interval: f64,
    limit: usize,
    rules: Vec<Told>,
    last_evaluation: String,
}

/// A rule; what only one of the two kinds has is left out of the other.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    #[serde(rename = "type")]
    kind: &'static str,
    name: String,
    query: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// `for`, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
    /// In seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_firing_for: Option<f64>,
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alerts: Option<Vec<Active>>,
    /// `ok`, `err`, or `unknown` before the first evaluation.
    health: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    last_evaluation: String,
}

/// All alerts that are pending or firing.
#[derive(Serialize)]
pub(super) struct Alerts {
    alerts: Vec<Active>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Active {
    labels: Labels,
    annotations: BTreeMap<String, String>,
    state: &'static str,
    active_at: String,
    value: String,
}

/// Which rules are asked for: `type=alert`, `type=record`, or both.
pub(super) async fn rules(State(flow): Shared, RawQuery(query): RawQuery) -> Json<Answer<Groups>> {
    let query = query.unwrap_or_default();
    let kind = query.split('&').find_map(|pair| pair.strip_prefix("type="));
    let wanted = |rule: &Told| match kind {
        Some("alert") => rule.kind == "alerting",
        Some("record") => rule.kind == "recording",
        _ => true,
    };
    let alerts = flow.watch.alerts();
    let mut groups: Vec<Group> = alerts.groups().map(Group::of).collect();
    drop(alerts);
    groups.iter_mut().for_each(|group| group.rules.retain(wanted));
    success(Groups { groups })
}

pub(super) async fn alerts(State(flow): Shared) -> Json<Answer<Alerts>> {
    let alerts = flow.watch.alerts().active().filter(|alert| alert.is_active()).map(Active::of).collect();
    success(Alerts { alerts })
}

// === impl Group ===

impl Group {
    fn of(status: GroupStatus<'_>) -> Self {
        let evaluated_ms = status.evaluated_ms();
        Self {
            name: status.name().to_owned(),
            file: status.source().to_owned(),
            interval: status.interval_ms() as f64 / 1e3,
            limit: status.limit(),
            rules: status.rules().map(|rule| Told::of(rule, evaluated_ms)).collect(),
            last_evaluation: time(evaluated_ms.unwrap_or_default()),
        }
    }
}

// === impl Told ===

impl Told {
    fn of(status: RuleStatus<'_>, evaluated_ms: Option<i64>) -> Self {
        let last_error = status.last_error().map(|error| error_chain(error));
        let health = match (evaluated_ms, &last_error) {
            (None, _) => "unknown",
            (_, Some(_)) => "err",
            (_, None) => "ok",
        };
        let last_evaluation = time(evaluated_ms.unwrap_or_default());
        let (name, query) = (status.rule().name().to_owned(), status.rule().query().text().to_owned());
        match status.rule() {
            Rule::Recording(rule) => Self {
                kind: "recording",
                name,
                query,
                state: None,
                duration: None,
                keep_firing_for: None,
                labels: rule.labels.clone(),
                annotations: None,
                alerts: None,
                health,
                last_error,
                last_evaluation,
            },
            Rule::Alerting(rule) => {
                let texts = |templates: &BTreeMap<String, metrics::Template>| {
                    templates.iter().map(|(name, text)| (name.clone(), text.text().to_owned())).collect()
                };
                let active = status.alerts().filter(|alert| alert.is_active());
                Self {
                    kind: "alerting",
                    name,
                    query,
                    state: Some(shown(status.state())),
                    duration: Some(rule.for_ms as f64 / 1e3),
                    keep_firing_for: Some(rule.keep_firing_for_ms as f64 / 1e3),
                    labels: texts(&rule.labels),
                    annotations: Some(texts(&rule.annotations)),
                    alerts: Some(active.map(Active::of).collect()),
                    health,
                    last_error,
                    last_evaluation,
                }
            }
        }
    }
}

// === impl Active ===

impl Active {
    fn of(alert: &Alert) -> Self {
        Self {
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            state: shown(alert.state),
            active_at: time(alert.started_ms),
            value: metrics::shown(alert.value),
        }
    }
}

fn shown(state: AlertState) -> &'static str {
    match state {
        AlertState::Firing => "firing",
        AlertState::Pending => "pending",
        AlertState::Inactive | AlertState::Resolved => "inactive",
    }
}

fn time(at_ms: i64) -> String {
    DateTime::from_timestamp_millis(at_ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}
