//! Owns which alerts say nothing new beside others: what runbooks say, and that a server that is down is also slow.

use std::collections::BTreeSet;

use metrics::{Comparison, InhibitRule, Matcher, Query};
use runbook::AlertSpec;

use crate::shelf::Shelf;

/// The metric that says whether a server is up at all.
const UP: &str = "mcp_server_up";

/// How the metrics begin that follow from a server being down: its speed, its memory, what it needs.
const FOLLOW: [&str; 7] = [
    "mcp_request_duration_seconds",
    "mcp_server_operation_duration_seconds",
    "mcp_server_memory_usage_bytes",
    "mcp_server_dependency_status",
    "mcp_server_health_status",
    "mcp_concurrent_operations",
    "mcp_cache_hit_rate",
];

/// The label in which both alerts are the same.
const SERVER_LABEL: &str = "server_name";

/// The rules of the runbooks at hand.
pub(crate) fn rules(shelf: &Shelf) -> Vec<InhibitRule> {
    let alerts: Vec<&AlertSpec> =
        shelf.procedures().filter_map(|(_, procedure)| procedure.alert.as_ref()).collect();
    let following: Vec<&str> = alerts
        .iter()
        .filter(|alert| {
            let names = metric_names(alert);
            !names.contains(UP) && names.iter().any(|name| FOLLOW.iter().any(|start| name.starts_with(start)))
        })
        .map(|alert| alert.name.as_str())
        .collect();
    let mut rules = Vec::new();
    for alert in &alerts {
        let mut targets: BTreeSet<&str> = alert.inhibits.iter().map(String::as_str).collect();
        if metric_names(alert).contains(UP) {
            targets.extend(&following);
        }
        targets.remove(alert.name.as_str());
        rules.extend(targets.into_iter().filter_map(|target| rule(&alert.name, target)));
    }
    rules
}

fn rule(source: &str, target: &str) -> Option<InhibitRule> {
    let named = |name| Matcher::new(metrics::ALERT_NAME, Comparison::Equal, name).ok();
    let (sources, targets) = (vec![named(source)?], vec![named(target)?]);
    Some(InhibitRule { sources, targets, equal: vec![SERVER_LABEL.to_owned()] })
}

pub(crate) fn metric_names(alert: &AlertSpec) -> BTreeSet<String> {
    let query = alert.query.as_deref().and_then(|text| Query::parse(text).ok());
    query.map(|query| query.metric_names()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shelf::Book;

    fn shelf(alerts: &[(&str, &str, &str)]) -> Shelf {
        let text: String = alerts
            .iter()
            .map(|(name, query, more)| format!("## {name}\n\n### Alert: {name}\n\n**Severity**: Info\\\n**Alert Query**: `{query}`{more}\n\n### Go (0-5 minutes)\n\n1. **Look**\n\n"))
            .collect();
        Shelf::new(vec![Book::parse("x.md", text.as_bytes()).0])
    }

    #[track_caller]
    fn check(alerts: &[(&str, &str, &str)], expect: &[(&str, &str)]) {
        let shown: Vec<String> = rules(&shelf(alerts))
            .iter()
            .map(|rule| format!("{:?} {:?} {:?}", rule.sources, rule.targets, rule.equal))
            .collect();
        let expect: Vec<String> = expect
            .iter()
            .map(|(source, target)| {
                format!("[alertname=\"{source}\"] [alertname=\"{target}\"] [\"server_name\"]")
            })
            .collect();
        assert_eq!(shown, expect);
    }

    #[test]
    fn a_server_that_is_down_is_also_slow_and_whatever_runbooks_say() {
        let slow = ("Slow", "histogram_quantile(0.9, rate(mcp_request_duration_seconds_bucket[5m])) > 5", "");
        let needs = ("Needs", "mcp_server_dependency_status == 0", "\\\n**Inhibits**: Slow");
        let harm = ("Harm", "increase(mcp_server_errors_total[5m]) > 0", "\\\n**Inhibits**: Harm, Elsewhere");
        check(
            &[("Down", "mcp_server_up == 0", ""), slow, needs, harm],
            &[("Down", "Needs"), ("Down", "Slow"), ("Needs", "Slow"), ("Harm", "Elsewhere")],
        );
        // What is about being up as well is no mere consequence.
        check(
            &[
                ("Down", "mcp_server_up == 0", ""),
                ("Odd", "mcp_server_up == 1 and mcp_server_dependency_status == 0", ""),
            ],
            &[],
        );
        check(&[slow], &[]);
    }
}
