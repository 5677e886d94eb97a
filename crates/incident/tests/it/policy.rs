//! Tests what policy lets the engine do by itself: modes, effects, budget, kill switch.

use std::time::Duration;

use expect_test::expect;
use incident::{
    Alarm, AlertFacts, Fired, Incident, IncidentId, Kill, Mode, Record, Source, State, Storm, Window,
};

use crate::stage::{Life, Stage, check_story, fired};
use crate::world::{Reply, START_MS};

const RESTART: &str = r#"paramedic server restart "$SERVER_NAME""#;

const LOOK_AND_RESTART: &str = r#"
1. **Look**

   ```bash
   echo looked
   ```

2. **Restart**

   ```bash
   paramedic server restart "$SERVER_NAME"
   ```
"#;

fn stage(mode: Mode) -> Stage {
    let stage = Stage::new(LOOK_AND_RESTART);
    stage.world.state().policy.mode = mode;
    stage.world.reply(RESTART, Reply::exit(0).restarting());
    stage
}

#[tokio::test]
async fn suggest_looks_by_itself_and_asks_before_a_change() {
    let stage = stage(Mode::Suggest);
    let life = stage.open().await;
    let id = life.fire().await;

    let question = life.asked(&id).await;
    assert_eq!(question.unit, "2.1");
    expect!["the mode is `suggest`, and its effect is disrupt (`paramedic server restart` stops the server and starts it again)"].assert_eq(&question.reason);
    assert_eq!((life.world.executed("echo looked"), life.world.executed(RESTART)), (1, 0));

    life.yes(&id, "2.1").await;
    let incident = life.resolved(&id).await;
    check_story(
        &incident,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Look
           1.1 intent 1 (observe): echo looked
           1.1 outcome 1: code 0
        step 1 succeeded: 1 of 1 run
        step 2 Restart
           2.1 asks (disrupt): the mode is `suggest`, and its effect is disrupt (`paramedic server restart` stops the server and starts it again)
           2.1 approved by ada
           2.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
           2.1 outcome 1: code 0
        step 2 succeeded: 1 of 1 run
        verified: 3 probes, 200 ms
        mitigated
        alert resolved
        resolved
        reported
    "#]],
    );
    assert_eq!(life.world.executed(RESTART), 1);
    life.check_invariants().await;
}

#[tokio::test]
async fn a_no_is_the_end_of_the_machines_work() {
    let stage = stage(Mode::Suggest);
    let life = stage.open().await;
    let id = life.fire().await;
    life.no(&id, "2.1").await;

    let incident = life.person_needed(&id).await;
    check_story(
        &incident,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Look
           1.1 intent 1 (observe): echo looked
           1.1 outcome 1: code 0
        step 1 succeeded: 1 of 1 run
        step 2 Restart
           2.1 asks (disrupt): the mode is `suggest`, and its effect is disrupt (`paramedic server restart` stops the server and starts it again)
           2.1 rejected by ada: not now
        step 2 failed: 2.1: not now
        person needed: 2.1: not now
    "#]],
    );
    assert_eq!(life.world.executed(RESTART), 0);

    // The person does it in their own way, and the engine verifies that.
    life.world.state().problem = None;
    life.alert_over().await;
    life.until(&id, Incident::is_reported).await;
    assert_eq!(life.world.executed(RESTART), 0);
}

#[tokio::test]
async fn observe_says_what_it_would_have_done() {
    let stage = stage(Mode::Observe);
    stage.world.state().policy.runs_max = 1;
    let life = stage.open().await;
    let id = life.fire().await;

    let incident = life.person_needed(&id).await;
    check_story(
        &incident,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Look
           1.1 intent 1 (observe): echo looked
           1.1 outcome 1: code 0
        step 1 succeeded: 1 of 1 run
        step 2 Restart
           2.1 skipped: the mode is `observe`: a statement of effect disrupt would have been run or asked about; set mode `suggest` or `auto` to allow it
        step 2 skipped: the mode is `observe`: a statement of effect disrupt would have been run or asked about; set mode `suggest` or `auto` to allow it
        not verified: no 3 good answers in a row within 1 s: connection refused
        person needed: 1 run(s) of the procedure did not help for good: no 3 good answers in a row within 1 s: connection refused
    "#]],
    );
    assert_eq!(life.world.executed(RESTART), 0);
}

#[tokio::test]
async fn the_kill_switch_stops_every_change() {
    let stage = stage(Mode::Auto);
    stage.world.state().policy.runs_max = 1;
    stage.world.state().kill = Kill::On;
    let life = stage.open().await;
    let id = life.fire().await;

    let incident = life.person_needed(&id).await;
    assert_eq!(
        skipped(&incident.timeline),
        ["2.1: the kill switch is on: nothing is changed until its file is removed"]
    );
    assert_eq!((life.world.executed("echo looked"), life.world.executed(RESTART)), (1, 0));
}

