//! Owns the tests of groups: recording rules, order, intervals, limits, offsets, and the series that rules make.

use super::{LIMITS, STEP_MS};
use crate::alert::{Alerts, AtOnce, RuleSettings};
use crate::labels::Labels;
use crate::promql::{Query, Value};
use crate::rule::{RuleProblem, parse_rules};
use crate::store::Store;

/// Rules of a file, and a store in which `up{job="a"}` goes on.
pub(super) struct World {
    pub(super) store: Store,
    pub(super) alerts: Alerts,
    pub(super) now_ms: i64,
}

impl World {
    pub(super) fn new(rules: &str, settings: RuleSettings) -> Self {
        let (groups, problems) = parse_rules("rules.yml", rules);
        assert!(!problems.iter().any(RuleProblem::is_error), "{problems:#?}");
        Self { store: Store::new(LIMITS), alerts: Alerts::new(groups, settings), now_ms: 0 }
    }

    /// One value every ten seconds, nothing for a blank, and an evaluation of what is due after each; returns the errors.
    pub(super) fn play(&mut self, history: &str) -> Vec<String> {
        let mut all = Vec::new();
        for value in history.chars() {
            if let Some(value) = value.to_digit(10) {
                let labels = Labels::metric("up", &[("job", "a")]);
                self.store.append(&labels, self.now_ms, f64::from(value)).expect("it is newer");
            }
            let (_, errors) = self.alerts.evaluate_due(&mut self.store, self.now_ms, &AtOnce::nothing());
            all.extend(errors.iter().map(ToString::to_string));
            self.now_ms += STEP_MS;
        }
        all
    }

    /// What a query yields at the last evaluation.
    pub(super) fn ask(&self, query: &str) -> Vec<String> {
        let query = Query::parse(query).expect("it is a query");
        let Ok(Value::Vector(elements)) = query.instant(&self.store, self.now_ms - STEP_MS) else {
            panic!("no vector");
        };
        let mut shown: Vec<String> =
            elements.iter().map(|element| format!("{} {}", element.labels, element.value)).collect();
        shown.sort();
        shown
    }
}

#[track_caller]
fn check(rules: &str, history: &str, query: &str, expect: &[&str]) {
    let mut world = World::new(rules, RuleSettings { interval_ms: STEP_MS, ..RuleSettings::default() });
    assert_eq!(world.play(history), [""; 0]);
    assert_eq!(world.ask(query), expect, "{rules}");
}

