//! Owns the tests of alerts: their states over time, their labels, and errors of rules.

mod compliance;
mod groups;
mod restoring;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::promql::Query;
use crate::rule::{AlertingRule, RuleGroup};
use crate::store::{Limits, Store};
use crate::template::Template;

const LIMITS: Limits = Limits { retention_ms: i64::MAX, series_max: 5_000, samples_per_series_max: 10_000 };
const STEP_MS: i64 = 10_000;

fn rule(query: &str, for_ms: i64, keep_firing_for_ms: i64) -> AlertingRule {
    AlertingRule {
        name: "MCPServerDown".to_owned(),
        query: Query::parse(query).expect("the query is valid"),
        for_ms,
        keep_firing_for_ms,
        labels: BTreeMap::from([("severity".to_owned(), Template::literal("critical"))]),
        annotations: BTreeMap::from([(
            "summary".to_owned(),
            Template::parse("{{ $labels.server_name }} is down ({{ $value }})").expect("it is a template"),
        )]),
    }
}

fn alerts_of(rules: Vec<AlertingRule>) -> Alerts {
    Alerts::new(vec![RuleGroup::of("test", rules)], RuleSettings::default())
}

fn up(server: &str) -> Labels {
    Labels::metric("mcp_server_up", &[("server_name", server)])
}

/// Plays `+` (up) and `-` (down), one every ten seconds, against a rule; shows the changes.
#[track_caller]
fn check(rule: AlertingRule, history: &str, expect: &Expect) {
    let mut shown = String::new();
    for transition in play(rule, history.chars().map(|c| c == '-'), &AtOnce::nothing()) {
        let (state, at_s) = (transition.state, transition.at_ms / 1_000);
        shown += &format!("{at_s} {state:?} since {}\n", transition.started_ms / 1_000);
    }
    expect.assert_eq(&shown);
}

fn play(rule: AlertingRule, history: impl Iterator<Item = bool>, at_once: &AtOnce) -> Vec<Transition> {
    let mut store = Store::new(LIMITS);
    let mut alerts = alerts_of(vec![rule]);
    let mut all = Vec::new();
    for (index, down) in history.enumerate() {
        let now_ms = index as i64 * STEP_MS;
        store.append(&up("mem"), now_ms, if down { 0.0 } else { 1.0 }).unwrap();
        let (transitions, errors) = alerts.evaluate(&mut store, now_ms, at_once);
        assert_eq!(errors, []);
        all.extend(transitions);
    }
    all
}

