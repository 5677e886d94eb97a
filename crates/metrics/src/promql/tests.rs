//! Owns the tests of queries as a whole: limits, far-away moments, and that nothing panics.

mod errors;
mod growing;
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
    assert_eq!(shown(&"-".repeat(5_000)), "query has more than 64 levels of nesting");
    assert_eq!(shown(&"(".repeat(5_000)), "query has more than 64 levels of nesting");
    assert_eq!(shown(&format!("a[{}", "(".repeat(5_000))), "query has more than 64 levels of nesting");
    assert_eq!(shown(&format!("{}a", "-".repeat(200))), "query has more than 64 levels of nesting");
    assert_eq!(shown(&vec!["a"; 100].join(" or ")), "query has more than 64 levels of nesting");
    let nested = format!("{}a{}", "(".repeat(64), ")".repeat(64));
    assert!(Query::parse(&nested).is_ok());
}

/// Evaluates within limits of one kind, and says what was too much.
fn refusal(text: &str, limits: QueryLimits, steps: Steps) -> String {
    let query = Query::parse(text).expect("it is valid");
    let bounds = QueryBounds { limits, ..QueryBounds::default() };
    query.range_answer(&small_store(), steps, bounds).expect_err("it is too much").to_string()
}

#[test]
fn evaluation_is_bounded() {
    let limits = QueryLimits::default();
    let steps = Steps { start_ms: 0, end_ms: 9_000, step_ms: 10 };
    for (text, limits, reason) in [
        ("a", QueryLimits { samples_max: 15, ..limits }, "evaluation needs more than 15 samples"),
        (
            "sum_over_time(a[1h])",
            QueryLimits { samples_max: 100, ..limits },
            "evaluation needs more than 100 samples",
        ),
        (
            "a",
            QueryLimits { numbers_max: 1_000, ..limits },
            "evaluation needs more than 1000 numbers in memory",
        ),
        ("1", QueryLimits { numbers_max: 900, ..limits }, "evaluation needs more than 900 numbers in memory"),
        (
            "max_over_time(a[10s:1ms])",
            QueryLimits { numbers_max: 20_000, ..limits },
            "evaluation needs more than 20000 numbers in memory",
        ),
        ("a", QueryLimits { steps_max: 900, ..limits }, "evaluation needs more than 900 steps"),
        ("max_over_time(b[100d:1s])", limits, "evaluation needs more than 1000000 steps of a subquery"),
    ] {
        assert_eq!(refusal(text, limits, steps), reason, "{text}");
    }
    let endless = Steps { start_ms: 0, end_ms: i64::MAX, step_ms: 1 };
    assert_eq!(refusal("1", limits, endless), "evaluation needs more than 11000 steps");
}

#[test]
fn evaluation_ends_when_it_is_late() {
    let query = Query::parse("max_over_time(sum_over_time(a[5s])[100s:1ms])").expect("it is valid");
    let looks = std::cell::Cell::new(0);
    let is_late = || {
        looks.set(looks.get() + 1);
        looks.get() > 3
    };
    let bounds = QueryBounds { is_late: &is_late, ..QueryBounds::default() };
    assert_eq!(query.answer(&small_store(), 10_000, bounds), Err(QueryError::Late));
    assert_eq!(looks.get(), 4);
}

#[test]
fn remarks_are_bounded_and_point_into_the_query() {
    let mut store = Store::new(Limits { series_max: 1_000, ..LIMITS });
    for index in 0..500 {
        let labels = Labels::metric("h", &[("le", &format!("odd{index}"))]);
        store.append(&labels, 1_000, 1.0).unwrap();
    }
    let query = Query::parse("1 +\n  histogram_quantile(1.5, h)").expect("it is valid");
    let answer = query.answer(&store, 1_000, QueryBounds::default()).expect("it can be evaluated");
    assert_eq!(answer.annotations.len(), 100);
    let first = answer.annotations.first().map(ToString::to_string);
    let says = "PromQL warning: quantile value should be between 0 and 1, got 1.5 (2:22)";
    assert_eq!(first.as_deref(), Some(says));
}