#[test]
fn a_recording_rule_makes_series() {
    let rules = "groups: [{name: g, labels: {of: g, job: ''}, rules: [{record: 'a:b', expr: up * 2, labels: {x: y}}]}]";
    check(rules, "3", "{__name__=\"a:b\"}", &[r#"a:b{of="g",x="y"} 6"#]);
    // What is not there any more has ended, at once.
    check("groups: [{name: g, rules: [{record: b, expr: up > 2}]}]", "31", "b", &[]);
    // A later rule of a group sees what an earlier one has just made, and the state of its alerts.
    let rules = "groups: [{name: g, rules: [{record: b, expr: up}, {record: c, expr: b + 1}, {alert: A, expr: c}, {record: d, expr: 'count(ALERTS)'}]}]";
    check(rules, "1", "d", &["d 1"]);
    check(rules, "1", "c", &[r#"c{job="a"} 2"#]);
    // The other way round it sees what was made one evaluation before.
    check(
        "groups: [{name: g, rules: [{record: c, expr: b + 1}, {record: b, expr: up}]}]",
        "15",
        "c",
        &[r#"c{job="a"} 2"#],
    );
}

#[test]
fn alerts_are_series() {
    let rules = "groups: [{name: g, rules: [{alert: A, expr: up == 0, for: 20s, keep_firing_for: 20s, labels: {alertstate: mine}}]}]";
    let all = "{__name__=~\"ALERTS|ALERTS_FOR_STATE|paramedic_.*\"}";
    check(rules, "1", all, &[]);
    let since = r#"ALERTS_FOR_STATE{alertname="A",alertstate="mine",job="a"} 10"#;
    check(rules, "10", all, &[since, r#"ALERTS{alertname="A",alertstate="pending",job="a"} 1"#]);
    check(rules, "1000", all, &[since, r#"ALERTS{alertname="A",alertstate="firing",job="a"} 1"#]);
    let kept = r#"paramedic_alert_keep_firing_since_seconds{alertname="A",alertstate="mine",job="a"} 40"#;
    check(rules, "100011", all, &[since, r#"ALERTS{alertname="A",alertstate="firing",job="a"} 1"#, kept]);
    check(rules, "1000111", all, &[]);
    check(rules, "101", all, &[]);
}

#[test]
fn each_group_has_its_interval() {
    let rules = "groups: [{name: fast, interval: 10s, rules: [{record: f, expr: up}]}, {name: slow, interval: 30s, rules: [{record: s, expr: up}]}, {name: default, rules: [{record: d, expr: up}]}]";
    let mut world = World::new(rules, RuleSettings { interval_ms: 20_000, ..RuleSettings::default() });
    world.play("012345");
    assert_eq!(world.ask("{__name__=~\"[fsd]\"}"), [r#"d{job="a"} 4"#, r#"f{job="a"} 5"#, r#"s{job="a"} 3"#]);
    assert_eq!(world.alerts.next_due_ms(50_000), Some(60_000));
    // The clock was set back: nothing waits for the time that was.
    assert_eq!(world.alerts.next_due_ms(20_000), Some(20_000));
    let at_once = AtOnce { metric: "up".to_owned(), server_names: ["a".to_owned()].into() };
    world.store.append(&Labels::metric("up", &[("job", "a")]), 51_000, 9.0).unwrap();
    world.alerts.evaluate_due(&mut world.store, 51_000, &at_once);
    world.now_ms = 51_000 + STEP_MS;
    assert_eq!(world.ask("{__name__=~\"[fsd]\"}"), [r#"d{job="a"} 9"#, r#"f{job="a"} 9"#, r#"s{job="a"} 9"#]);
}

#[test]
fn a_group_looks_back_by_its_offset() {
    let rules =
        "groups: [{name: g, query_offset: 20s, rules: [{record: b, expr: up}, {alert: A, expr: up == 0}]}]";
    check(rules, "1102", "b offset 20s", &[r#"b{job="a"} 1"#]);
    check(rules, "110222", "b offset 20s", &[r#"b{job="a"} 2"#]);
    check(rules, "11022", "timestamp(ALERTS)", &[r#"{alertname="A",alertstate="firing",job="a"} 20"#]);
}

#[test]
fn a_limit_holds_for_each_rule() {
    let rules =
        "groups: [{name: g, limit: 1, rules: [{record: b, expr: 'up or vector(1)'}, {record: c, expr: up}]}]";
    let mut world = World::new(rules, RuleSettings { interval_ms: STEP_MS, ..RuleSettings::default() });
    assert_eq!(world.play("1"), ["rule `b` yields more than 1 series"]);
    assert_eq!(world.ask("{__name__=~\"[bc]\"}"), [r#"c{job="a"} 1"#]);
    let rules =
        "groups: [{name: g, limit: 1, rules: [{alert: A, expr: 'up or (vector(1) and on() up > 1)'}]}]";
    let mut world = World::new(rules, RuleSettings { interval_ms: STEP_MS, ..RuleSettings::default() });
    assert_eq!(world.play("1"), [""; 0]);
    // The alert that stands stays; the new ones are not taken up.
    assert_eq!(world.play("2"), ["rule `A` yields more than 1 alerts"]);
    assert_eq!(world.alerts.active().count(), 1);
    assert_eq!(world.ask("ALERTS").len(), 1);
    let status = world.alerts.groups().next().expect("there is one");
    assert!(status.rules().next().expect("there is one").last_error().is_some());
}

#[test]
fn series_that_collide_are_an_error() {
    let rules = "groups: [{name: g, rules: [{record: b, expr: 'up or vector(1)', labels: {job: x}}]}]";
    let mut world = World::new(rules, RuleSettings { interval_ms: STEP_MS, ..RuleSettings::default() });
    assert_eq!(world.play("1"), [r#"rule `b` yields two elements with the labels `b{job="x"}`"#]);
}

#[test]
fn a_store_without_room_is_told_of() {
    let rules = "groups: [{name: g, rules: [{alert: A, expr: up}, {record: b, expr: up}]}]";
    let mut world = World::new(rules, RuleSettings { interval_ms: STEP_MS, ..RuleSettings::default() });
    world.store = Store::new(crate::store::Limits { series_max: 2, ..LIMITS });
    assert_eq!(
        world.play("1"),
        ["a series of rule `A` could not be kept", "a series of rule `b` could not be kept"]
    );
    // It fires all the same.
    assert_eq!(world.alerts.active().count(), 1);
}

#[test]
fn templates_can_ask() {
    let rules = "groups: [{name: g, rules: [{alert: A, expr: up, annotations: {a: '{{ query \"up + 1\" | first | value }} {{ $externalLabels.site }} {{ $externalURL }}', b: '{{ query \"up[5m]\" }}', c: '{{ humanize \"x\" }}'}}]}]";
    let settings = RuleSettings {
        external_labels: Labels::from_iter([("site", "one")]),
        external_url: "https://x.example".to_owned(),
        ..RuleSettings::default()
    };
    let mut world = World::new(rules, settings);
    world.play("1");
    let alert = world.alerts.active().next().expect("it fires");
    assert_eq!(alert.annotations["a"], "2 one https://x.example");
    assert_eq!(
        alert.annotations["b"],
        "<error expanding template: 1:4: error calling query: query result is not a vector or scalar>"
    );
    assert_eq!(
        alert.annotations["c"],
        "<error expanding template: 1:4: error calling humanize: `x` is not a number>"
    );
}
