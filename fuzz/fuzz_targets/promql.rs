//! Owns throwing any text at PromQL: it is read and evaluated or refused, within bounds, and errors point into the text.
#![no_main]

use std::cell::Cell;

use libfuzzer_sys::fuzz_target;
use metrics::{QueryBounds, Labels, Limits, Query, QueryLimits, Steps, Store};

/// A text that needs more than this is refused; a fuzzer has many to try.
const LIMITS: QueryLimits = QueryLimits { samples_max: 200_000, numbers_max: 200_000, steps_max: 100 };
/// So often a query may be asked whether it is late.
const LOOKS_MAX: usize = 1_000;

fuzz_target!(|text: &str| {
    let query = match Query::parse(text) {
        Ok(query) => query,
        Err(error) => {
            let offset = error.position().map_or(0, |position| position.offset);
            assert!(text.is_char_boundary(offset), "{error}");
            return;
        }
    };
    let store = store();
    let looks = Cell::new(0);
    let is_late = || {
        looks.set(looks.get() + 1);
        looks.get() > LOOKS_MAX
    };
    let bounds = QueryBounds { limits: LIMITS, is_late: &is_late };
    let _ = query.answer(&store, 9_000, bounds);
    let _ = query.range_answer(&store, Steps { start_ms: 0, end_ms: 9_000, step_ms: 700 }, bounds);
});

/// Some series with what is hard: resets, gaps, NaN, infinities, buckets.
fn store() -> Store {
    let limits = Limits { retention_ms: i64::MAX, series_max: 100, samples_per_series_max: 100 };
    let mut store = Store::new(limits);
    for (name, label, value) in
        [("a", "1", 1.0), ("a", "+Inf", 2.0), ("b", "0.5", f64::NAN), ("b", "1", f64::INFINITY), ("c", "x", -0.0)]
    {
        for step in (0..10).filter(|step| step % 4 != 3) {
            let labels = Labels::metric(name, &[("le", label), ("l", name)]);
            let _ = store.append(&labels, step * 1_000, value * (step % 3) as f64);
        }
    }
    store
}