#[test]
fn regular_expressions_are_bounded() {
    for pattern in ["(.{1000}){1000}", "((a{100}){100}){100}"] {
        let error = Query::parse(&format!("up{{l=~{pattern:?}}}")).expect_err("it is too large").to_string();
        assert!(error.ends_with("regular expression takes more than 1048576 bytes"), "{error}");
    }
    for pattern in ["a)|(b", "(", "[", "a{2,1}", "(?<"] {
        assert!(Query::parse(&format!("up{{l=~{pattern:?}}}")).is_err(), "{pattern}");
    }
}

#[test]
fn a_brace_that_repeats_nothing_is_a_text() {
    let mut store = Store::new(LIMITS);
    store.append(&Labels::metric("up", &[("l", "a{b}c{2}")]), 1_000, 1.0).unwrap();
    for (matcher, count) in [("a{b}c\\{2}", 1), ("a{b}.{4}", 1), ("a{b}", 0), ("a.{2,}2.", 1)] {
        let query = Query::parse(&format!("up{{l=~{matcher:?}}}")).expect("it is valid");
        let Ok(Value::Vector(found)) = query.instant(&store, 1_000) else { panic!("it is a vector") };
        assert_eq!(found.len(), count, "{matcher}");
    }
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

#[test]
fn what_a_query_remembers_is_right_when_series_come_and_go() {
    let texts = [
        "sum by (l) (a)",
        "count without (le) (a or b)",
        "histogram_quantile(0.5, rate(a[10s]))",
        "histogram_quantile(0.5, sum by (le, l) (a))",
        "topk by (l) (1, a)",
        "avg by (l) (label_replace(a, \"l\", \"same\", \"\", \"\"))",
        "sum by (l) (a{le=\"1\"}) + on(l) count by (l) (b)",
        "histogram_fraction(0, 1, b)",
    ];
    let queries: Vec<Query> = texts.iter().map(|text| Query::parse(text).expect("it is valid")).collect();
    let mut stores = [Store::new(LIMITS), Store::new(LIMITS)];
    for step in 0..120_i64 {
        // Two stores in turn: what is remembered of one says nothing of the other.
        let store = &mut stores[usize::from(step % 5 == 0)];
        if step % 17 == 16 {
            store.forget("l", &(step % 3).to_string());
        }
        for series in 0..(step % 7) {
            let name = if series % 3 == 0 { "b" } else { "a" };
            let (l, le) =
                (((series + step) % 3).to_string(), ["1", "2.5", "+Inf", "odd"][series as usize % 4]);
            let labels = Labels::metric(name, &[("l", &l), ("le", le)]);
            store.append(&labels, step * 1_000, (step * series % 11) as f64).unwrap();
        }
        for (query, text) in queries.iter().zip(texts) {
            let fresh = Query::parse(text).expect("it is valid");
            let shown = |query: &Query| query.instant(store, step * 1_000).map(shown_value);
            assert_eq!(shown(query), shown(&fresh), "{text} at {step}");
        }
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
const TEMPLATES: [&str; 72] = [
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
    "ts_of_last_over_time(X)",
    "first_over_time(X)",
    "sum_over_time(X)",
    "avg_over_time(X)",
    "stdvar_over_time(X)",
    "count_over_time(X)",
    "delta(X)",
    "idelta(X)",
    "resets(X)",
    "info(X)",
    "histogram_quantiles(X, \"q\", 0.5, 0.9)",
    "X + on(l) fill(0) Y",
    "X / fill_left(2) Y",
    "X == on(l) group_right Y",
    "X[max_of(3s, 1s * 2):1s]",
    "X offset (1s + 500ms)",
    "bottomk(X, Y)",
    "min by (le) (X)",
    "count(X)",
    "X atan2 Y",
    "X < Y",
    "sgn(X)",
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

/// Values that are hard, and some that are not.
fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-20i32..20).prop_map(|quarters| f64::from(quarters) / 4.0),
        1 => any::<f64>(),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, f64::MAX, f64::MIN_POSITIVE]),
        1 => Just(f64::from_bits(0x7ff0_0000_0000_0002)),
    ]
}

