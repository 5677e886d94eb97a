//! Owns alerting rules: a query, how long its answer must hold, and what an alert says.

use std::collections::BTreeMap;

use crate::labels::Labels;
use crate::promql::{Query, shown};

/// The label that holds the name of an alert's rule.
pub const ALERT_NAME: &str = "alertname";

/// When to alert, and what to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertingRule {
    /// The name of its alerts.
    pub name: String,
    /// Each element of its result is an alert.
    pub query: Query,
    /// How long an element must be there before its alert fires; 0 or less fires at once.
    pub for_ms: i64,
    /// How long an alert goes on firing after its element has gone.
    pub keep_firing_for_ms: i64,
    /// Labels for each alert; they hold over those of the element. May contain `{{ $labels.NAME }}` and
    /// `{{ $value }}`.
    pub labels: BTreeMap<String, String>,
    /// Texts for people; the same two expressions are replaced.
    pub annotations: BTreeMap<String, String>,
}

// === impl AlertingRule ===

impl AlertingRule {
    /// Returns the labels of the alert of one element of the result.
    pub(crate) fn alert_labels(&self, element: &Labels, value: f64) -> Labels {
        let own = self.labels.iter().map(|(name, text)| (name.clone(), expand(text, element, value)));
        let name = std::iter::once((ALERT_NAME.to_owned(), self.name.clone()));
        let found = element.without(crate::labels::METRIC_NAME);
        let found: Vec<(String, String)> =
            found.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        found.into_iter().chain(own).chain(name).collect()
    }

    /// Returns the annotations of the alert of one element of the result.
    pub(crate) fn alert_annotations(&self, element: &Labels, value: f64) -> BTreeMap<String, String> {
        self.annotations.iter().map(|(name, text)| (name.clone(), expand(text, element, value))).collect()
    }
}

/// Replaces `{{ $labels.NAME }}` and `{{ $value }}`; anything else in double braces stays as it is written.
fn expand(text: &str, labels: &Labels, value: f64) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, opened)) = rest.split_once("{{") {
        expanded.push_str(before);
        let Some((inside, after)) = opened.split_once("}}") else {
            expanded.push_str("{{");
            rest = opened;
            continue;
        };
        match inside.trim() {
            "$value" => expanded.push_str(&shown(value)),
            name => match name.strip_prefix("$labels.") {
                Some(name) => expanded.push_str(labels.get(name).unwrap_or_default()),
                None => {
                    expanded.push_str("{{");
                    expanded.push_str(inside);
                    expanded.push_str("}}");
                }
            },
        }
        rest = after;
    }
    expanded + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expanded: &str) {
        let labels = Labels::from_iter([("server_name", "mem"), ("hostile", "{{ $value }}")]);
        assert_eq!(expand(text, &labels, 2.5), expanded);
    }

    #[test]
    fn two_expressions_are_replaced_and_others_stay() {
        check("plain", "plain");
        check("{{ $labels.server_name }} is at {{$value}} GB", "mem is at 2.5 GB");
        check("{{ $labels.nothing }}.", ".");
        check("{{ $value | humanize }} {{ .x }} {{", "{{ $value | humanize }} {{ .x }} {{");
        check("{{ {{ $value }}", "{{ {{ $value }}");
        // A value is text, not a template.
        check("{{ $labels.hostile }}", "{{ $value }}");
    }
}
