//! Owns the tests of decisions: tables of what is decided where, and what no circumstances whatever may bring about.

use proptest::prelude::*;

use super::*;

const EFFECTS: [Effect; 5] =
    [Effect::Observe, Effect::Change, Effect::Disrupt, Effect::Destroy, Effect::Unknown];
const MODES: [Mode; 3] = [Mode::Observe, Mode::Suggest, Mode::Auto];

fn policy(mode: Mode) -> Policy {
    Policy {
        mode,
        allow: [Effect::Observe, Effect::Change, Effect::Disrupt].into(),
        restarts_per_hour: 3,
        changes_per_hour: 10,
        cooldown: Duration::from_secs(60),
        storm: Storm { servers: 5, window: Duration::from_secs(600) },
        ..Policy::default()
    }
}

fn request(effect: Effect) -> Request<'static> {
    Request { alert: "Down", severity: Some(Severity::Critical), ..Request::quiet(effect, "because") }
}

fn shown(decision: Decision) -> String {
    match decision {
        Decision::Run => "run".to_owned(),
        Decision::Ask(reason) => format!("ask: {reason}"),
        Decision::Skip(reason) => format!("skip: {reason}"),
    }
}

#[track_caller]
fn check(policy: &Policy, request: &Request<'_>, expect: &str) {
    assert_eq!(shown(policy.decide(request)), expect);
}

#[track_caller]
fn begins(policy: &Policy, request: &Request<'_>, expect: &str) {
    let decided = shown(policy.decide(request));
    assert!(decided.starts_with(expect), "{decided}");
}

#[test]
fn looking_is_automatic_in_every_mode() {
    for mode in MODES {
        check(&policy(mode), &request(Effect::Observe), "run");
        check(
            &Policy { dry_run: true, ..policy(mode) },
            &Request { kill: Kill::On, trouble: Trouble::Resolved, ..request(Effect::Observe) },
            "run",
        );
    }
}

#[test]
fn changing_is_governed() {
    let auto = policy(Mode::Auto);
    check(&auto, &request(Effect::Change), "run");
    check(&auto, &request(Effect::Disrupt), "run");
    check(&auto, &request(Effect::Destroy), "ask: its effect is destroy (because)");
    check(&auto, &request(Effect::Unknown), "ask: its effect is unknown (because)");
    begins(&policy(Mode::Suggest), &request(Effect::Change), "ask: the mode is `suggest`");
    begins(&policy(Mode::Observe), &request(Effect::Change), "skip: the mode is `observe`");
}

#[test]
fn what_stands_above_the_mode() {
    let (auto, disrupt) = (policy(Mode::Auto), request(Effect::Disrupt));
    begins(&auto, &Request { kill: Kill::On, ..disrupt.clone() }, "skip: the kill switch");
    begins(&auto, &Request { trouble: Trouble::Resolved, ..disrupt.clone() }, "skip: the alert is resolved");
    begins(&auto, &Request { approve: Approve::Always, ..disrupt }, "ask: its author");
}

#[test]
fn a_mode_for_one_procedure() {
    let modes = BTreeMap::from([("Down".to_owned(), Mode::Suggest), ("Slow".to_owned(), Mode::Auto)]);
    for (mode, alert, expect) in [
        (Mode::Auto, "Down", "ask: the mode is `suggest`"),
        (Mode::Observe, "Down", "ask: the mode is `suggest`"),
        (Mode::Observe, "Slow", "run"),
        (Mode::Observe, "down", "skip: the mode is `observe`"),
        (Mode::Auto, "", "run"),
    ] {
        let policy = Policy { modes: modes.clone(), ..policy(mode) };
        begins(&policy, &Request { alert, ..request(Effect::Change) }, expect);
    }
}

#[test]
fn effects_by_severity() {
    let only = |effect| BTreeSet::from([effect]);
    let policy = Policy {
        allow: only(Effect::Change),
        allow_by_severity: BTreeMap::from([(Severity::Critical, only(Effect::Disrupt))]),
        ..policy(Mode::Auto)
    };
    for (severity, effect, expect) in [
        (Some(Severity::Critical), Effect::Disrupt, "run"),
        (
            Some(Severity::Critical),
            Effect::Change,
            "ask: its effect is change (because), which `allow_critical` does not name",
        ),
        (Some(Severity::Warning), Effect::Change, "run"),
        (
            Some(Severity::Warning),
            Effect::Disrupt,
            "ask: its effect is disrupt (because), which `allow` does not name",
        ),
        (None, Effect::Disrupt, "ask: its effect is disrupt (because), which `allow` does not name"),
    ] {
        check(&policy, &Request { severity, ..request(effect) }, expect);
    }
}

