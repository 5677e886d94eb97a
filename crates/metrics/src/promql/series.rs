//! Owns the listing of series: which ones a selector finds, whatever their values.

use super::QueryError;
use super::syntax::{self, Kind, Selector};
use crate::labels::Labels;
use crate::store::{Series, Store, is_stale};

/// A series selector, as `match[]` of Prometheus' API has it: `up`, `{job="guard"}`.
#[derive(Debug, Clone)]
pub struct SeriesSelector(Selector);

// === impl SeriesSelector ===

impl SeriesSelector {
    /// Reads a selector.
    ///
    /// # Errors
    ///
    /// Fails if the text is not PromQL, or any expression that is not a selector of series alone.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        match syntax::parse(text)?.kind {
            Kind::Selector(selector) if selector.when.at.is_none() && selector.when.offset.is_none() => {
                Ok(Self(selector))
            }
            _ => Err(SelectorError::Expression),
        }
    }

    fn accepts(&self, labels: &Labels) -> bool {
        let mut matchers = self.0.matchers.iter();
        matchers.all(|matcher| matcher.accepts(labels.get(&matcher.name).unwrap_or_default()))
    }
}

/// Why something is no series selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// It is no query.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// It is a query that does more than selecting series.
    #[error("a series selector is expected, such as `up` or `{{job=\"guard\"}}`, and nothing around it")]
    Expression,
}

/// Returns the label sets, sorted and each once, of the series that any of the selectors selects (without selectors: of all)
/// and that have a sample after `from_ms` and not after `to_ms`.
pub fn series(store: &Store, selectors: &[SeriesSelector], from_ms: i64, to_ms: i64) -> Vec<Labels> {
    let mut samples = Vec::new();
    let mut has_sample = |series: &Series| {
        // Nearly always the newest sample is one; only what has ended is read.
        series.newest(from_ms, to_ms).is_some() || {
            samples.clear();
            series.read(from_ms, to_ms, &mut samples);
            samples.iter().any(|(_, value)| !is_stale(*value))
        }
    };
    let mut found = Vec::new();
    let mut take = |name: Option<&str>, accepts: &dyn Fn(&Labels) -> bool| {
        let selected = store.select(name).filter(|(labels, series)| accepts(labels) && has_sample(series));
        found.extend(selected.map(|(labels, _)| labels.clone()));
    };
    if selectors.is_empty() {
        take(None, &|_| true);
    }
    for selector in selectors {
        take(selector.0.metric_name(), &|labels| selector.accepts(labels));
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