#[test]
fn without_for_it_fires_at_once() {
    check(
        rule("mcp_server_up == 0", 0, 0),
        "++-+",
        &expect![[r#"
        20 Firing since 20
        30 Resolved since 20
    "#]],
    );
}

#[test]
fn with_for_it_waits() {
    check(
        rule("mcp_server_up == 0", 20_000, 0),
        "+--+---+",
        &expect![[r#"
        10 Pending since 10
        30 Inactive since 10
        40 Pending since 40
        60 Firing since 40
        70 Resolved since 40
    "#]],
    );
}

#[test]
fn it_goes_on_firing_for_a_while() {
    check(
        rule("mcp_server_up == 0", 0, 20_000),
        "-+-++++-",
        &expect![[r#"
        0 Firing since 0
        50 Resolved since 0
        70 Firing since 70
    "#]],
    );
}

#[test]
fn an_event_does_not_wait() {
    let at_once =
        AtOnce { metric: "mcp_server_up".to_owned(), server_names: BTreeSet::from(["mem".to_owned()]) };
    let states = |rule, at_once: &AtOnce| -> Vec<AlertState> {
        play(rule, [true].into_iter(), at_once).iter().map(|transition| transition.state).collect()
    };
    assert_eq!(states(rule("mcp_server_up == 0", 60_000, 0), &at_once), [AlertState::Firing]);
    // Another metric, or another server whose name only begins the same.
    assert_eq!(states(rule("{__name__=~\"mcp_.+\"} == 0", 60_000, 0), &at_once), [AlertState::Pending]);
    let other = AtOnce { server_names: BTreeSet::from(["mem-2".to_owned()]), ..at_once };
    assert_eq!(states(rule("mcp_server_up == 0", 60_000, 0), &other), [AlertState::Pending]);
}

#[test]
fn an_event_during_the_wait_ends_it() {
    let mut store = Store::new(LIMITS);
    let mut alerts = alerts_of(vec![rule("mcp_server_up == 0", 60_000, 0)]);
    store.append(&up("mem"), 0, 0.0).unwrap();
    let (transitions, _) = alerts.evaluate(&mut store, 0, &AtOnce::nothing());
    assert_eq!(transitions[0].state, AlertState::Pending);
    let at_once =
        AtOnce { metric: "mcp_server_up".to_owned(), server_names: BTreeSet::from(["mem".to_owned()]) };
    let (transitions, _) = alerts.evaluate(&mut store, 10, &at_once);
    assert_eq!((transitions[0].state, transitions[0].started_ms), (AlertState::Firing, 0));
    let (transitions, _) = alerts.evaluate(&mut store, 20, &at_once);
    assert_eq!(transitions, [], "the same event again changes nothing");
}

#[test]
fn an_alert_says_what_the_rule_says() {
    let transitions = play(rule("mcp_server_up == 0", 0, 0), [true].into_iter(), &AtOnce::nothing());
    let shown = serde_json::to_string_pretty(&transitions).expect("it can be written");
    expect![[r#"
        [
          {
            "rule": "MCPServerDown",
            "labels": {
              "alertname": "MCPServerDown",
              "server_name": "mem",
              "severity": "critical"
            },
            "fingerprint": "ae808ef5f044875f",
            "state": "firing",
            "at_ms": 0,
            "started_ms": 0,
            "value": 0.0,
            "annotations": {
              "summary": "mem is down (0)"
            }
          }
        ]"#]]
    .assert_eq(&shown);
}

#[test]
fn a_number_is_an_alert_without_labels() {
    let transitions = play(rule("vector(1)", 0, 0), [true].into_iter(), &AtOnce::nothing());
    assert_eq!(transitions[0].labels.to_string(), r#"{alertname="MCPServerDown",severity="critical"}"#);
    let transitions = play(rule("time()", 0, 0), [true].into_iter(), &AtOnce::nothing());
    assert_eq!(transitions[0].value, 0.0);
}

#[test]
fn a_rule_that_fails_disturbs_no_other() {
    let mut store = Store::new(LIMITS);
    for server in ["a", "b"] {
        store.append(&up(server), 0, 0.0).unwrap();
    }
    let mut same = rule("mcp_server_up == 0", 0, 0);
    same.name = "Same".to_owned();
    same.labels.insert("server_name".to_owned(), Template::literal("all"));
    let mut text = rule("\"text\"", 0, 0);
    text.name = "Text".to_owned();
    let mut clash = rule("mcp_server_up + on() mcp_server_up", 0, 0);
    clash.name = "Clash".to_owned();
    let mut alerts = alerts_of(vec![same, text, clash, rule("mcp_server_up == 0", 0, 0)]);
    let (transitions, errors) = alerts.evaluate(&mut store, 0, &AtOnce::nothing());
    assert_eq!(transitions.len(), 2);
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            r#"rule `Same` yields two elements with the labels `{alertname="Same",server_name="all",severity="critical"}`"#,
            "query of rule `Text` yields no vector",
            "query of rule `Clash` failed",
        ]
    );
}

#[test]
fn a_failing_rule_keeps_its_alerts() {
    let mut store = Store::new(LIMITS);
    store.append(&up("a"), 0, 0.0).unwrap();
    let mut without_server = rule("mcp_server_up == 0", 0, 0);
    without_server.labels.insert("server_name".to_owned(), Template::literal("all"));
    let mut alerts = alerts_of(vec![without_server]);
    alerts.evaluate(&mut store, 0, &AtOnce::nothing());
    store.append(&up("b"), 10, 0.0).unwrap();
    let (transitions, errors) = alerts.evaluate(&mut store, 10, &AtOnce::nothing());
    assert_eq!((transitions.len(), errors.len()), (0, 1));
    assert_eq!(alerts.active().map(|alert| alert.state).collect::<Vec<_>>(), [AlertState::Firing]);
}

#[test]
fn too_many_alerts_are_an_error() {
    let mut store = Store::new(LIMITS);
    for index in 0..=ALERTS_PER_RULE_MAX {
        store.append(&up(&index.to_string()), 0, 0.0).unwrap();
    }
    let mut alerts = alerts_of(vec![rule("mcp_server_up == 0", 0, 0)]);
    let (transitions, errors) = alerts.evaluate(&mut store, 0, &AtOnce::nothing());
    assert_eq!(transitions, []);
    assert_eq!(errors[0].to_string(), "rule `MCPServerDown` yields more than 1000 alerts");
}

#[test]
fn a_resolved_alert_is_shown_for_a_while() {
    let mut store = Store::new(LIMITS);
    let mut alerts = alerts_of(vec![rule("mcp_server_up == 0", 0, 0)]);
    let shown = |alerts: &Alerts| alerts.active().map(|alert| alert.state).collect::<Vec<_>>();
    store.append(&up("mem"), 0, 0.0).unwrap();
    alerts.evaluate(&mut store, 0, &AtOnce::nothing());
    store.append(&up("mem"), 1, 1.0).unwrap();
    alerts.evaluate(&mut store, 1, &AtOnce::nothing());
    alerts.evaluate(&mut store, 1 + RESOLVED_RETENTION_MS, &AtOnce::nothing());
    assert_eq!(shown(&alerts), [AlertState::Resolved]);
    alerts.evaluate(&mut store, 2 + RESOLVED_RETENTION_MS, &AtOnce::nothing());
    assert_eq!(shown(&alerts), []);
}

proptest! {
    /// Whatever the server does, the states of its alert follow the rules.
    #[test]
    fn states_follow_the_rules(
        history in prop::collection::vec(any::<bool>(), 0..80),
        for_steps in 0i64..5,
        keep_steps in 0i64..5,
    ) {
        let rule = rule("mcp_server_up == 0", for_steps * STEP_MS, keep_steps * STEP_MS);
        let transitions = play(rule, history.iter().copied(), &AtOnce::nothing());
        let down = |from_ms: i64, to_ms: i64| -> Vec<bool> {
            history[(from_ms / STEP_MS) as usize..=(to_ms / STEP_MS) as usize].to_vec()
        };
        let mut state = AlertState::Inactive;
        for transition in &transitions {
            let Transition { at_ms, started_ms, .. } = *transition;
            match transition.state {
                AlertState::Pending => {
                    prop_assert!(matches!(state, AlertState::Inactive | AlertState::Resolved));
                    prop_assert!(for_steps > 0 && at_ms == started_ms);
                }
                AlertState::Firing => {
                    prop_assert!(state == AlertState::Pending || for_steps == 0 && state != AlertState::Firing);
                    prop_assert_eq!(at_ms - started_ms, for_steps * STEP_MS, "neither too early nor too late");
                    prop_assert!(down(started_ms, at_ms).iter().all(|down| *down));
                }
                AlertState::Resolved => {
                    prop_assert_eq!(state, AlertState::Firing);
                    let quiet = down(at_ms - keep_steps * STEP_MS, at_ms);
                    prop_assert!(quiet.iter().all(|down| !down));
                }
                AlertState::Inactive => {
                    prop_assert_eq!(state, AlertState::Pending);
                    prop_assert!(!down(at_ms, at_ms)[0]);
                }
            }
            state = transition.state;
        }
        // What has been there for long enough fires, and what has been gone for long enough does not.
        let run = |wanted: bool| history.iter().rev().take_while(|down| **down == wanted).count() as i64;
        if run(true) > for_steps {
            prop_assert_eq!(state, AlertState::Firing);
        }
        if run(false) > keep_steps {
            prop_assert!(matches!(state, AlertState::Resolved | AlertState::Inactive));
        }
    }
}
