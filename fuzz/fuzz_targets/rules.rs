//! Owns throwing any text at the reader of rule files and of files of tests: it is read or refused, with places that exist,
//! and what is read can be evaluated.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metrics::{Alerts, AtOnce, Labels, Limits, RuleSettings, Store, parse_rule_tests, parse_rules};

const LIMITS: Limits = Limits { retention_ms: i64::MAX, series_max: 1_000, samples_per_series_max: 100 };
/// A longer text may hold queries that take long, which is what another target is for.
const BYTES_MAX: usize = 4_096;

fuzz_target!(|text: &str| {
    if text.len() > BYTES_MAX {
        return;
    }
    // YAML takes a carriage return alone for the end of a line as well.
    let lines = text.split(['\n', '\r']).count() + 1;
    let (groups, problems) = parse_rules("fuzz", text);
    for problem in &problems {
        assert!((1..=lines).contains(&problem.line), "{problem}");
    }
    if let Err(problems) = parse_rule_tests(text) {
        assert!(!problems.is_empty());
    }
    let mut store = Store::new(LIMITS);
    let mut alerts = Alerts::new(groups, RuleSettings::default());
    for now_ms in [0, 60_000] {
        let _ = store.append(&Labels::metric("up", &[("job", "a")]), now_ms, 1.0);
        alerts.evaluate(&mut store, now_ms, &AtOnce::nothing());
    }
});
