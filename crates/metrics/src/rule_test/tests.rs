//! Owns the tests of tests: what holds, what does not and why, and what is refused.

use super::*;
use crate::rule::parse_rules;

const RULES: &str = "groups: [{name: g, rules: [{alert: Down, expr: up == 0, for: 1m, annotations: {s: '{{ $labels.job }}'}}]}]";

/// What fails, in one line each.
#[track_caller]
fn check(text: &str, expect: &[&str]) {
    let file = parse_rule_tests(text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let (groups, _) = parse_rules("rules.yml", RULES);
    let shown: Vec<String> = file
        .run(&groups)
        .iter()
        .map(|one| format!("{}:{} {}: {}", one.test, one.line, one.what, one.message.replace('\n', "|")))
        .collect();
    assert_eq!(shown, expect, "{text}");
}

#[track_caller]
fn refused(text: &str, expect: &str) {
    let problems = parse_rule_tests(text).expect_err(text);
    assert!(problems[0].to_string().starts_with(expect), "{text}\n{problems:#?}");
}

#[test]
fn what_does_not_hold_is_told() {
    let series = "tests:\n- name: one\n  input_series: [{series: 'up{job=\"a\"}', values: '0x5'}]\n";
    check(
        &format!(
            "{series}  alert_rule_test: [{{eval_time: 2m, alertname: Down, exp_alerts: [{{exp_labels: {{job: b}}, exp_annotations: {{s: b}}}}]}}]\n"
        ),
        &[
            r#"one:4 alert `Down` after 2m: expected {alertname="Down",job="b"} {s="b"}|   found {alertname="Down",job="a"} {s="a"}"#,
        ],
    );
    check(
        &format!("{series}  alert_rule_test: [{{eval_time: 2m, alertname: Down}}]\n"),
        &[r#"one:4 alert `Down` after 2m: expected none|   found {alertname="Down",job="a"} {s="a"}"#],
    );
    check(
        &format!(
            "{series}  promql_expr_test: [{{expr: up + 1, eval_time: 2m, exp_samples: [{{labels: '{{job=\"a\"}}', value: 2}}]}}]\n"
        ),
        &[r#"one:4 query `up + 1` after 2m: expected {job="a"} 2|   found {job="a"} 1"#],
    );
    for (of_test, of_case) in [("true", "false"), ("false", "true")] {
        check(
            &format!(
                "{series}  ignore_annotations: {of_test}\n  alert_rule_test: [{{eval_time: 2m, alertname: Down, ignore_annotations: {of_case}, exp_alerts: [{{exp_labels: {{job: a}}}}]}}]\n"
            ),
            &[],
        );
    }
    check(
        &format!("{series}  promql_expr_test: [{{expr: 'up[1m]'}}]\n"),
        &["one:4 query `up[1m]` after 0s: the query yields no vector and no number"],
    );
}

#[test]
fn numbers_may_be_compared_less_strictly() {
    let test = |fuzzy, value| {
        format!(
            "fuzzy_compare: {fuzzy}\ntests:\n- promql_expr_test: [{{expr: 0.1 + 0.2, exp_samples: [{{value: {value}}}]}}]\n"
        )
    };
    check(&test(true, "0.3"), &[]);
    check(
        &test(true, "0.3001"),
        &["1:3 query `0.1 + 0.2` after 0s: expected {} 0.3001|   found {} 0.30000000000000004"],
    );
    check(
        &test(false, "0.3"),
        &["1:3 query `0.1 + 0.2` after 0s: expected {} 0.3|   found {} 0.30000000000000004"],
    );
    check(
        "tests:\n- promql_expr_test: [{expr: 0/0, exp_samples: [{value: .nan}]}, {expr: 1/0, exp_samples: [{value: .inf}]}]\n",
        &[],
    );
}

#[test]
fn a_test_may_begin_at_any_time() {
    let test = |start| {
        format!(
            "tests:\n- start_timestamp: {start}\n  input_series: [{{series: up, values: '1x5'}}]\n  promql_expr_test: [{{expr: timestamp(up), eval_time: 1m, exp_samples: [{{value: 1445444940}}]}}]\n"
        )
    };
    check(&test("1445444880"), &[]);
    check(&test("2015-10-21T16:28:00Z"), &[]);
    check(&test("'2015-10-21T18:28:00+02:00'"), &[]);
    refused(&test("soon"), "2:20: error: `start_timestamp`: `soon` is no moment");
}

#[test]
fn what_is_refused() {
    refused("test: []", "1:1: error: a file of tests has no field `test`; `tests` is meant?");
    refused("tests: [{alert_rule_test: [{eval_time: 1m}]}]", "1:28: error: the test has no `alertname`");
    refused(
        "tests: [{input_series: [{series: 'a b', values: 1}]}]",
        "1:34: error: `series`: unexpected `b` after the series",
    );
    refused(
        "tests: [{input_series: [{series: a, values: '{{count:1}}'}]}]",
        "1:45: error: native histograms are not supported",
    );
    refused(
        "tests: [{promql_expr_test: [{exp_samples: [{value: x}]}]}]",
        "1:52: error: `value`: `x` is not a number",
    );
    check(
        "tests: [{input_series: [{series: a, values: 1}, {series: a, values: 1}]}]",
        &["1:0 the series: `a` is given twice"],
    );
    let long = "evaluation_interval: 1ms\ntests: [{promql_expr_test: [{expr: '1', eval_time: 1y}]}]";
    check(
        long,
        &["1:0 the times of the tests: more than 1000000 evaluations: make `evaluation_interval` longer"],
    );
}

#[test]
fn a_rule_that_fails_ends_its_test() {
    let rules = "groups: [{name: g, rules: [{alert: A, expr: up, labels: {job: x}}]}]";
    let file = parse_rule_tests(
        "tests: [{input_series: [{series: 'up{job=\"a\"}', values: 1}, {series: 'up{job=\"b\"}', values: 1}], promql_expr_test: [{expr: up}]}]",
    );
    let failures = file.expect("it can be read").run(&parse_rules("rules.yml", rules).0);
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].what, "rule `A` after 0s");
}
