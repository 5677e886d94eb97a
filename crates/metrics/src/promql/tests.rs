//! Owns the tests of queries as a whole: limits, far-away moments, and that nothing panics.

mod errors;
mod runbook;

use proptest::prelude::*;

use super::*;
use crate::labels::Labels;
use crate::store::Limits;

const LIMITS: Limits = Limits { retention_ms: i64::MAX, series_max: 100, samples_per_series_max: 100 };

fn small_store() -> Store {
    let mut store = Store::new(LIMITS);
    for (name, labels) in [("a", [("l", "1"), ("le", "1")]), ("a", [("l", "2"), ("le", "+Inf")])] {
        for step in 0..10 {
            let value = if step == 7 { f64::NAN } else { f64::from(step % 4) };
            store.append(&Labels::metric(name, &labels), i64::from(step) * 1_000, value).unwrap();
        }
    }
    store
}

#[test]
fn queries_are_bounded() {
    let shown = |text: &str| Query::parse(text).expect_err("it is too large").to_string();
    assert_eq!(shown(&"a".repeat(20_000)), "query has more than 16384 bytes");
    assert_eq!(shown(&"-".repeat(5_000)), "query has more than 1000 words and signs");
    assert_eq!(shown(&format!("{}a", "-".repeat(200))), "query has more than 64 levels of nesting");
    assert_eq!(shown(&vec!["a"; 100].join(" or ")), "query has more than 64 levels of nesting");
    let nested = format!("{}a{}", "(".repeat(64), ")".repeat(64));
    assert!(Query::parse(&nested).is_ok());
}

#[test]
fn evaluation_is_bounded() {
    let store = small_store();
    let shown = |text: &str| {
        let query = Query::parse(text).expect("it is valid");
        query.instant(&store, 10_000).expect_err("it is too much").to_string()
    };
    let many = "max_over_time(max_over_time(max_over_time(b[10000s:1s])[10000s:1s])[10000s:1s])";
    assert_eq!(shown(many), "evaluation needs more than 50000000 samples");
    assert_eq!(shown("max_over_time(b[100d:1s])"), "evaluation needs more than 11000 steps of a subquery");
    let query = Query::parse("1").expect("it is valid");
    let error = query.range(&store, Steps { start_ms: 0, end_ms: i64::MAX, step_ms: 1 });
    assert_eq!(error, Err(QueryError::TooMuch { limit: 11_000, unit: "steps" }));
}

#[test]
fn the_deepest_queries_fit_the_stack() {
    for (template, times) in [("abs(X)", 63), ("max_over_time(X[1s:1s])", 31), ("sum(-(X) or 1 + X)", 4)] {
        let text = (0..times).fold("a".to_owned(), |text, _| template.replace('X', &text));
        let query = Query::parse(&text).expect("it is as deep as it may be");
        assert!(query.instant(&small_store(), 9_000).is_ok(), "{template}");
    }
}

#[test]
fn metric_names_are_those_selected() {
    let names = |text: &str| {
        let names = Query::parse(text).expect("it is valid").metric_names();
        names.into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("up == 0 or (present_over_time(up[1h]) unless other)"), "other up");
    assert_eq!(names("topk(scalar(k), sum by (x) (-{__name__=\"quoted\"}))"), "k quoted");
    assert_eq!(names("max_over_time(vector(1)[5m:]) + {job=\"x\"} + {__name__=~\"y\"}"), "");
}

#[test]
fn moments_far_away_do_not_overflow() {
    let store = small_store();
    for text in
        ["rate(a[100y])", "a offset -100y", "max_over_time(a[1h:1m] offset 100y)", "deriv(a[1h] @ -1)"]
    {
        let query = Query::parse(text).expect("it is valid");
        for at_ms in [i64::MIN, -1, 0, i64::MAX] {
            let _ = query.instant(&store, at_ms);
        }
    }
}

#[test]
fn a_dot_matches_a_newline_and_matchers_are_anchored() {
    let mut store = Store::new(LIMITS);
    store.append(&Labels::metric("up", &[("l", "one\ntwo")]), 1_000, 1.0).unwrap();
    for (matcher, count) in [("one.two", 1), ("one", 0), ("two$", 0), ("ONE.*", 0), ("(?i)ONE.*", 1)] {
        let query = Query::parse(&format!("up{{l=~{matcher:?}}}")).expect("it is valid");
        let Ok(Value::Vector(found)) = query.instant(&store, 1_000) else { panic!("it is a vector") };
        assert_eq!(found.len(), count, "{matcher}");
    }
}

