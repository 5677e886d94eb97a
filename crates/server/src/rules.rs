//! Owns the way from the runbooks' alerts, and from rule files, to groups of rules.

mod files;
mod past;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use incident::Shelf;
use metrics::{AlertingRule, Query, RuleGroup, Template};
use runbook::{AlertSpec, Severity};

use crate::config::{Config, Span};

pub(crate) use files::groups;
pub use files::{matching_files, runbook_rules};
pub use past::{PastError, PastSource, fetch_past};

/// Says which rule files of a configuration cannot be used, and why.
pub fn rule_file_problems(config: &Config) -> Vec<String> {
    groups(config).1
}

/// What the group of the runbooks' alerts is called.
const RUNBOOKS: &str = "runbooks";

/// The query of an alert on data integrity that has none: the original runbook's sixth procedure.
const INTEGRITY_QUERY: &str = "mcp_data_integrity_status == 0";

/// Makes a rule of every alert of the runbooks; what cannot be made into one is told of.
pub(crate) fn rules(config: &Config, shelf: &Shelf) -> (RuleGroup, Vec<String>) {
    let mut rules: Vec<AlertingRule> = Vec::new();
    let mut problems = Vec::new();
    for (book, procedure) in shelf.procedures() {
        let Some(spec) = &procedure.alert else { continue };
        if rules.iter().any(|rule| rule.name == spec.name) {
            problems.push(format!(
                "{}: the alert `{}` is answered by an earlier procedure",
                book.runbook.name, spec.name
            ));
            continue;
        }
        let text = spec.query.as_deref().unwrap_or_else(|| {
            problems.push(format!(
                "{}: the alert `{}` has no query; `{INTEGRITY_QUERY}` is used",
                book.runbook.name, spec.name
            ));
            INTEGRITY_QUERY
        });
        match Query::parse(text) {
            Ok(query) => rules.push(rule(config, spec, query, &procedure.title)),
            Err(error) => problems.push(format!(
                "{}: the query of the alert `{}` is not understood and never fires: {error}",
                book.runbook.name, spec.name
            )),
        }
    }
    let named = config.server.iter().flat_map(|server| server.modes.keys());
    let named: BTreeSet<&String> = config.alerts.keys().chain(named).collect();
    for name in named.into_iter().filter(|name| !rules.iter().any(|rule| rule.name == **name)) {
        problems.push(format!("the configuration changes the alert `{name}`, which no runbook has"));
    }
    (RuleGroup::of(RUNBOOKS, rules), problems)
}

fn rule(config: &Config, spec: &AlertSpec, query: Query, title: &str) -> AlertingRule {
    let overridden = config.alerts.get(&spec.name);
    let ms = |ours: Option<Span>, theirs: Option<Duration>| match (ours, theirs) {
        (Some(ours), _) => ours.ms(),
        (None, theirs) => theirs.map_or(0, |one| one.as_millis() as i64),
    };
    AlertingRule {
        name: spec.name.clone(),
        query,
        for_ms: ms(overridden.and_then(|alert| alert.for_), spec.for_),
        keep_firing_for_ms: ms(overridden.and_then(|alert| alert.keep_firing_for), spec.keep_firing_for),
        labels: BTreeMap::from([("severity".to_owned(), Template::literal(severity(spec.severity)))]),
        annotations: BTreeMap::from([("summary".to_owned(), Template::literal(title))]),
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}
