//! Owns what the alerts of other systems mean here: which of them open incidents, and why the others do not.

use incident::{Alarm, AlertFacts, Engine, Fired, Source, Standing};
use metrics::{Alert, AlertState};
use runbook::Severity;

use super::clipped;
use crate::fleet::Fleet;
use crate::world::ServeWorld;

/// What is shown of a text for people, in bytes.
const SUMMARY_BYTES_MAX: usize = 300;

/// The texts that say what is wrong, the best first.
const SUMMARIES: [&str; 3] = ["summary", "description", "message"];

/// An alert that another system tells of, and what is made of it.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) standing: Standing,
    /// Why it opens no incident, where it does not.
    pub(crate) opens_nothing: Option<String>,
    severity: &'static str,
}

/// All of them that stand; `own` are the alerts of our own rules.
pub(crate) async fn told(engine: &Engine<ServeWorld>, fleet: &Fleet, own: &[Alert]) -> Vec<Told> {
    let all = engine.heard().await;
    let judge = |standing: Standing| {
        let heard = &standing.heard;
        let spec = engine.shelf().for_alert(&heard.name).and_then(|(_, procedure)| procedure.alert.as_ref());
        let opens_nothing = if let Some(reason) = unanswered(engine, &heard.name) {
            Some(reason)
        } else if heard.server.is_empty() {
            Some("it names no server (label `server_name`)".to_owned())
        } else if fleet.get(&heard.server).is_none() {
            Some(format!("there is no server `{}`", heard.server))
        } else {
            own.iter()
                .any(|own| is_same_trouble(own, &standing))
                .then(|| "our own rule tells of it".to_owned())
        };
        let severity = known_severity(heard.labels.get("severity"))
            .or_else(|| spec.map(|spec| name_of(spec.severity)))
            .unwrap_or("warning");
        Told { standing, opens_nothing, severity }
    };
    all.into_iter().map(judge).collect()
}

/// Why alerts of a name open no incident, where no procedure is for them.
pub(crate) fn unanswered(engine: &Engine<ServeWorld>, alert: &str) -> Option<String> {
    engine.shelf().for_alert(alert).is_none().then(|| format!("no runbook answers `{alert}`"))
}

// === impl Told ===

impl Told {
    /// What fires here because of it, where something does.
    pub(crate) fn fired(&self) -> Option<Fired> {
        if self.opens_nothing.is_some() {
            return None;
        }
        let (heard, from) = (&self.standing.heard, &self.standing.from);
        let said = SUMMARIES.iter().find_map(|name| heard.annotations.get(*name));
        let said =
            said.map_or_else(|| format!("{} fires", heard.name), |text| clipped(text, SUMMARY_BYTES_MAX));
        let alert = AlertFacts {
            name: heard.name.clone(),
            severity: self.severity.to_owned(),
            labels: heard.labels.clone(),
            fingerprint: heard.fingerprint.clone(),
            started_ms: heard.started_ms,
        };
        let summary = format!("{}: {} (told by {from})", heard.server, said.trim());
        let alarm = Alarm { source: Source::Inbound, summary, alert: Some(alert), exit: None };
        Some(Fired { server: heard.server.clone(), alert: heard.name.clone(), alarm })
    }
}

/// Whether an alert of our own tells of the same: the same name and server, and it fires, or ended after the other began.
/// Whoever tells us is later than our own rule, at the end too; what is told of for longer than the end of ours is kept
/// is trouble that our rule does not see.
fn is_same_trouble(own: &Alert, told: &Standing) -> bool {
    let is_same = own.rule == told.heard.name && own.labels.get("server_name") == Some(&*told.heard.server);
    is_same
        && match (own.state, own.resolved_ms) {
            (AlertState::Firing, _) => true,
            (AlertState::Resolved, Some(at_ms)) => at_ms >= told.heard.started_ms,
            _ => false,
        }
}

fn known_severity(label: Option<&String>) -> Option<&'static str> {
    ["critical", "warning", "info"].into_iter().find(|known| label.is_some_and(|label| label == known))
}

fn name_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}
