//! Owns the listing of series: which ones a selector finds, whatever their values.

use promql_parser::parser::{Expr, VectorSelector};

use super::selector::matches;
use super::{QueryError, parse, selector_name};
use crate::labels::Labels;
use crate::store::Store;

/// A series selector, as `match[]` of Prometheus' API has it: `up`, `{job="guard"}`.
#[derive(Debug, Clone)]
pub struct SeriesSelector(VectorSelector);

// === impl SeriesSelector ===

impl SeriesSelector {
    /// Reads a selector.
    ///
    /// # Errors
    ///
    /// Fails if the text is not PromQL, or any expression that is not a selector of series alone.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        match parse::parse(text)? {
            Expr::VectorSelector(selector) if selector.offset.is_none() && selector.at.is_none() => {
                Ok(Self(selector))
            }
            _ => Err(QueryError::Type { expected: "series selector", got: "expression" }),
        }
    }

    fn name(&self) -> Option<String> {
        selector_name(&self.0)
    }

    fn accepts(&self, labels: &Labels) -> bool {
        matches(&self.0.matchers.matchers, labels)
    }
}

/// Returns the label sets, sorted and each once, of the series that any of the selectors selects (without selectors: of all)
/// and that have a sample after `from_ms` and not after `to_ms`.
pub fn series(store: &Store, selectors: &[SeriesSelector], from_ms: i64, to_ms: i64) -> Vec<Labels> {
    let mut samples = Vec::new();
    let mut found = Vec::new();
    let mut take = |name: Option<&str>, accepts: &dyn Fn(&Labels) -> bool| {
        for (labels, series) in store.select(name) {
            samples.clear();
            series.window(from_ms, to_ms, &mut samples);
            if !samples.is_empty() && accepts(labels) {
                found.push(labels.clone());
            }
        }
    };
    if selectors.is_empty() {
        take(None, &|_| true);
    }
    for selector in selectors {
        take(selector.name().as_deref(), &|labels| selector.accepts(labels));
    }
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Limits;

    fn check(selectors: &[&str], from_ms: i64, to_ms: i64, expect: &[&str]) {
        let limits = Limits { retention_ms: 3_600_000, series_max: 100, samples_per_series_max: 100 };
        let mut store = Store::new(limits);
        for (name, server, at_ms) in [("up", "a", 1_000), ("up", "b", 60_000), ("down", "a", 60_000)] {
            store.append(&Labels::metric(name, &[("server_name", server)]), at_ms, 1.0).unwrap();
        }
        let selectors: Vec<_> = selectors.iter().map(|text| SeriesSelector::parse(text).unwrap()).collect();
        let found = series(&store, &selectors, from_ms, to_ms);
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn series_are_found_by_selector_and_time() {
        check(&["up"], 0, 90_000, &[r#"up{server_name="a"}"#, r#"up{server_name="b"}"#]);
        check(&["up"], 30_000, 90_000, &[r#"up{server_name="b"}"#]);
        check(
            &[r#"{server_name="a"}"#, "up"],
            30_000,
            90_000,
            &[r#"down{server_name="a"}"#, r#"up{server_name="b"}"#],
        );
        check(&[], 0, 30_000, &[r#"up{server_name="a"}"#]);
        check(&[r#"up{server_name!~"a|b"}"#], 0, 90_000, &[]);
    }

    #[test]
    fn only_plain_selectors_are_taken() {
        for text in ["up offset 5m", "up @ 0", "rate(up[5m])", "1", "up[5m]", "{", ""] {
            assert!(SeriesSelector::parse(text).is_err(), "{text}");
        }
    }
}