#[test]
fn budgets() {
    let auto = policy(Mode::Auto);
    let at = |restarts, changes, effect| Request {
        restarts_last_hour: restarts,
        changes_last_hour: changes,
        ..request(effect)
    };
    check(&auto, &at(2, 9, Effect::Disrupt), "run");
    check(&auto, &at(3, 9, Effect::Change), "run");
    check(
        &auto,
        &at(3, 9, Effect::Disrupt),
        "ask: the server was restarted 3 times in the last hour, and the budget is 3 (`restarts_per_hour`)",
    );
    check(
        &auto,
        &at(0, 10, Effect::Change),
        "ask: 10 changes were made to all servers together in the last hour, and the budget is 10 (`changes_per_hour`)",
    );
}

/// 1970-01-01 00:16:40.
const CHANGED_MS: i64 = 1_000_000;

#[test]
fn the_same_procedure_waits_after_its_change() {
    let auto = policy(Mode::Auto);
    let after = |seconds: i64, look_back_s| Request {
        last_change_ms: Some(CHANGED_MS),
        now_ms: CHANGED_MS + seconds * 1000,
        look_back: Duration::from_secs(look_back_s),
        ..request(Effect::Change)
    };
    check(
        &auto,
        &after(59, 0),
        "ask: the same procedure changed this server at 1970-01-01 00:16:40 UTC, and its alert may still be about the time before that: a yes allows it, or waiting until 1970-01-01 00:17:40 UTC",
    );
    check(&auto, &after(60, 0), "run");
    check(&auto, &after(61, 30), "run");
    begins(&auto, &after(299, 300), "ask: the same procedure");
    check(&auto, &after(300, 300), "run");
    // A clock that was set back: it is not known how long ago that was.
    begins(&auto, &after(-10, 0), "ask: the same procedure");

    assert_eq!(auto.passes_ms(&after(59, 0)), Some(CHANGED_MS + 60_000));
    assert_eq!(auto.passes_ms(&after(60, 0)), None);
    assert_eq!(auto.passes_ms(&request(Effect::Change)), None);
}

#[test]
fn maintenance_is_for_people() {
    let hold = |until_ms| Some(Hold { reason: "in maintenance".to_owned(), until_ms });
    let during = |effect, until_ms| Request { maintenance: hold(until_ms), ..request(effect) };
    let auto = policy(Mode::Auto);
    check(&auto, &during(Effect::Change, Some(9)), "ask: in maintenance");
    check(&auto, &during(Effect::Observe, Some(9)), "run");
    begins(&policy(Mode::Suggest), &during(Effect::Change, None), "ask: the mode is `suggest`");
    begins(&policy(Mode::Observe), &during(Effect::Change, None), "skip: the mode is `observe`");
    assert_eq!(auto.refuse(&during(Effect::Change, None)), None, "a person may say yes");
    assert_eq!(auto.passes_ms(&during(Effect::Change, Some(9))), Some(9));
    assert_eq!(auto.passes_ms(&during(Effect::Change, None)), None);
    assert_eq!(auto.passes_ms(&during(Effect::Observe, Some(9))), None);
}

#[test]
fn a_storm_is_said_beside_the_rest() {
    let many = Request { servers_in_trouble: 5, ..request(Effect::Change) };
    let storm = "5 servers got into trouble within 600 s, which may have one cause: only a yes allows a change until fewer than 5 of their incidents are open";
    check(&policy(Mode::Auto), &many, &format!("ask: {storm}"));
    check(
        &policy(Mode::Suggest),
        &many,
        &format!("ask: the mode is `suggest`, and its effect is change (because); {storm}"),
    );
    check(&policy(Mode::Auto), &Request { servers_in_trouble: 4, ..many.clone() }, "run");
    check(&policy(Mode::Auto), &Request { effect: Effect::Observe, ..many }, "run");
}

#[test]
fn a_dry_run_says_what_would_have_been() {
    let dry = |mode| Policy { dry_run: true, ..policy(mode) };
    check(
        &dry(Mode::Auto),
        &request(Effect::Change),
        "skip: this is a dry run: it would have been run; set `dry_run = false` to allow it",
    );
    check(
        &dry(Mode::Auto),
        &request(Effect::Destroy),
        "skip: this is a dry run: a person would have been asked, because its effect is destroy (because); set `dry_run = false` to allow it",
    );
    begins(
        &dry(Mode::Observe),
        &request(Effect::Change),
        "skip: this is a dry run: it would not have been run, because the mode is `observe`",
    );
    assert!(dry(Mode::Auto).refuse(&request(Effect::Change)).is_some(), "a yes does not end a dry run");
    assert_eq!(dry(Mode::Auto).refuse(&request(Effect::Observe)), None);
}