/// A store with the series of the small one, and any samples at any seconds.
fn any_store() -> impl Strategy<Value = Store> {
    let samples = prop::collection::vec((0usize..4, 1i64..3, any_value()), 0..60);
    samples.prop_map(|samples| {
        let mut store = Store::new(LIMITS);
        let names = [("a", "1", "1"), ("a", "2", "+Inf"), ("b", "1", "0.5"), ("target_info", "1", "x")];
        let mut at_ms = [0; 4];
        for (index, seconds, value) in samples {
            let (name, l, le) = names[index];
            at_ms[index] += seconds * 1_000;
            store
                .append(&Labels::metric(name, &[("l", l), ("le", le), ("job", "j")]), at_ms[index], value)
                .unwrap();
        }
        store
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
    fn evaluating_never_panics(text in expression(), store in any_store(), at_s in -5i64..20) {
        if let Ok(query) = Query::parse(&text) {
            let limits = QueryLimits { samples_max: 100_000, numbers_max: 100_000, steps_max: 100 };
            let bounds = QueryBounds { limits, ..QueryBounds::default() };
            let _ = query.answer(&store, at_s * 1_000, bounds);
            let steps = Steps { start_ms: 0, end_ms: at_s * 1_000, step_ms: 700 };
            let _ = query.range_answer(&store, steps, bounds);
        }
    }

    /// All steps at once yield what each of them yields alone.
    #[test]
    fn a_range_is_its_moments(text in expression(), store in any_store()) {
        let steps = Steps { start_ms: 1_000, end_ms: 9_000, step_ms: 1_300 };
        // What speaks of the end of the query means another moment in each, and only one moment has an order.
        if !text.contains("end()")
            && !text.contains("sort")
            && let Ok(query) = Query::parse(&text)
            && let Ok(series) = query.range(&store, steps)
        {
            for at_ms in steps.moments() {
                let Ok(value) = query.instant(&store, at_ms) else { continue };
                let (mut at_all, mut alone) = (shown_at(&series, at_ms), shown_value(value));
                // A row has one name at all its steps, as in Prometheus, though `or` may have put it together of one that
                // has lost its name and one that has not.
                if text.contains(" or ") {
                    let nameless = |row: &mut String| {
                        *row = row.trim_start_matches(|c| c != '{' && c != ' ').replace("{} ", " ");
                    };
                    for shown in [&mut at_all, &mut alone] {
                        shown.iter_mut().for_each(nameless);
                        shown.sort_unstable();
                    }
                }
                prop_assert_eq!(at_all, alone, "{} at {}", text, at_ms);
            }
        }
    }
}

/// Returns what a range query yielded at one step, as text: two NaN are the same.
fn shown_at(series: &[Series], at_ms: i64) -> Vec<String> {
    let at =
        |one: &Series| one.samples.iter().find(|(sample_ms, _)| *sample_ms == at_ms).map(|(_, value)| *value);
    let there = series.iter().filter_map(|one| Some(format!("{} {:?}", one.labels, at(one)?)));
    there.collect()
}

fn shown_value(value: Value) -> Vec<String> {
    let mut shown: Vec<(Labels, f64)> = match value {
        Value::Scalar(value) => vec![(Labels::empty(), value)],
        Value::Vector(elements) => elements.into_iter().map(|one| (one.labels, one.value)).collect(),
        Value::Matrix(_) | Value::Text(_) => Vec::new(),
    };
    shown.sort_by(|left, right| left.0.cmp(&right.0));
    shown.into_iter().map(|(labels, value)| format!("{labels} {value:?}")).collect()
}
