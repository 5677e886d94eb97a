//! Tests what policy lets the engine do by itself: modes, effects, budget, kill switch.

use expect_test::expect;
use incident::{Incident, Kill, Mode, Record};

use crate::stage::{Life, Stage, check_story};
use crate::world::Reply;

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
        "the server was restarted 2 times in the last hour, and the budget is 2"
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

fn skipped(timeline: &[(i64, Record)]) -> Vec<String> {
    let skipped = timeline.iter().filter_map(|(_, record)| match record {
        Record::UnitSkipped { unit, reason, .. } => Some(format!("{}: {reason}", unit.unit)),
        _ => None,
    });
    skipped.collect()
}