#[test]
fn two_people_where_something_is_destroyed() {
    let two = Policy { second_person: true, ..policy(Mode::Auto) };
    assert_eq!(EFFECTS.map(|effect| two.people_needed(effect.name())), [1, 1, 1, 2, 1]);
    assert_eq!(two.people_needed("manual"), 1);
    assert_eq!(EFFECTS.map(|effect| policy(Mode::Auto).people_needed(effect.name())), [1; 5]);
}

prop_compose! {
    fn any_policy()(
        (mode, of_procedure) in (0..3_usize, prop::option::of(0..3_usize)),
        dry_run in any::<bool>(),
        allow in prop::collection::btree_set(0..5_usize, 0..5),
        for_critical in prop::option::of(prop::collection::btree_set(0..5_usize, 0..5)),
        (restarts_per_hour, changes_per_hour, servers) in (0..4_u32, 0..4_u32, 0..4_u32),
        cooldown_s in 0..1000_u64,
        second_person in any::<bool>(),
    ) -> Policy {
        let effects = |picks: BTreeSet<usize>| picks.into_iter().map(|pick| EFFECTS[pick]).collect();
        Policy {
            mode: MODES[mode],
            modes: of_procedure.map(|mode| ("Down".to_owned(), MODES[mode])).into_iter().collect(),
            dry_run,
            allow: effects(allow),
            allow_by_severity: for_critical.map(|picks| (Severity::Critical, effects(picks))).into_iter().collect(),
            restarts_per_hour,
            changes_per_hour,
            cooldown: Duration::from_secs(cooldown_s),
            storm: Storm { servers, window: Duration::from_secs(1) },
            second_person,
            ..Policy::default()
        }
    }
}

prop_compose! {
    fn any_request()(
        effect in 0..5_usize,
        (always, killed, resolved, held) in any::<(bool, bool, bool, bool)>(),
        severity in 0..4_usize,
        (restarts_last_hour, changes_last_hour, servers_in_trouble) in (0..5_u32, 0..5_u32, 0..5_u32),
        last_change_ms in prop::option::of(any::<i64>()),
        now_ms in any::<i64>(),
        look_back_s in any::<u64>(),
    ) -> Request<'static> {
        let severities = [None, Some(Severity::Info), Some(Severity::Warning), Some(Severity::Critical)];
        Request {
            approve: if always { Approve::Always } else { Approve::Policy },
            severity: severities[severity],
            kill: if killed { Kill::On } else { Kill::Off },
            trouble: if resolved { Trouble::Resolved } else { Trouble::Stands },
            maintenance: held.then(|| Hold { reason: "people are at work there".to_owned(), until_ms: None }),
            now_ms,
            restarts_last_hour,
            changes_last_hour,
            last_change_ms,
            look_back: Duration::from_secs(look_back_s),
            servers_in_trouble,
            ..request(EFFECTS[effect])
        }
    }
}

proptest! {
    #[test]
    fn what_destroys_or_is_not_understood_never_runs_by_itself(policy in any_policy(), request in any_request()) {
        let runs = policy.decide(&request) == Decision::Run;
        prop_assert!(!runs || !matches!(request.effect, Effect::Destroy | Effect::Unknown));
    }

    #[test]
    fn under_the_kill_switch_nothing_is_changed_with_or_without_a_yes(policy in any_policy(), request in any_request()) {
        let request = Request { kill: Kill::On, ..request };
        if request.effect != Effect::Observe {
            prop_assert!(matches!(policy.decide(&request), Decision::Skip(_)));
            prop_assert!(matches!(policy.refuse(&request), Some(Decision::Skip(_))));
        }
    }

    #[test]
    fn a_change_that_runs_by_itself_has_everything_for_it(policy in any_policy(), request in any_request()) {
        if request.effect != Effect::Observe && policy.decide(&request) == Decision::Run {
            prop_assert!(!policy.dry_run && request.approve == Approve::Policy && request.trouble == Trouble::Stands);
            prop_assert!(policy.modes.get("Down").unwrap_or(&policy.mode) == &Mode::Auto);
            prop_assert!(request.changes_last_hour < policy.changes_per_hour);
            prop_assert!(request.servers_in_trouble < policy.storm.servers);
            prop_assert!(request.maintenance.is_none() && policy.passes_ms(&request).is_none());
        }
    }

    #[test]
    fn every_refusal_has_a_reason(policy in any_policy(), request in any_request()) {
        match policy.decide(&request) {
            Decision::Run => {}
            Decision::Ask(reason) | Decision::Skip(reason) => prop_assert!(reason.len() > 20, "{reason}"),
        }
    }
}