#[tokio::test]
async fn the_kill_switch_stands_above_a_yes() {
    let stage = stage(Mode::Suggest);
    stage.world.state().policy.runs_max = 1;
    let life = stage.open().await;
    let id = life.fire().await;

    life.asked(&id).await;
    life.world.state().kill = Kill::On;
    life.yes(&id, "2.1").await;

    let incident = life.person_needed(&id).await;
    assert_eq!(
        skipped(&incident.timeline),
        ["2.1: the kill switch is on: nothing is changed until its file is removed"]
    );
    assert_eq!(life.world.executed(RESTART), 0);
}

#[tokio::test]
async fn a_budget_that_is_used_up_asks() {
    let stage =
        Stage::new(&format!("1. **Tell the owner**\n\n2. **Restart**\n\n   ```bash\n   {RESTART}\n   ```\n"));
    stage.world.state().policy.restarts_per_hour = 2;
    stage.world.reply(RESTART, Reply::exit(0).restarting());
    let life = stage.open().await;
    let id = life.fire().await;
    assert_eq!(life.asked(&id).await.unit, "1");
    // The same restart, told twice, counts once.
    for key in ["a", "b", "b"] {
        restarted(&life, key).await;
    }
    life.yes(&id, "1").await;

    life.until(&id, |incident| incident.steps.len() == 2 && incident.open_questions().next().is_some()).await;
    assert_eq!(
        life.asked(&id).await.reason,
        "the server was restarted 2 times in the last hour, and the budget is 2 (`restarts_per_hour`)"
    );
    assert_eq!(life.world.executed(RESTART), 0);
    life.yes(&id, "2.1").await;
    life.resolved(&id).await;
    assert_eq!(life.world.executed(RESTART), 1);
}

async fn restarted(life: &Life, key: &str) {
    let (server, by, key) = ("time".to_owned(), "ada".to_owned(), key.to_owned());
    let record = Record::Restarted { server, by, key, pid: Some(8), start_ms: Some(60), problem: None };
    life.engine.note_restart(record).await.unwrap();
}

#[tokio::test]
async fn what_is_not_known_to_be_harmless_asks_even_in_auto() {
    for (fence, statement, expect) in [
        (
            "bash",
            "frobnicate --all",
            expect!["its effect is unknown (`frobnicate` is not a command that is known)"],
        ),
        ("bash {effect=destroy}", "echo gone", expect!["its effect is destroy (its author says `destroy`)"]),
        (
            "bash {approve=always}",
            r#"paramedic server restart "$SERVER_NAME""#,
            expect!["its author wants a person's word"],
        ),
        ("bash {approve=always}", "echo looked", expect!["its author wants a person's word"]),
    ] {
        let stage = Stage::new(&format!("1. **Do**\n\n   ```{fence}\n   {statement}\n   ```\n"));
        stage.world.state().problem = None;
        let life = stage.open().await;
        let id = life.fire().await;
        expect.assert_eq(&life.asked(&id).await.reason);
        assert_eq!(life.world.executed(statement), 0);
        life.yes(&id, "1.1").await;
        life.resolved(&id).await;
        assert_eq!(life.world.executed(statement), 1);
    }
}

/// The alert as a rule tells it: without the end of a process it may be about what was before.
fn by_rule(life: &Life, server: &str) -> Fired {
    let fired = fired(server, START_MS);
    let alert = fired.alarm.alert.map(|alert| AlertFacts { started_ms: now_ms(life), ..alert });
    Fired { alarm: Alarm { source: Source::Rule, exit: None, alert, ..fired.alarm }, ..fired }
}

#[tokio::test]
async fn what_may_be_about_the_time_before_a_change_asks_until_it_cannot_be() {
    let stage = stage(Mode::Auto);
    stage.world.reply(RESTART, Reply::exit(0).restarting());
    let life = stage.open().await;
    let first = life.engine.fire(&by_rule(&life, "time")).await.unwrap().unwrap();
    life.resolved(&first).await;

    life.world.state().problem = Some("connection refused".to_owned());
    let second = life.engine.fire(&by_rule(&life, "time")).await.unwrap().unwrap();
    let question = life.asked(&second).await;
    assert_eq!(
        question.reason,
        "the same procedure changed this server at 2026-11-23 18:45:01 UTC, and its alert may still be about the time before that: a yes allows it, or waiting until 2026-11-23 18:50:01 UTC"
    );
    assert_eq!(life.world.executed(RESTART), 1);

    // Nobody answers, and then there is nothing to ask.
    life.world.advance(Duration::from_secs(300));
    life.resolved(&second).await;
    assert_eq!(life.world.executed(RESTART), 2);
}

