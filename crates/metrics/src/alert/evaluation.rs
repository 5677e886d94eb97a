//! Owns one evaluation of an alerting rule: its query, and the labels and texts of what it finds.

use std::collections::BTreeMap;

use super::{ALERTS_PER_RULE_MAX, EvaluationError, RuleSettings};
use crate::labels::Labels;
use crate::promql::{Element, Query, QueryBounds, Value};
use crate::rule::AlertingRule;
use crate::store::Store;
use crate::template::TemplateContext;

/// An element that alerts.
pub(super) struct Found {
    pub(super) value: f64,
    pub(super) annotations: BTreeMap<String, String>,
}

/// Evaluates a query whose result becomes alerts or series.
pub(super) fn vector(
    query: &Query,
    store: &Store,
    at_ms: i64,
    rule: &str,
) -> Result<Vec<Element>, EvaluationError> {
    match query.instant(store, at_ms) {
        Ok(Value::Vector(elements)) => Ok(elements),
        Ok(Value::Scalar(value)) => Ok(vec![Element { labels: Labels::empty(), value }]),
        Ok(Value::Matrix(_) | Value::Text(_)) => Err(EvaluationError::NotVector { rule: rule.to_owned() }),
        Err(source) => Err(EvaluationError::Query { rule: rule.to_owned(), source }),
    }
}

/// Evaluates a rule; returns the elements that alert, by the labels of their alerts.
pub(super) fn evaluate(
    rule: &AlertingRule,
    store: &Store,
    at_ms: i64,
    settings: &RuleSettings,
) -> Result<BTreeMap<Labels, Found>, EvaluationError> {
    let name = || rule.name.clone();
    let elements = vector(&rule.query, store, at_ms, &rule.name)?;
    if elements.len() > ALERTS_PER_RULE_MAX {
        return Err(EvaluationError::TooMany { rule: name(), limit: ALERTS_PER_RULE_MAX, what: "alerts" });
    }
    let query = |text: &str| asked(store, text, at_ms);
    let mut found = BTreeMap::new();
    for element in elements {
        let context = TemplateContext {
            labels: &element.labels,
            value: element.value,
            external_labels: &settings.external_labels,
            external_url: &settings.external_url,
            at_ms,
            query: &query,
        };
        let labels = rule.alert_labels(&context);
        let annotations = rule.alert_annotations(&context);
        if found.insert(labels.clone(), Found { value: element.value, annotations }).is_some() {
            return Err(EvaluationError::Duplicate { rule: name(), labels });
        }
    }
    Ok(found)
}

/// Answers a query of a template.
fn asked(store: &Store, text: &str, at_ms: i64) -> Result<Vec<Element>, String> {
    let query = Query::parse(text).map_err(|error| error.to_string())?;
    match query.answer(store, at_ms, QueryBounds::default()).map(|answer| answer.value) {
        Ok(Value::Vector(elements)) => Ok(elements),
        Ok(Value::Scalar(value)) => Ok(vec![Element { labels: Labels::empty(), value }]),
        Ok(Value::Matrix(_) | Value::Text(_)) => Err("query result is not a vector or scalar".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
