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

#[test]
fn a_target_that_makes_up_labels_harms_nobody_else() {
    let bounds = Bounds { series_per_target_max: 4, ..Bounds::default() };
    let mut store = Store::new(LIMITS).with_bounds(bounds);
    let bomb = |round: usize| {
        (0..1_000).map(|index| format!("bomb{{l=\"{round}-{index}\"}} 1\n")).collect::<String>()
    };
    let other = Labels::from_iter([("server_name", "other")]);
    for round in 0..3 {
        let now_ms = 10 + 10 * round as i64;
        let summary = store.scrape(&target(), &bomb(round), now_ms);
        assert_eq!(
            (summary.samples, summary.samples_refused),
            if round == 0 { (4, 996) } else { (0, 1_000) }
        );
        assert_eq!(summary.refusals.len(), 10, "only the first are told in full");
        assert!(
            summary.refusals[0].to_string().ends_with("its target has 4 series"),
            "{:?}",
            summary.refusals
        );
        let unharmed = store.scrape(&other, "a 1\nb 2\n", now_ms);
        assert_eq!((unharmed.samples, unharmed.samples_refused), (2, 0));
    }
    assert_eq!(store.size().series, 6);
    assert_eq!(store.counters().series_refused, 2_996);
    // What the bomb took becomes free when its series are older than the retention.
    let summary = store.scrape(&target(), "good 1\n", 200_000);
    assert_eq!(summary.samples, 1);
}

#[test]
fn the_oldest_chunks_go_when_there_are_too_many_bytes() {
    let limits = Limits { retention_ms: i64::MAX, series_max: 10, samples_per_series_max: 100_000 };
    let bounds = Bounds { bytes_max: 10_000, ..Bounds::default() };
    let mut store = Store::new(limits).with_bounds(bounds);
    let page = |round: i64| format!("a {}\nb {}\n", (round as f64).sin(), round);
    for round in 0..5_000 {
        store.scrape(&target(), &page(round), round * 5_000);
    }
    store.prune(25_000_000);
    assert!(store.sample_bytes() <= 10_000, "{}", store.sample_bytes());
    assert_eq!(store.counters().samples_evicted + store.size().samples as u64, 10_000);
    for (labels, series) in store.select(None) {
        let newest = series.newest(0, i64::MAX).unwrap();
        assert_eq!(newest.0, 4_999 * 5_000, "{labels}");
        assert!(series.len() > 120, "what is kept is the newest of every series: {}", series.len());
    }
}

#[test]
fn times_far_away_are_refused_whoever_claims_them() {
    let mut store = Store::new(LIMITS);
    let page = format!("a 1 {}\nb 1 {}\nc 1 150000\nd NaN\ne +Inf 150001\n", i64::MIN, i64::MAX);
    let summary = store.scrape(&target(), &page, 200_000);
    assert_eq!((summary.samples, summary.samples_refused), (3, 2));
    assert_eq!(store.size().series, 3, "what was refused made no series");
    assert!(
        summary.refusals[0].to_string().ends_with("is older than the retention"),
        "{:?}",
        summary.refusals
    );
}

