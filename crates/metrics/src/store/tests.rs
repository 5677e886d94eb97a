//! Owns the tests of the store.

use std::fmt::Write;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::store::series::is_stale;

const LIMITS: Limits = Limits { retention_ms: 100_000, series_max: 10, samples_per_series_max: 5 };

fn target() -> Labels {
    Labels::from_iter([("server_name", "mem")])
}

#[track_caller]
fn check(store: &Store, expect: &Expect) {
    let mut lines: Vec<String> = store
        .select(None)
        .map(|(labels, series)| {
            let mut line = labels.to_string();
            for (at_ms, value) in series.all() {
                let shown = if is_stale(value) { "stale".to_owned() } else { value.to_string() };
                write!(line, " {shown}@{at_ms}").expect("writing to a string does not fail");
            }
            line + "\n"
        })
        .collect();
    lines.sort();
    expect.assert_eq(&lines.concat());
}

#[test]
fn appends_in_order_only() {
    let mut store = Store::new(LIMITS);
    let up = Labels::metric("up", &[]);
    assert_eq!(store.append(&up, 10, 1.0), Ok(()));
    assert_eq!(store.append(&up, 10, 1.0), Ok(()), "the same sample again");
    let error = store.append(&up, 10, 2.0).unwrap_err();
    assert_eq!(error.to_string(), "sample of `up` at 10 ms is not newer than its last one at 10 ms");
    assert!(store.append(&up, 9, 1.0).is_err());
    check(&store, &expect!["up 1@10\n"]);
}

#[test]
fn series_and_samples_are_bounded() {
    let mut store = Store::new(LIMITS);
    for index in 0..12 {
        let labels = Labels::metric("up", &[("i", &index.to_string())]);
        let appended = store.append(&labels, 10, 1.0);
        assert_eq!(appended.is_ok(), index < 10);
        if let Err(error) = appended {
            assert!(error.to_string().ends_with("the store holds 10 series"), "{error}");
        }
    }
    let first = Labels::metric("up", &[("i", "0")]);
    for at_ms in 11..20 {
        assert_eq!(store.append(&first, at_ms, 1.0), Ok(()));
    }
    assert_eq!(store.size(), Size { series: 10, samples: 14 });
}

#[test]
fn what_is_old_goes_and_makes_room() {
    let mut store = Store::new(LIMITS);
    store.append(&Labels::metric("old", &[]), 1_000, 1.0).unwrap();
    store.append(&Labels::metric("up", &[]), 1_000, 1.0).unwrap();
    store.append(&Labels::metric("up", &[]), 100_999, 2.0).unwrap();
    check(&store, &expect!["old 1@1000\nup 1@1000 2@100999\n"]);
    store.append(&Labels::metric("up", &[]), 161_000, 3.0).unwrap();
    check(&store, &expect!["up 2@100999 3@161000\n"]);
}