#[tokio::test]
async fn another_server_and_another_exit_do_not_wait() {
    let stage = stage(Mode::Auto);
    for _ in 0..2 {
        stage.world.reply(RESTART, Reply::exit(0).restarting());
    }
    let life = stage.open().await;
    for fired in [by_rule(&life, "time"), by_rule(&life, "other"), fired("time", now_ms(&life) + 60_000)] {
        life.world.state().problem = Some("connection refused".to_owned());
        let id = life.engine.fire(&fired).await.unwrap().unwrap();
        life.resolved(&id).await;
    }
    assert_eq!(life.world.executed(RESTART), 3);
}

/// All at the same moment: what is counted must be what was begun.
#[tokio::test]
async fn the_budget_of_the_fleet_is_for_all_servers_together() {
    let stage = stage(Mode::Auto);
    stage.world.state().problem = None;
    stage.world.state().policy.changes_per_hour = 2;
    let life = stage.open().await;
    let mut ids = Vec::new();
    for server in ["a", "b", "c", "d", "e"] {
        ids.push(life.engine.fire(&fired(server, START_MS)).await.unwrap().unwrap());
    }
    let mut asked = Vec::new();
    for id in &ids {
        let incident = life.until(id, |one| one.state == State::Mitigated || waits(one)).await;
        asked.extend(incident.open_questions().map(|(.., question)| question.reason.clone()));
    }
    let expect = "2 changes were made to all servers together in the last hour, and the budget is 2 (`changes_per_hour`)";
    assert_eq!(asked, [expect; 3]);
    assert_eq!(life.world.executed(RESTART), 2);

    // An hour later there is a new budget, for two of the three.
    life.world.advance(Duration::from_secs(3601));
    for id in &ids {
        life.until(id, |one| one.state == State::Mitigated || waits_again(one)).await;
    }
    assert_eq!(life.world.executed(RESTART), 4);
}

fn now_ms(life: &Life) -> i64 {
    incident::World::now_ms(&*life.world)
}

fn waits(incident: &Incident) -> bool {
    incident.open_questions().next().is_some()
}

fn waits_again(incident: &Incident) -> bool {
    waits(incident) && count(incident, "approval_asked") == 2
}

#[tokio::test]
async fn in_a_storm_all_are_looked_at_and_none_is_changed() {
    let stage = stage(Mode::Auto);
    stage.world.state().problem = None;
    stage.world.state().policy.storm = Storm { servers: 3, window: Duration::from_secs(60) };
    let life = stage.open().await;
    let mut ids = Vec::new();
    for server in ["a", "b", "c"] {
        ids.push(life.engine.fire(&fired(server, START_MS)).await.unwrap().unwrap());
    }
    for id in &ids {
        let question = life.asked(id).await;
        assert_eq!(
            question.reason,
            "3 servers got into trouble within 60 s, which may have one cause: only a yes allows a change until fewer than 3 of their incidents are open"
        );
    }
    assert_eq!((life.world.executed("echo looked"), life.world.executed(RESTART)), (3, 0));
    let calls: Vec<String> = escalations(&life, &ids).await;
    assert_eq!(
        calls,
        [
            "the storm brake calls more people: 3 servers are in trouble at once, and none is changed without a yes"
        ]
    );

    // Waiting alone ends no storm; somebody has to end one of them.
    life.world.advance(Duration::from_secs(3600));
    for id in &ids {
        life.until(id, waits_again).await;
    }
    life.yes(&ids[0], "2.1").await;
    life.until(&ids[0], |one| one.state == State::Mitigated).await;
    let standing = ["b-down", "c-down"].map(str::to_owned).into();
    life.engine.alerts_standing(&standing, |_| true).await.unwrap();
    life.until(&ids[0], Incident::is_reported).await;
    life.world.advance(Duration::from_secs(3600));
    for id in &ids[1..] {
        life.until(id, |one| one.state == State::Mitigated).await;
    }
    assert_eq!(life.world.executed(RESTART), 3);
    assert_eq!(escalations(&life, &ids).await.len(), 1);
}

fn maintenance(life: &Life, seconds: i64) -> Window {
    let (from_ms, until_ms) = (now_ms(life), now_ms(life) + seconds * 1000);
    let (reason, by) = ("new disk".to_owned(), "bob".to_owned());
    Window { number: 0, server: Some("time".to_owned()), from_ms, until_ms, reason, by }
}

