//! Owns what a query needs to be answered elsewhere: which series, and how far back.

use super::Query;
use super::selector::LOOKBACK_MS;
use super::syntax::{At, Condition, Expr, Kind, Length, Selector, When};
use crate::labels::{is_label_name, quoted};

/// What a query reads when it is evaluated at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryNeeds {
    /// The series: the name of the metric, where it is one, and the selector as PromQL has it.
    pub selectors: Vec<(Option<String>, String)>,
    /// How far before the moment it looks, in milliseconds.
    pub reach_ms: i64,
    /// It looks at a moment of its own (`@`), which this does not cover.
    pub has_moment: bool,
}

/// Where a subquery has no step: the default of Prometheus.
const SUBQUERY_STEP_MS: i64 = 60_000;

// === impl Query ===

impl Query {
    /// Returns what the query reads.
    pub fn needs(&self) -> QueryNeeds {
        QueryNeeds::of(&self.0.expr)
    }
}

// === impl QueryNeeds ===

impl QueryNeeds {
    pub(super) fn of(expr: &Expr) -> Self {
        let mut needs = Self { selectors: Vec::new(), reach_ms: 0, has_moment: false };
        needs.take(expr, 0);
        needs.selectors.sort();
        needs.selectors.dedup();
        needs
    }

    /// Adds what an expression reads that is evaluated so long before the moment.
    fn take(&mut self, expr: &Expr, before_ms: i64) {
        match &expr.kind {
            Kind::Selector(selector) => self.select(selector, before_ms.saturating_add(LOOKBACK_MS)),
            Kind::Range { selector, range } => {
                // The sample before the window counts for some functions.
                let range_ms = millis(range).saturating_add(LOOKBACK_MS);
                self.select(selector, before_ms.saturating_add(range_ms));
            }
            Kind::Subquery { inner, range, step, when } => {
                let step_ms = step.as_ref().map_or(SUBQUERY_STEP_MS, millis);
                let back_ms = millis(range).saturating_add(step_ms).saturating_add(self.offset_ms(when));
                self.take(inner, before_ms.saturating_add(back_ms));
            }
            Kind::Negated(inner) | Kind::Paren(inner) => self.take(inner, before_ms),
            Kind::Call { arguments, .. } => arguments.iter().for_each(|inner| self.take(inner, before_ms)),
            Kind::Aggregate { param, inner, .. } => {
                param.iter().for_each(|param| self.take(param, before_ms));
                self.take(inner, before_ms);
            }
            Kind::Binary { left, right, .. } => {
                self.take(left, before_ms);
                self.take(right, before_ms);
            }
            Kind::Number(_) | Kind::Text(_) | Kind::Bytes(_) => {}
        }
    }

    fn select(&mut self, selector: &Selector, before_ms: i64) {
        let before_ms = before_ms.saturating_add(self.offset_ms(&selector.when));
        self.reach_ms = self.reach_ms.max(before_ms);
        self.selectors.push((selector.metric_name().map(str::to_owned), shown(selector)));
    }

    fn offset_ms(&mut self, when: &When) -> i64 {
        self.has_moment |= matches!(when.at, Some(At::Millis(_)));
        when.offset.as_ref().map_or(0, millis)
    }
}

/// A length at one moment: steps and ranges of the whole query are nothing there.
fn millis(length: &Length) -> i64 {
    length.millis(0, 0).unwrap_or_default()
}

/// A selector without what moves its moment.
fn shown(selector: &Selector) -> String {
    let matchers = selector.matchers.iter().map(|matcher| {
        let name = match &matcher.name {
            name if is_label_name(name) => name.clone(),
            name => quoted(name),
        };
        let (sign, value) = match &matcher.condition {
            Condition::Equal(value) => ("=", value.as_str()),
            Condition::NotEqual(value) => ("!=", value.as_str()),
            Condition::Matches(regex) => ("=~", regex.as_str()),
            Condition::MatchesNot(regex) => ("!~", regex.as_str()),
        };
        format!("{name}{sign}{}", quoted(value))
    });
    format!("{{{}}}", matchers.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, selectors: &[&str], reach_s: i64) {
        let needs = Query::parse(query).unwrap().needs();
        let found: Vec<&str> = needs.selectors.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!((found.as_slice(), needs.reach_ms), (selectors, reach_s * 1_000), "{query}");
        // What is asked for elsewhere has to be a query.
        for selector in found {
            Query::parse(selector).unwrap_or_else(|error| panic!("{selector}: {error}"));
        }
    }

    #[test]
    fn series_and_how_far_back() {
        check("1", &[], 0);
        check("up", &[r#"{__name__="up"}"#], 300);
        check("up == 0 unless up{a!=\"b\"}", &[r#"{__name__="up",a!="b"}"#, r#"{__name__="up"}"#], 300);
        check(
            "rate(x_total{a=~\"b.*\",c!~\"d\"}[10m]) > 1",
            &[r#"{__name__="x_total",a=~"^(?s:b.*)$",c!~"^(?s:d)$"}"#],
            900,
        );
        check("x offset 1h", &[r#"{__name__="x"}"#], 3_900);
        check("max_over_time(rate(x[5m])[30m:1m] offset 1h)", &[r#"{__name__="x"}"#], 600 + 1_860 + 3_600);
        check("x offset -1h", &[r#"{__name__="x"}"#], 0);
        check("{\"a.b\"=\"\\\"\"}", &[r#"{"a.b"="\""}"#], 300);
        assert!(Query::parse("x @ 100").unwrap().needs().has_moment);
    }
}
