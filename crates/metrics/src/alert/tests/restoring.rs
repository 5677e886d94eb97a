//! Owns the tests of restarts: alerts go on where the run before has left them.

use super::STEP_MS;
use super::groups::World;
use crate::alert::{AlertState, Alerts, AtOnce, Restoring, RuleSettings};
use crate::labels::Labels;
use crate::rule::parse_rules;

const MINUTE_MS: i64 = 60_000;

fn settings() -> RuleSettings {
    RuleSettings { interval_ms: STEP_MS, restoring: Some(Restoring::default()), ..RuleSettings::default() }
}

fn rules(for_: &str, keep: &str) -> String {
    format!(
        "groups: [{{name: g, rules: [{{alert: A, expr: up == 0, for: {for_}, keep_firing_for: {keep}}}]}}]"
    )
}

/// Plays a history, ends, begins anew after a while with other values, and tells how the alert stands then: its state,
/// and since when its element is there, in seconds before the beginning.
#[track_caller]
fn check(rules: &str, before: &str, gap_ms: i64, after: char, expect: Option<(AlertState, i64)>) {
    let mut world = World::new(rules, settings());
    world.play(before);
    let restarted_ms = world.now_ms - STEP_MS + gap_ms;
    world.now_ms = restarted_ms;
    world.alerts = Alerts::new(parse_rules("rules.yml", rules).0, settings());
    world.play(&after.to_string());
    let found: Vec<(AlertState, i64)> =
        world.alerts.active().map(|alert| (alert.state, (restarted_ms - alert.started_ms) / 1_000)).collect();
    assert_eq!(found, expect.into_iter().collect::<Vec<_>>(), "{rules} {before} {gap_ms} {after}");
}

#[test]
fn what_was_pending_goes_on_waiting() {
    // 30 s of 60 s had passed; the gap does not count.
    check(&rules("1m", "0s"), "10000", 20_000, '0', Some((AlertState::Pending, 30)));
    check(&rules("1m", "0s"), "10000", 30 * MINUTE_MS, '0', Some((AlertState::Pending, 30)));
    // What was seen longer ago than an hour is forgotten.
    check(&rules("1m", "0s"), "10000", 61 * MINUTE_MS, '0', Some((AlertState::Pending, 0)));
    // It has gone meanwhile.
    check(&rules("1m", "0s"), "10000", 20_000, '1', None);
    // It had gone before.
    check(&rules("1m", "0s"), "100001", 20_000, '0', Some((AlertState::Pending, 0)));
}

#[test]
fn what_waits_for_long_gets_time_to_be_mended() {
    // 14 minutes of 15 had passed: one is left, but ten are given.
    let history = "0".repeat(85);
    check(&rules("15m", "0s"), &history, MINUTE_MS, '0', Some((AlertState::Pending, 5 * 60)));
    // 1 minute of 15 had passed: 14 are left.
    check(&rules("15m", "0s"), "0000000", MINUTE_MS, '0', Some((AlertState::Pending, 60)));
}

#[test]
fn what_fired_goes_on_firing() {
    check(&rules("20s", "0s"), "10000", 20_000, '0', Some((AlertState::Firing, 50)));
    check(&rules("0s", "0s"), "1000", 20_000, '0', Some((AlertState::Firing, 40)));
    // Its element has gone meanwhile: that is told, and not passed over.
    check(&rules("20s", "0s"), "10000", 20_000, '1', Some((AlertState::Resolved, 50)));
}

#[test]
fn what_was_kept_firing_is_kept() {
    // Gone for 10 s of 60 s before, and 20 s of the gap.
    check(&rules("0s", "1m"), "10011", 20_000, '1', Some((AlertState::Firing, 50)));
    // Gone for 10 s before, and longer than the rest of the minute in the gap.
    check(&rules("0s", "1m"), "10011", 50_000, '1', Some((AlertState::Resolved, 80)));
    // It was there at the last evaluation: from then on it counts.
    check(&rules("0s", "1m"), "1000", 50_000, '1', Some((AlertState::Firing, 70)));
    check(&rules("0s", "1m"), "1000", 60_000, '1', Some((AlertState::Resolved, 80)));
}

#[test]
fn series_of_the_run_before_go_on_or_end() {
    let before = "groups: [{name: g, rules: [{alert: A, expr: up == 0}, {alert: Removed, expr: up == 0}]}]";
    let mut world = World::new(before, settings());
    world.play("0");
    world.now_ms += 20_000;
    let after = rules("0s", "0s");
    world.alerts = Alerts::new(parse_rules("rules.yml", &after).0, settings());
    world.play("0");
    assert_eq!(world.ask("ALERTS"), [r#"ALERTS{alertname="A",alertstate="firing",job="a"} 1"#]);
    world.play("1");
    assert_eq!(world.ask("ALERTS or ALERTS_FOR_STATE"), [""; 0]);
}

#[test]
fn two_rules_of_one_name_take_what_is_theirs() {
    let rules = "groups: [{name: g, rules: [{alert: A, expr: up == 0, labels: {s: w}}, {alert: A, expr: up == 0, labels: {s: c}}]}]";
    let mut world = World::new(rules, settings());
    world.play("100");
    world.alerts = Alerts::new(parse_rules("rules.yml", rules).0, settings());
    world.play("0");
    let started: Vec<i64> = world.alerts.active().map(|alert| alert.started_ms).collect();
    assert_eq!(started, [10_000, 10_000]);
}

#[test]
fn without_being_asked_nothing_is_restored() {
    let text = rules("1m", "0s");
    let mut world = World::new(&text, RuleSettings { interval_ms: STEP_MS, ..RuleSettings::default() });
    world.play("0000");
    world.alerts = Alerts::new(parse_rules("rules.yml", &text).0, RuleSettings::default());
    let labels = Labels::metric("up", &[("job", "a")]);
    world.store.append(&labels, world.now_ms, 0.0).unwrap();
    let (transitions, _) = world.alerts.evaluate(&mut world.store, world.now_ms, &AtOnce::nothing());
    assert_eq!(transitions[0].started_ms, world.now_ms);
}