#[tokio::test]
async fn in_maintenance_changes_wait_for_its_end_however_far_away() {
    let stage = stage(Mode::Auto);
    let life = stage.open().await;
    let three_days = maintenance(&life, 3 * 24 * 3600);
    life.world.state().maintenance.start(three_days, START_MS).unwrap();
    let id = life.fire().await;
    assert_eq!(
        life.asked(&id).await.reason,
        "the server is in maintenance until 2026-11-26 18:45:01 UTC (new disk, by bob): a yes allows it, or `paramedic maintenance end 1`"
    );
    for asked in 1..=3 * 48 {
        life.until(&id, |one| count(one, "approval_asked") == asked && waits(one)).await;
        assert_eq!((life.world.executed("echo looked"), life.world.executed(RESTART)), (1, 0));
        life.world.advance(Duration::from_secs(1800));
    }
    life.resolved(&id).await;
    assert_eq!(life.world.executed(RESTART), 1);
}

#[tokio::test]
async fn a_person_may_say_yes_in_maintenance_and_may_end_it_early() {
    let stage = stage(Mode::Auto);
    stage.world.reply(RESTART, Reply::exit(0).restarting());
    let life = stage.open().await;
    let window = maintenance(&life, 24 * 3600);
    life.world.state().maintenance.start(window.clone(), START_MS).unwrap();
    let id = life.fire().await;
    life.yes(&id, "2.1").await;
    life.resolved(&id).await;
    assert_eq!(life.world.executed(RESTART), 1);

    life.world.state().problem = Some("connection refused".to_owned());
    let id = life.engine.fire(&fired("time", now_ms(&life) + 1)).await.unwrap().unwrap();
    life.asked(&id).await;
    life.world.state().maintenance.end(1, START_MS).unwrap();
    life.world.advance(Duration::from_secs(15));
    let incident = life.resolved(&id).await;
    assert_eq!(life.world.executed(RESTART), 2);
    assert!(crate::story::story(&incident).contains("2.1 expired: the maintenance is over"));
}

async fn escalations(life: &Life, ids: &[IncidentId]) -> Vec<String> {
    let mut calls = Vec::new();
    for id in ids {
        let incident = life.incident(id).await;
        let told = incident.timeline.iter().filter(|(_, record)| record.kind() == "escalated");
        calls.extend(told.filter_map(|(_, record)| incident::describe(record)));
    }
    calls
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_says_what_it_would_have_done() {
    let stage = stage(Mode::Auto);
    stage.world.state().policy.runs_max = 1;
    stage.world.state().policy.dry_run = true;
    let life = stage.open().await;
    let id = life.fire().await;
    let incident = life.person_needed(&id).await;
    assert_eq!(
        skipped(&incident.timeline),
        ["2.1: this is a dry run: it would have been run; set `dry_run = false` to allow it"]
    );
    assert_eq!((life.world.executed("echo looked"), life.world.executed(RESTART)), (1, 0));
}

#[tokio::test]
async fn the_mode_of_a_procedure_and_the_severity_of_its_alert_count() {
    let stage = stage(Mode::Auto);
    stage.world.state().policy.modes.insert("Down".to_owned(), Mode::Suggest);
    let life = stage.open().await;
    let id = life.fire().await;
    assert!(life.asked(&id).await.reason.starts_with("the mode is `suggest`"));

    let stage = self::stage(Mode::Auto);
    let only_changes = [runbook::Effect::Change].into();
    stage.world.state().policy.allow_by_severity.insert(runbook::Severity::Critical, only_changes);
    let life = stage.open().await;
    let id = life.fire().await;
    let reason = life.asked(&id).await.reason;
    assert!(reason.ends_with(", which `allow_critical` does not name"), "{reason}");
}

/// A person said no while the budget was used up, and the engine dies before it has said so to anybody.
#[test]
fn a_no_stands_when_the_policy_would_allow_it_by_then() {
    let stage = stage(Mode::Auto);
    stage.world.state().policy.changes_per_hour = 0;
    let id = stage.live(async |life| {
        let id = life.fire().await;
        life.asked(&id).await;
        stage.refuse("NEW.kind = 'step_ended'").await;
        life.no(&id, "2.1").await;
        life.world.stuck(1).await;
        id
    });
    stage.world.state().policy.changes_per_hour = 9;
    stage.live(async |life| {
        stage.take_again().await;
        life.engine.resume().await;
        let incident = life.person_needed(&id).await;
        assert_eq!(incident.person_needed.as_deref(), Some("2.1: not now"));
        assert_eq!(life.world.executed(RESTART), 0);
    });
}

fn count(incident: &Incident, kind: &str) -> usize {
    incident.timeline.iter().filter(|(_, record)| record.kind() == kind).count()
}

fn skipped(timeline: &[(i64, Record)]) -> Vec<String> {
    let skipped = timeline.iter().filter_map(|(_, record)| match record {
        Record::UnitSkipped { unit, reason, .. } => Some(format!("{}: {reason}", unit.unit)),
        _ => None,
    });
    skipped.collect()
}
