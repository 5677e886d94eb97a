//! Owns the rule file of Prometheus.

use std::time::Duration;

use metrics::Engine;
use serde_json::{Map, Value, json};

use super::{Answered, ExportError, answered, yaml};
use crate::procedure::Runbook;

/// Returns a rule file with one group for each runbook.
///
/// Where `engine` would miss what an alert is for its query is written otherwise, and a comment above says how and why.
/// `url` is what the address of a runbook begins with; its file and its procedure follow: `URL/server-down.md#server-down`.
///
/// # Errors
///
/// Returns which alert stands twice or has no query that can be evaluated.
pub fn prometheus(runbooks: &[Runbook], url: Option<&str>, engine: Engine) -> Result<String, ExportError> {
    let mut groups: Vec<(String, Vec<Value>)> = Vec::new();
    let mut comments = String::new();
    for answered in answered(runbooks)? {
        let name = answered.runbook.name.clone();
        let portable = answered.query.for_engine(engine);
        for remark in &portable.remarks {
            comments.push_str(&format!("# {}: {remark}.\n", one_line(&answered.alert.name)));
        }
        let rule = rule(&answered, &portable.text, url);
        match groups.iter_mut().find(|(group, _)| *group == name) {
            Some((_, rules)) => rules.push(rule),
            None => groups.push((name, vec![rule])),
        }
    }
    let groups: Vec<Value> =
        groups.into_iter().map(|(name, rules)| json!({"name": name, "rules": rules})).collect();
    if !comments.is_empty() {
        comments.insert_str(0, &format!("# For the engine {}:\n", engine.name()));
    }
    Ok(comments + &yaml::document(&json!({"groups": groups})))
}

fn rule(answered: &Answered<'_>, query: &str, url: Option<&str>) -> Value {
    let Answered { runbook, procedure, alert, .. } = answered;
    let mut rule = Map::new();
    rule.insert("alert".to_owned(), json!(alert.name.replace(char::is_whitespace, "_")));
    rule.insert("expr".to_owned(), json!(query));
    if let Some(duration) = alert.for_ {
        rule.insert("for".to_owned(), json!(prometheus_duration(duration)));
    }
    if let Some(duration) = alert.keep_firing_for.filter(|duration| !duration.is_zero()) {
        rule.insert("keep_firing_for".to_owned(), json!(prometheus_duration(duration)));
    }
    rule.insert("labels".to_owned(), json!({"severity": alert.severity.name()}));
    let mut annotations = Map::new();
    let summary = format!("{}: {{{{ $labels.server_name }}}}", outside(&procedure.title));
    annotations.insert("summary".to_owned(), json!(summary));
    let file = outside(&runbook.name);
    let address = match url {
        Some(url) => format!(
            "{}/{}#{}",
            url.trim_end_matches('/'),
            file.rsplit('/').next().unwrap_or_default(),
            procedure.id
        ),
        None => format!("{file}#{}", procedure.id),
    };
    annotations.insert("runbook_url".to_owned(), json!(address));
    if let Some(response) = alert.response_time {
        annotations.insert("response_time".to_owned(), json!(prometheus_duration(response)));
    }
    rule.insert("annotations".to_owned(), Value::Object(annotations));
    Value::Object(rule)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text of ours in a template of Prometheus: its braces are no expressions.
fn outside(text: &str) -> String {
    text.replace("{{", "{ {")
}

/// `90s`; Prometheus has no fractions.
pub(super) fn prometheus_duration(duration: Duration) -> String {
    format!("{}s", duration.as_millis().div_ceil(1000))
}
