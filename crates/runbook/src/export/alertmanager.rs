//! Owns the configuration of Alertmanager: how alerts are grouped, and which say nothing new.

use serde_json::{Value, json};

use super::{ExportError, answered, yaml};
use crate::procedure::{Runbook, Severity};

/// Returns a configuration with one receiver, which has no integration yet, a route for each severity, and the
/// inhibitions of the runbooks.
///
/// # Errors
///
/// Returns which alert stands twice or has no query that can be evaluated.
pub fn alertmanager(runbooks: &[Runbook], receiver: &str) -> Result<String, ExportError> {
    let answered = answered(runbooks)?;
    let mut inhibitions: Vec<Value> = Vec::new();
    for one in answered.iter().filter(|one| !one.alert.inhibits.is_empty()) {
        let targets = one.alert.inhibits.iter().map(|name| regex(name)).collect::<Vec<_>>().join("|");
        inhibitions.push(json!({
            "source_matchers": [format!("alertname={}", quoted(&one.alert.name))],
            "target_matchers": [format!("alertname=~{}", quoted(&targets))],
            "equal": ["server_name"],
        }));
    }
    // What is critical is told at once, and again every hour; the rest waits for company, and for the morning.
    let routes: Vec<Value> = [(Severity::Critical, "0s", "1h"), (Severity::Warning, "30s", "12h")]
        .into_iter()
        .map(|(severity, wait, repeat)| {
            json!({
                "matchers": [format!("severity={}", quoted(severity.name()))],
                "receiver": receiver,
                "group_wait": wait,
                "repeat_interval": repeat,
            })
        })
        .collect();
    let document = json!({
        "route": {"receiver": receiver, "group_by": ["alertname", "server_name"], "routes": routes},
        "inhibit_rules": inhibitions,
        "receivers": [{"name": receiver}],
    });
    let note =
        "# The receiver has no integration: add webhook_configs, pagerduty_configs or another one to it.\n";
    Ok(note.to_owned() + &yaml::document(&document))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn regex(name: &str) -> String {
    name.chars().flat_map(|c| if c.is_alphanumeric() || c == '_' { vec![c] } else { vec!['\\', c] }).collect()
}
