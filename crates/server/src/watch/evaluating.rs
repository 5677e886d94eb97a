//! Owns the evaluation of the rules, and what becomes of an alert that changes its state.

use std::collections::BTreeSet;

use incident::{Alarm, AlertFacts, Engine, ExitFacts, Fired, Source, error_chain};
use metrics::{Alert, AlertState, AtOnce, EvaluationError, QueryError};
use process::control::{Exit, Phase};

use super::Watch;
use crate::fleet::Fleet;
use crate::inbound;
use crate::world::ServeWorld;

/// The metric whose truth an exit tells at once.
const UP: &str = "mcp_server_up";

/// Evaluates the rules that are due, and those about `exited`. Alerts of the servers in `exited` that are about being up fire without waiting.
pub(crate) async fn evaluate(
    engine: &Engine<ServeWorld>,
    fleet: &Fleet,
    watch: &Watch,
    exited: Option<(&str, &Exit)>,
) {
    let now_ms = watch.sees().await;
    let at_once = AtOnce {
        metric: UP.to_owned(),
        server_names: exited.iter().map(|(server, _)| (*server).to_owned()).collect::<BTreeSet<_>>(),
    };
    let (active, changed, errors) = {
        let mut store = watch.store();
        let mut alerts = watch.alerts();
        let (changed, errors) = alerts.evaluate_due(&mut store, now_ms, &at_once);
        (alerts.active().cloned().collect::<Vec<Alert>>(), changed, errors)
    };
    watch.show(active.clone());
    let is_answered = |rule: &str| engine.shelf().for_alert(rule).is_some();
    for one in changed.iter().filter(|one| one.state == AlertState::Firing && !is_answered(&one.rule)) {
        tracing::warn!(alert = one.rule, labels = %one.labels, "an alert fires that no runbook answers");
    }
    // Whoever asks another engine has said so, once.
    let is_told = |error: &EvaluationError| {
        matches!(error, EvaluationError::Query { source: QueryError::Elsewhere { .. }, .. })
    };
    for error in errors.into_iter().filter(|error| !is_told(error)) {
        tracing::warn!(error = %error_chain(&error), "a rule could not be evaluated");
    }
    let told = inbound::told(engine, fleet, &active).await;
    let mut standing: BTreeSet<String> = active
        .iter()
        .filter(|alert| matches!(alert.state, AlertState::Pending | AlertState::Firing))
        .map(|alert| alert.fingerprint.to_string())
        .collect();
    standing.extend(told.iter().map(|one| one.standing.heard.fingerprint.clone()));
    // A server that has not been asked since our start may be down still: silence proves nothing.
    let known = |server: &str| server.is_empty() || watch.looked(server).is_some();
    if let Err(error) = engine.alerts_standing(&standing, known).await {
        tracing::error!(error = %error_chain(&error), "the end of an alert could not be written down");
    }
    let refusing = engine.refusing();
    let firing =
        active.into_iter().filter(|alert| alert.state == AlertState::Firing && is_answered(&alert.rule));
    let exit_of = |server: &str| exited.filter(|(name, _)| *name == server).map(|(_, exit)| exit);
    // What an operator has stopped stays stopped; what is gone with its client is not down; and neither is what is being
    // started or installed, or was when it was looked at: its last sample may be one of the time before. Its guard says
    // when it has failed.
    let is_excused = |server: &str| {
        let was_starting = || watch.looked(server).is_some_and(|looked| !looked.settled);
        fleet.get(server).is_some_and(|member| {
            let is_starting = exit_of(server).is_none() && (!member.is_settled() || was_starting());
            member.phase() == Some(Phase::Stopped) || member.is_absent() || is_starting
        })
    };
    let ours = firing.map(|alert| {
        let server = alert.labels.get("server_name").unwrap_or_default();
        fired(watch, &alert, server, exit_of(server))
    });
    let theirs = told.iter().filter_map(inbound::Told::fired);
    let firing: Vec<Fired> = ours.chain(theirs).filter(|fired| !is_excused(&fired.server)).collect();
    if let Err(error) = engine.fire_all(&firing).await {
        let error = error_chain(&error);
        // While the journal refuses, every evaluation fails alike: once is enough.
        if refusing.is_none_or(|known| !error.contains(&known)) {
            tracing::error!(error, "the alerts could not all be taken in");
        }
    }
}

fn fired(watch: &Watch, alert: &Alert, server: &str, exit: Option<&Exit>) -> Fired {
    let facts = AlertFacts {
        name: alert.rule.clone(),
        severity: alert.labels.get("severity").unwrap_or("warning").to_owned(),
        labels: alert.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        fingerprint: alert.fingerprint.to_string(),
        started_ms: alert.started_ms,
    };
    let alarm = match exit {
        Some(exit) => Alarm { alert: Some(facts), ..alarm(server, exit) },
        None => {
            let said = watch.looked(server).map(|looked| looked.readiness.reason).unwrap_or_default();
            let subject = if server.is_empty() { "the fleet" } else { server };
            let summary = if said.is_empty() {
                format!("{subject}: {} fires with the value {}", alert.rule, alert.value)
            } else {
                format!("{subject}: {said}")
            };
            Alarm { source: Source::Rule, summary, alert: Some(facts), exit: None }
        }
    };
    Fired { server: server.to_owned(), alert: alert.rule.clone(), alarm }
}

/// The end of a process as an alarm.
pub(crate) fn alarm(server: &str, exit: &Exit) -> Alarm {
    let summary = match exit.pid {
        Some(pid) => format!("{server} (process {pid}) {}", past(&exit.reason)),
        None => format!("{server} could not be started: {}", exit.reason),
    };
    let facts = ExitFacts {
        uptime_ms: Some(exit.uptime_ms),
        pid: exit.pid,
        reason: exit.reason.clone(),
        at_ms: exit.at_ms,
        stderr: exit.stderr.clone(),
        out_of_memory: exit.out_of_memory,
    };
    Alarm { source: Source::Exit, summary, alert: None, exit: Some(facts) }
}

/// "killed by SIGKILL" needs a verb in a sentence; "exited with code 1" has its own.
fn past(reason: &str) -> String {
    if reason.starts_with("killed") { format!("was {reason}") } else { reason.to_owned() }
}