#[test]
fn a_scrape_that_is_late_gets_the_time_when_it_was_due() {
    let mut store =
        Store::new(Limits { retention_ms: 1_000_000, series_max: 10, samples_per_series_max: 800 });
    // On time, late, late, early, late, much too late, and on time from there.
    for now_ms in [1_000, 6_003, 11_009, 15_998, 21_001, 26_500, 31_504, 36_511] {
        store.scrape(&target(), &format!("a {now_ms}\n"), now_ms);
    }
    check(
        &store,
        &expect![[r#"
            a{server_name="mem"} 1000@1000 6003@6003 11009@11003 15998@15998 21001@20998 26500@26500 31504@31504 36511@36504
        "#]],
    );
}

/// Samples in the order of the page, and how they are written.
fn shuffled() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    prop::collection::vec((0u8..6, 0u8..4, 0u8..3), 0..8)
}

proptest! {
    /// A line that is recognised does what it would do if it were read; pieces of a page are as good as the whole.
    #[test]
    fn recognition_changes_nothing(
        pages in prop::collection::vec(prop::option::of(shuffled()), 1..12),
        piece_bytes in 1usize..40,
    ) {
        let (mut quick, mut slow, mut piecewise) = (Store::new(LIMITS), Store::new(LIMITS), Store::new(LIMITS));
        for (round, page) in pages.iter().enumerate() {
            let now_ms = 10 + round as i64 * 10;
            let Some(page) = page else {
                let ended = quick.scrape_failed(&target(), now_ms);
                prop_assert_eq!(slow.scrape_failed(&target(), now_ms), ended);
                prop_assert_eq!(piecewise.scrape_failed(&target(), now_ms), ended);
                continue;
            };
            let write = |blanks: &str| {
                let line = |(series, value, form): &(u8, u8, u8)| match form {
                    0 => format!("c{series}_total{blanks}{{l=\"v\"}} {value}\n"),
                    1 => format!("c{series}_total{blanks}{{l=\"v\",}} {value}\n"),
                    _ => format!("c{series}_total{blanks}{{l=\"v\"}} {value} {}\n", now_ms - 1),
                };
                page.iter().map(line).collect::<String>()
            };
            let summary = quick.scrape(&target(), &write(""), now_ms);
            // Never written twice in the same way.
            prop_assert_eq!(&slow.scrape(&target(), &write(&" ".repeat(round + 1)), now_ms), &summary);
            let mut scrape = piecewise.begin_scrape(&target(), crate::Format::Text, now_ms);
            for piece in write("").as_bytes().chunks(piece_bytes) {
                scrape.feed(&mut piecewise, piece);
            }
            prop_assert_eq!(&scrape.close(&mut piecewise), &summary);
        }
        let all = |store: &Store| -> Vec<(Labels, Vec<(i64, u64)>)> {
            let bits = |series: &Series| series.all().map(|(at_ms, value)| (at_ms, value.to_bits())).collect();
            store.select(None).map(|(labels, series)| (labels.clone(), bits(series))).collect()
        };
        prop_assert_eq!(all(&quick), all(&slow));
        prop_assert_eq!(all(&quick), all(&piecewise));
    }

    /// Windows and newest samples are those of a plain list, whatever was sealed.
    #[test]
    fn samples_are_found_in_chunks(
        steps in prop::collection::vec((1i64..50, prop_oneof![Just(0.0), Just(1.5), Just(f64::NAN)], any::<bool>()), 1..300),
        from_ms in -10i64..3_000,
        length_ms in 0i64..3_000,
    ) {
        let limits = Limits { retention_ms: i64::MAX, series_max: 1, samples_per_series_max: 800 };
        let mut series = Series::new(Labels::empty(), 0);
        let (mut at_ms, mut plain) = (0, Vec::new());
        for (step, value, ends) in steps {
            at_ms += step;
            let value = if ends { stale() } else { value };
            prop_assert_eq!(series.push(Owner::Target, at_ms, value, &limits), Ok(Written::Stored));
            plain.push((at_ms, value));
        }
        let bits = |(at_ms, value): (i64, f64)| (at_ms, value.to_bits());
        let to_ms = from_ms + length_ms;
        let within = |sample: &&(i64, f64)| sample.0 > from_ms && sample.0 <= to_ms;
        let expected: Vec<_> =
            plain.iter().filter(within).filter(|sample| !is_stale(sample.1)).copied().map(bits).collect();
        let mut found = Vec::new();
        series.read(from_ms, to_ms, &mut found);
        found.retain(|(_, value)| !super::is_stale(*value));
        prop_assert_eq!(found.into_iter().map(bits).collect::<Vec<_>>(), expected);
        let newest = plain.iter().rfind(|sample| sample.0 <= to_ms);
        let newest = newest.filter(|sample| sample.0 > from_ms && !is_stale(sample.1)).copied();
        prop_assert_eq!(series.newest(from_ms, to_ms).map(bits), newest.map(bits));
        let last_value = plain.iter().rfind(|sample| !is_stale(sample.1)).map(|sample| sample.1.to_bits());
        prop_assert_eq!(series.last_value().map(f64::to_bits), last_value);
    }
}
