//! Owns the test of queries that are evaluated again and again over samples that come and go: what they remember
//! changes no answer.

use proptest::prelude::*;

use super::*;
use crate::store::{Limits, Store};

const QUERIES: [&str; 6] = [
    "rate(m_total[30s])",
    "increase(m_total{l!=\"1\"}[20s] offset 5s)",
    "sum by (l) (rate(m_total[15s]))",
    "histogram_quantile(0.5, sum by (le) (rate(m_total[30s])))",
    "histogram_quantile(0.9, rate(m_total[30s]))",
    "sum(rate(m_total[10s])) + count(increase({le=\"1\"}[30s])) + quantile(0.5, rate(m_total[30s]))",
];

/// What happens next.
#[derive(Debug, Clone)]
enum Event {
    /// Of a series: how much time passed, and by how much it grew.
    Sample(usize, i64, f64),
    Reset(usize),
    Ends(usize),
    Forget(usize),
    /// All queries are asked, this much after the last sample or before.
    Ask(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        30 => (0..6usize, 0..3_000i64, prop_oneof![Just(0.0), Just(1.0), 0.0..10.0]).prop_map(
            |(series, after_ms, growth)| Event::Sample(series, after_ms, growth)
        ),
        1 => (0..6usize).prop_map(Event::Reset),
        1 => (0..6usize).prop_map(Event::Ends),
        1 => (0..6usize).prop_map(Event::Forget),
        4 => prop_oneof![4 => Just(0i64), 1 => -20_000..5_000i64].prop_map(Event::Ask),
    ]
}

fn labels(series: usize) -> Labels {
    let (l, le) = [("1", "1"), ("1", "+Inf"), ("2", "1"), ("2", "+Inf"), ("3", "1"), ("3", "+Inf")][series];
    Labels::metric("m_total", &[("l", l), ("le", le), ("series", &series.to_string())])
}

proptest! {
    #[test]
    fn what_is_remembered_changes_no_answer(events in prop::collection::vec(event(), 1..600)) {
        // Small chunks, so that there are many.
        let limits = Limits { retention_ms: 120_000, series_max: 100, samples_per_series_max: 64 };
        let mut store = Store::new(limits);
        let queries = QUERIES.map(|text| Query::parse(text).expect("it is valid"));
        let mut values = [0.0; 6];
        let mut now_ms = 1_000_000;
        for event in events {
            match event {
                Event::Sample(series, after_ms, growth) => {
                    now_ms += after_ms;
                    values[series] += growth;
                    let _ = store.append(&labels(series), now_ms, values[series]);
                }
                Event::Reset(series) => values[series] = 0.5,
                Event::Ends(series) => {
                    now_ms += 1;
                    let _ = store.append(&labels(series), now_ms, f64::from_bits(0x7ff0_0000_0000_0002));
                }
                Event::Forget(series) => store.forget("series", &series.to_string()),
                Event::Ask(after_ms) => {
                    let at_ms = now_ms + after_ms;
                    for query in &queries {
                        let fresh = Query::parse(query.text()).expect("it is valid");
                        // Two steps read every sample.
                        let steps = Steps { start_ms: at_ms - 1, end_ms: at_ms, step_ms: 1 };
                        let read = fresh.range(&store, steps).expect("it is within bounds");
                        let answer = query.instant(&store, at_ms).expect("it is within bounds");
                        prop_assert_eq!(shown_value(answer), shown_at(&read, at_ms), "{} at {}", query, at_ms);
                    }
                }
            }
        }
    }
}
