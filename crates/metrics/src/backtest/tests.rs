//! Owns the tests of backtests: when alerts of the past fired, for how long, how often again, and what ends one.

use super::*;
use crate::rule::parse_rules;

const MINUTE_MS: i64 = 60_000;

/// `up{job="a"}` of some minutes: a digit is a value, a blank none.
fn history(minutes: &str) -> History {
    let mut history = History::default();
    let labels = Labels::metric("up", &[("job", "a")]);
    let samples = minutes.chars().enumerate();
    let samples = samples.filter_map(|(idx, c)| Some((idx as i64 * MINUTE_MS, f64::from(c.to_digit(10)?))));
    history.add(labels, samples).unwrap();
    history
}

fn run(rules: &str, minutes: &str, (from, until): (i64, i64)) -> Backtest {
    let (groups, problems) = parse_rules("rules.yml", rules);
    assert_eq!(problems, []);
    let span = (from * MINUTE_MS, until * MINUTE_MS);
    backtest(history(minutes), groups, RuleSettings::default(), span, &|| false).unwrap()
}

/// Each firing in minutes: `from-until`, or `from-` where it still fires; then how often it flapped and began in vain.
#[track_caller]
fn check(rule: &str, minutes: &str, span: (i64, i64), expect: &str) {
    let found = run(&format!("groups: [{{name: g, rules: [{{alert: A, {rule}}}]}}]"), minutes, span);
    let shown: Vec<String> = found
        .alerts
        .iter()
        .map(|alert| {
            let firings: Vec<String> = alert
                .firings
                .iter()
                .map(|one| {
                    let until = one.until_ms.map(|until_ms| (until_ms / MINUTE_MS).to_string());
                    format!("{}-{}", one.from_ms / MINUTE_MS, until.unwrap_or_default())
                })
                .collect();
            let (flaps, starts) = (alert.n_flaps, alert.n_false_starts);
            format!(
                "{} for {} flaps {flaps} in vain {starts}",
                firings.join(" "),
                alert.firing_ms / MINUTE_MS
            )
        })
        .collect();
    assert_eq!(shown.join("; "), expect, "{rule} {minutes}");
    assert_eq!(found.quiet.is_empty(), found.alerts.iter().any(|alert| !alert.firings.is_empty()));
}

#[test]
fn when_and_for_how_long() {
    check("expr: up == 0", "1111", (0, 3), "");
    check("expr: up == 0", "110011", (0, 5), "2-4 for 2 flaps 0 in vain 0");
    check("expr: up == 0", "110000", (0, 5), "2- for 3 flaps 0 in vain 0");
    check("expr: up == 0, for: 2m", "101000011", (0, 8), "5-7 for 2 flaps 0 in vain 1");
    check("expr: up == 0, keep_firing_for: 2m", "1011111", (0, 6), "1-4 for 3 flaps 0 in vain 0");
    check("expr: up == 0", "1010101", (0, 6), "1-2 3-4 5-6 for 3 flaps 2 in vain 0");
    check("expr: up == 0", &format!("10{}01", "1".repeat(15)), (0, 19), "1-2 17-18 for 2 flaps 1 in vain 0");
    check("expr: up == 0", &format!("10{}01", "1".repeat(16)), (0, 20), "1-2 18-19 for 2 flaps 0 in vain 0");
}

#[test]
fn what_was_going_on_at_the_beginning() {
    // It waited before already: from minute 2 on it fires.
    check("expr: up == 0, for: 3m", "0000000", (3, 6), "3- for 3 flaps 0 in vain 0");
    check("expr: up == 0, for: 3m", "0000000", (5, 6), "5- for 1 flaps 0 in vain 0");
    // What ended before does not count.
    check("expr: up == 0, for: 1m", "00001111", (6, 7), "");
}