const LEAVES: [&str; 17] = [
    "a",
    "a{l=\"1\"}",
    "{l=~\".+\"}",
    "b",
    "1",
    "NaN",
    "-Inf",
    "a offset 1s",
    "a @ 3",
    "time()",
    "\"text\"",
    "a[5s]",
    "a[4s:1s]",
    "vector(2)",
    "1e300",
    "-0.5",
    "a @ end()",
];
const TEMPLATES: [&str; 50] = [
    "(X)",
    "-X",
    "X + Y",
    "X / Y",
    "X % Y",
    "X ^ Y",
    "X > Y",
    "X > bool Y",
    "X and Y",
    "X or on(l) Y",
    "X unless ignoring(l) Y",
    "X * on(l) group_left(le) Y",
    "sum(X)",
    "avg by (l) (X)",
    "topk(X, Y)",
    "quantile(X, Y)",
    "count_values(\"v\", X)",
    "stddev without (le) (X)",
    "limitk(X, Y)",
    "limit_ratio(X, Y)",
    "rate(X)",
    "increase(X)",
    "irate(X)",
    "deriv(X)",
    "predict_linear(X, Y)",
    "changes(X)",
    "quantile_over_time(X, Y)",
    "mad_over_time(X)",
    "last_over_time(X)",
    "X[3s:1s]",
    "absent(X)",
    "absent_over_time(X)",
    "histogram_quantile(X, Y)",
    "histogram_fraction(X, Y, a)",
    "label_replace(X, \"n\", \"$1\", \"l\", \"(.*)\")",
    "label_join(X, \"n\", \",\", \"l\", \"le\")",
    "round(X, Y)",
    "clamp(X, Y, 3)",
    "sort_desc(X)",
    "sort_by_label(X, \"l\")",
    "timestamp(X)",
    "year(X)",
    "days_in_month(X)",
    "scalar(X)",
    "vector(X)",
    "exp(X)",
    "double_exponential_smoothing(X, 0.5, Y)",
    "max_of(X, Y)",
    "min_over_time(X)",
    "ts_of_max_over_time(X)",
];

/// An expression that is often valid: fragments put together by templates.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(&LEAVES[..]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 24, 3, |inner| {
        let template = prop::sample::select(&TEMPLATES[..]);
        (template, inner.clone(), inner).prop_map(|(template, x, y)| {
            let (before, after) = template.split_once('X').expect("each template has an X");
            before.to_owned() + &x + &after.replace('Y', &y)
        })
    })
}

proptest! {
    #[test]
    fn reading_never_panics(text in any::<String>()) {
        let _ = Query::parse(&text);
    }

    #[test]
    fn reading_what_looks_like_promql_never_panics(
        text in "([a-z0-9.(){}\\[\\]\"'`,=~!<>@:+*/^%# \n\\\\é-]|sum|rate|offset|Inf|5m|1e9|0x|by|start|fill\\(){0,40}"
    ) {
        if let Err(error) = Query::parse(&text) {
            let offset = error.position().map_or(0, |position| position.offset);
            prop_assert!(text.is_char_boundary(offset));
        }
    }

    /// The parser panics on some of these when it is left alone with them.
    #[test]
    fn numbers_never_panic(
        number in prop_oneof![
            any::<f64>().prop_map(|number| format!("{:?}", number.abs())),
            any::<u64>().prop_map(|number| format!("{number:#x}")),
            "[0-9]{1,25}(y|w|d|h|m|s|ms|)",
            "[0-9]{0,5}\\.?[0-9]{0,5}[eE]?[+-]?[0-9]{1,4}[smx]?",
            "(?i)(inf|nan)",
        ],
        template in prop::sample::select(vec![
            "up[N]", "up[N:N]", "up[5m:N]", "up offset N", "up offset -N", "up offset + N", "up @ N", "up @ -N",
            "N", "-N", "topk(N, up)", "up + fill(N) up", "rate(up[N] offset N @ N)", "Up OFFSET\n# x\nN",
        ]),
    ) {
        if let Ok(query) = Query::parse(&template.replace('N', &number)) {
            let _ = query.instant(&small_store(), 5_000);
        }
    }

    #[test]
    fn evaluating_never_panics(text in expression(), at_s in -5i64..20) {
        if let Ok(query) = Query::parse(&text) {
            let _ = query.instant(&small_store(), at_s * 1_000);
            let _ = query.range(&small_store(), Steps { start_ms: 0, end_ms: at_s * 1_000, step_ms: 700 });
        }
    }
}