#[test]
fn a_scrape_adds_the_targets_labels() {
    let mut store = Store::new(LIMITS);
    let page = "up 1\nown{server_name=\"mem\"} 1\nother{server_name=\"x\",a=\"b\"} 1\nbad\n";
    let summary = store.scrape(&target(), page, 10);
    assert_eq!((summary.samples, summary.lines_rejected), (3, 1));
    assert_eq!(summary.diagnostics[0].line, 4);
    check(
        &store,
        &expect![[r#"
            other{a="b",exported_server_name="x",server_name="mem"} 1@10
            own{server_name="mem"} 1@10
            up{server_name="mem"} 1@10
        "#]],
    );
}

#[test]
fn what_vanishes_ends() {
    let mut store = Store::new(LIMITS);
    store.scrape(&target(), "a 1\nb 1\nstamped 1 5\n", 10);
    let summary = store.scrape(&target(), "a 1\n", 20);
    assert_eq!(summary.ended, 1);
    assert_eq!(store.scrape_failed(&target(), 30), 1);
    assert_eq!(store.scrape_failed(&target(), 40), 0, "what has ended does not end again");
    assert_eq!(store.scrape_failed(&Labels::from_iter([("server_name", "other")]), 40), 0);
    check(
        &store,
        &expect![[r#"
            a{server_name="mem"} 1@10 1@20 stale@30
            b{server_name="mem"} 1@10 stale@20
            stamped{server_name="mem"} 1@5
        "#]],
    );
}

#[test]
fn a_new_counter_starts_at_zero() {
    let mut store = Store::new(LIMITS);
    store.scrape(&target(), "a_total 7\n", 10);
    store.scrape(&target(), "a_total 7\nb_total 1\n# TYPE g gauge\ng 1\n", 20);
    store.scrape_failed(&target(), 30);
    // A process that came back, with a counter that nobody saw before.
    store.scrape(&target(), "c_total 1\n", 40);
    check(
        &store,
        &expect![[r#"
            a_total{server_name="mem"} 7@10 7@20 stale@30
            b_total{server_name="mem"} 0@10 1@20 stale@30
            c_total{server_name="mem"} 0@30 1@40
            g{server_name="mem"} 1@20 stale@30
        "#]],
    );
}

#[test]
fn a_counter_that_comes_back_counts_what_happened_unseen() {
    let mut store = Store::new(LIMITS);
    store.scrape(&target(), "same_total 5\nmore_total 5\nless_total 5\n", 10);
    store.scrape_failed(&target(), 20);
    store.scrape_failed(&target(), 30);
    store.scrape(&target(), "same_total 5\nmore_total 7\nless_total 2\n", 40);
    check(
        &store,
        &expect![[r#"
            less_total{server_name="mem"} 5@10 stale@20 0@30 2@40
            more_total{server_name="mem"} 5@10 stale@20 5@30 7@40
            same_total{server_name="mem"} 5@10 stale@20 5@40
        "#]],
    );
}

#[test]
fn no_zero_is_made_up_for_a_target_not_seen_within_the_retention() {
    let mut store = Store::new(LIMITS);
    store.scrape(&target(), "a_total 7\n", 10);
    store.scrape(&target(), "a_total 9\n", 200_010);
    check(&store, &expect!["a_total{server_name=\"mem\"} 9@200010\n"]);
}

#[test]
fn what_the_responder_writes_is_its_own() {
    let mut store = Store::new(LIMITS);
    let up = Labels::metric("mcp_server_up", &[("server_name", "mem")]);
    store.append(&up, 10, 0.0).unwrap();
    let summary = store.scrape(&target(), "mcp_server_up 1\n", 20);
    assert_eq!((summary.samples, summary.samples_refused), (0, 0));
    store.scrape_failed(&target(), 30);
    store.append(&up, 40, 0.0).unwrap();
    check(&store, &expect!["mcp_server_up{server_name=\"mem\"} 0@10 0@40\n"]);
}

#[test]
fn a_page_that_repeats_a_series_or_comes_from_the_future_is_refused_in_part() {
    let mut store = Store::new(LIMITS);
    let summary = store.scrape(&target(), "a 1\na 2\nb 1 9999999\n", 10);
    let refusals: Vec<String> = summary.refusals.iter().map(ToString::to_string).collect();
    assert_eq!((summary.samples, summary.samples_refused), (1, 2));
    assert_eq!(
        refusals,
        [
            "sample of `a{server_name=\"mem\"}` at 10 ms is not newer than its last one at 10 ms",
            "sample of `b{server_name=\"mem\"}` at 9999999 ms lies in the future",
        ]
    );
}

proptest! {
    /// Whatever a target shows and whenever it fails, its series stay in order and within their limits.
    #[test]
    fn series_stay_in_order(
        events in prop::collection::vec((-3i64..20, prop::option::of(prop::collection::vec(0u8..5, 0..4))), 0..40),
    ) {
        let mut store = Store::new(LIMITS);
        let mut now_ms = 0;
        for (passed_ms, page) in events {
            now_ms += passed_ms;
            match page {
                Some(values) => {
                    let line = |(index, value)| format!("c{index}_total {value}\n");
                    let page: String = values.into_iter().enumerate().map(line).collect();
                    store.scrape(&target(), &page, now_ms);
                }
                None => {
                    store.scrape_failed(&target(), now_ms);
                }
            }
        }
        for (labels, series) in store.select(None) {
            let times: Vec<i64> = series.all().map(|(at_ms, _)| at_ms).collect();
            prop_assert!(times.is_sorted_by(|before, after| before < after), "{}: {:?}", labels, times);
            prop_assert!(times.len() <= LIMITS.samples_per_series_max);
        }
    }
}

#[test]
fn what_is_forgotten_was_never_there() {
    let mut store = Store::new(Limits { retention_ms: 1_000, series_max: 9, samples_per_series_max: 9 });
    let series = |name, server| Labels::metric(name, &[("server_name", server)]);
    let target = Labels::from_iter([("job", "guard"), ("server_name", "fs")]);
    store.scrape(&target, "starts 3\n", 1);
    for server in ["fs", "fs-2"] {
        store.append(&series("up", server), 1, 0.0).unwrap();
    }
    store.forget("server_name", "fs");
    assert_eq!(
        store.select(None).map(|(labels, _)| labels.clone()).collect::<Vec<_>>(),
        [series("up", "fs-2")]
    );
    assert_eq!(store.size().series, 1);
    store.append(&series("up", "fs"), 1, 1.0).unwrap();
    assert_eq!(store.size(), Size { series: 2, samples: 2 });
}