#[test]
fn recording_rules_come_first() {
    let rules = "groups: [{name: g, rules: [{record: down, expr: up == 0}, {alert: A, expr: down == 0}, {alert: B, expr: 'ALERTS{alertname=\"A\"}'}]}]";
    let found = run(rules, "101", (0, 2));
    assert_eq!(found.alerts.iter().map(|alert| alert.rule.as_str()).collect::<Vec<_>>(), ["A", "B"]);
    let (groups, _) = parse_rules("rules.yml", rules);
    // What the rules make is not asked for.
    assert_eq!(History::needs(&groups), (vec![r#"{__name__="up"}"#.to_owned()], 300_000));
}

#[test]
fn a_rule_that_fails_is_counted() {
    let found = run("groups: [{name: g, rules: [{alert: A, expr: 'up + on() up', labels: {x: y}}, {alert: B, expr: '\"x\" == bool 1 or up'}]}]".replace("'\"x\" == bool 1 or up'", "up").as_str(), "111", (0, 2));
    assert_eq!(found.failures, []);
    let (groups, _) = parse_rules("r", "groups: [{name: g, rules: [{alert: A, expr: 'up[5m]'}]}]");
    let found =
        backtest(history("111"), groups, RuleSettings::default(), (0, 2 * MINUTE_MS), &|| false).unwrap();
    assert_eq!(
        (found.failures[0].n_times, found.failures[0].message.as_str()),
        (3, "query of rule `A` yields no vector")
    );
}

#[test]
fn what_ends_a_backtest() {
    let (groups, _) = parse_rules("r", "groups: [{name: g, interval: 1ms, rules: [{alert: A, expr: up}]}]");
    let run = |span, is_late: &dyn Fn() -> bool| {
        backtest(history("1"), groups.clone(), RuleSettings::default(), span, is_late)
    };
    assert_eq!(run((1, 0), &|| false), Err(BacktestError::Empty));
    assert_eq!(run((0, 10_000_000), &|| false), Err(BacktestError::TooLong));
    assert_eq!(run((0, 10), &|| true), Err(BacktestError::Late));
}

#[test]
fn recorded_series() {
    let check = |text: &str, expect: &[(i64, f64)]| {
        let (history, diagnostics) = read_recorded(text).unwrap();
        assert_eq!(diagnostics, [], "{text}");
        let store = history.into_store(&BTreeSet::new()).unwrap();
        let (labels, series) = store.select(Some("up")).next().expect("it is there");
        assert_eq!(labels.to_string(), r#"up{job="a b"}"#);
        assert_eq!(series.all().collect::<Vec<_>>(), expect, "{text}");
    };
    check("up{job=\"a b\"} 1 1000\nup{job=\"a b\"} 0 2000\n", &[(1_000, 1.0), (2_000, 0.0)]);
    check("{__name__=\"up\", job=\"a b\"} 1 1000\n{__name__=\"up\", job=\"a b\"} 1 1000\n", &[(1_000, 1.0)]);
    check("# TYPE up gauge\nup{job=\"a b\"} 1 1.5 # {t=\"x\"} 1\n# EOF\n", &[(1_500, 1.0)]);
    // The order of the lines does not matter.
    check("up{job=\"a b\"} 0 2000\nup{job=\"a b\"} 1 1000\n", &[(1_000, 1.0), (2_000, 0.0)]);
    let (history, diagnostics) = read_recorded("up 1\nup x 1\n 1 2\nup{ 1 2\nup 1 soon\nup 1 1\n").unwrap();
    let told: Vec<String> = diagnostics.iter().map(|one| format!("{}: {}", one.line, one.message)).collect();
    assert_eq!(
        told,
        [
            "1: the sample has no time",
            "2: the value is not a number",
            "3: the sample has no time",
            "4: the line begins with no series",
            "5: the time cannot be read"
        ]
    );
    assert_eq!((history.size(), history.span_ms()), ((1, 1), Some((1, 1))));
    // A dump has no other word for the end of a series.
    let (history, _) = read_recorded("{__name__=\"up\"} NaN 1000").unwrap();
    let store = history.into_store(&BTreeSet::new()).unwrap();
    assert!(crate::store::is_stale(store.select(Some("up")).next().unwrap().1.all().next().unwrap().1));
}
