//! Tests taking back: what a unit did, as its author says, and what a command of ours changed; once, and by a person.

use expect_test::{Expect, expect};
use incident::{Incident, IncidentId, Kill, UnitEnd, Word};

use crate::stage::{Life, Stage, check_story};
use crate::world::{Cut, Reply};

const SET: &str = r#"echo 1 > "/run/$SERVER_NAME""#;
const UNDO: &str = "echo 0 > /run/time";
const TUNE: &str = r#"paramedic server tune "$SERVER_NAME" --heap 64MiB"#;
const UNTUNE: &str = r#"paramedic server tune "$TARGET" --undo"#;

/// As our commands write it.
const CHANGE: &str = concat!(
    r#"{"what":"server_tuning","target":"time","places":[{"path":"/d/time.json","old":null,"new":"{}\n"}],"diff":"+{}\n"}"#,
    "\n"
);

fn stage() -> Stage {
    let stage = Stage::new(&format!(
        "1. **Set**\n\n   ```bash {{undo=\"{UNDO}\"}}\n   uptime\n   {SET}\n   ```\n\n\
         2. **Tune**\n\n   ```bash\n   {TUNE}\n   ```\n"
    ));
    stage.world.state().problem = None;
    stage.world.reply(TUNE, Reply::exit(0).changing(CHANGE));
    stage
}

/// Follows the procedure to its end, with a yes to what asks.
async fn followed(life: &Life) -> IncidentId {
    let id = life.fire().await;
    life.yes(&id, "1.2").await;
    life.resolved(&id).await;
    id
}

async fn refused(life: &Life, id: &IncidentId, what: &str, expect: Expect) {
    expect.assert_eq(&life.engine.undo(id, what, "bo").await.unwrap_err().to_string());
}

/// What can be taken back.
fn names(incident: &Incident) -> Vec<String> {
    incident.takebacks().iter().map(incident::Takeback::name).collect()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story with its expected text")]
async fn a_unit_and_a_change_each_once() {
    let stage = stage();
    let life = stage.open().await;
    let id = followed(&life).await;
    assert_eq!(names(&life.incident(&id).await), ["c1", "1.2"]);
    refused(&life, &id, "1.1", expect!["`1.1` cannot be taken back: its author does not say how (`undo`), and it made no change of which the value before is kept"]).await;
    refused(
        &life,
        &id,
        "9.9",
        expect![
            "`9.9` cannot be taken back: there is no such change or unit that was run; there are: c1, 1.2"
        ],
    )
    .await;
    refused(
        &life,
        &id,
        "c7",
        expect![
            "`c7` cannot be taken back: there is no such change or unit that was run; there are: c1, 1.2"
        ],
    )
    .await;

    let undone = life.engine.undo(&id, "1.2", "bo").await.unwrap();
    assert_eq!(undone.end, UnitEnd::Exited { code: 0 });
    refused(
        &life,
        &id,
        "1.2",
        expect!["`1.2` cannot be taken back: bo took it back already, at 2026-11-23 18:45:01.450 UTC"],
    )
    .await;
    // What a unit changed is taken back under the name of either.
    life.engine.undo(&id, "2.1", "bo").await.unwrap();
    refused(
        &life,
        &id,
        "c1",
        expect!["`c1` cannot be taken back: bo took it back already, at 2026-11-23 18:45:01.450 UTC"],
    )
    .await;
    assert!(names(&life.incident(&id).await).is_empty());

    let runs = life.world.state().runs.clone();
    let run = runs.iter().find(|run| run.statement == UNDO).unwrap();
    assert_eq!(run.environment["SERVER_NAME"], "time");
    // It starts from what the unit has left.
    let before = std::fs::read_to_string(run.state_before.clone().unwrap()).unwrap();
    assert_eq!(before, format!("after {SET}"));
    let run = runs.iter().find(|run| run.statement == UNTUNE).unwrap();
    assert_eq!(run.environment["TARGET"], "time");
    let change = incident::change::Change::parse(&run.environment["PARAMEDIC_CHANGE"]).unwrap();
    assert_eq!((change.undoes, change.places[0].new.as_deref()), (Some(1), Some("{}\n")));
    check_story(
        &life.incident(&id).await,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Set
           1.1 intent 1 (observe): uptime
           1.1 outcome 1: code 0
           1.2 asks (destroy): its effect is destroy (overwrites `/run/…`)
           1.2 approved by ada
           1.2 undo: echo 0 > /run/time
           1.2 intent 1 (destroy): echo 1 > "/run/$SERVER_NAME"
           1.2 outcome 1: code 0
        step 1 succeeded: 2 of 2 run
        step 2 Tune
           2.1 intent 1 (change): paramedic server tune "$SERVER_NAME" --heap 64MiB
           2.1 changed c1: tuning of server time by the runbook (unit 2.1)
           2.1 outcome 1: code 0
        step 2 succeeded: 1 of 1 run
        verified: 3 probes, 200 ms
        mitigated
        alert resolved
        resolved
        reported
           undo-1.2 approved by bo
           undo-1.2 intent 1 (destroy): echo 0 > /run/time
           undo-1.2 outcome 1: code 0
           undo-c1 approved by bo
           undo-c1 intent 1 (change): paramedic server tune "$TARGET" --undo
           undo-c1 outcome 1: code 0
    "#]],
    );
    life.check_invariants().await;
}

#[tokio::test]
async fn one_that_did_not_work_may_be_tried_again() {
    let stage = stage();
    let life = stage.open().await;
    let id = followed(&life).await;
    life.world.reply(UNTUNE, Reply::exit(4).printing("was changed since\n"));
    let undone = life.engine.undo(&id, "c1", "bo").await.unwrap();
    assert_eq!((undone.end, undone.printed.as_str()), (UnitEnd::Exited { code: 4 }, "was changed since\n"));
    assert_eq!(names(&life.incident(&id).await), ["c1", "1.2"]);
    assert_eq!(life.engine.undo(&id, "c1", "bo").await.unwrap().end, UnitEnd::Exited { code: 0 });
    assert_eq!(life.world.executed(UNTUNE), 2);
}

#[tokio::test]
async fn what_policy_forbids_and_what_a_person_may_do_all_the_same() {
    let stage = stage();
    let life = stage.open().await;
    let id = life.fire().await;
    life.yes(&id, "1.2").await;
    life.until(&id, |incident| incident.changes().next().is_some()).await;
    life.world.state().kill = Kill::On;
    refused(
        &life,
        &id,
        "1.2",
        expect![
            "`1.2` may not be taken back: the kill switch is on: nothing is changed until its file is removed"
        ],
    )
    .await;
    life.world.state().kill = Kill::Off;
    life.world.state().policy.dry_run = true;
    refused(&life, &id, "c1", expect!["`c1` may not be taken back: this is a dry run: it would have been run; set `dry_run = false` to allow it"]).await;
    life.world.state().policy.dry_run = false;
    life.resolved(&id).await;
    assert_eq!(life.world.executed(UNDO), 0);
    life.engine.undo(&id, "1.2", "bo").await.unwrap();
}

#[tokio::test]
async fn whoever_leads_may_take_back() {
    let stage = Stage::new(&format!(
        "1. **Set**\n\n   ```bash {{undo=\"{UNDO}\"}}\n   {SET}\n   ```\n\n2. **Call**\n\n   Call somebody.\n"
    ));
    let life = stage.open().await;
    let id = life.fire().await;
    life.yes(&id, "1.1").await;
    assert_eq!(life.asked(&id).await.unit, "2");
    life.engine.say(&id, "ada", Word::Hold { reason: "mine".to_owned() }).await.unwrap();
    life.engine.undo(&id, "1.1", "ada").await.unwrap();
    assert_eq!(life.world.executed(UNDO), 1);
}

#[test]
fn cut_off_it_is_settled_and_not_repeated() {
    for (cut, end, executed) in [
        (Cut::BeforeStart, UnitEnd::NotStarted { reason: "its runner did not start".to_owned() }, 0),
        (Cut::Midway, UnitEnd::Interrupted {}, 1),
        (Cut::EngineOnly, UnitEnd::Exited { code: 0 }, 1),
    ] {
        let stage = stage();
        let id = stage.live(async |life| {
            let id = followed(life).await;
            life.world.reply(UNTUNE, Reply::exit(0).cut(cut));
            life.world.forget_stuck();
            tokio::select! {
                undone = life.engine.undo(&id, "c1", "bo") => panic!("{undone:?}"),
                () = life.world.stuck(1) => {}
            }
            id
        });
        stage.live(async |life| {
            refused(
                life,
                &id,
                "c1",
                expect!["`c1` cannot be taken back: it is being taken back at this moment"],
            )
            .await;
            life.engine.resume().await;
            let undo = |incident: &Incident| {
                let mut units = incident.units.iter();
                units.find(|(unit, _)| unit.unit == "undo-c1").and_then(|(_, view)| view.outcome.clone())
            };
            let incident = life.until(&id, |incident| undo(incident).is_some()).await;
            assert_eq!(undo(&incident).unwrap().end, end, "{cut:?}");
            assert_eq!(life.world.executed(UNTUNE), executed, "{cut:?}");
        });
    }
}

#[tokio::test]
async fn only_our_own_commands_say_what_they_changed() {
    let stage = Stage::new("1. **Set**\n\n   ```bash\n   sync\n   ```\n");
    stage.world.state().problem = None;
    stage.world.reply("sync", Reply::exit(0).changing(CHANGE));
    let life = stage.open().await;
    let id = life.fire().await;
    life.resolved(&id).await;
    assert_eq!(life.incident(&id).await.changes().count(), 0);
}

#[tokio::test]
async fn a_person_s_change_stands_in_the_open_incident_of_the_server() {
    let stage = Stage::new("1. **Call**\n\n   Call somebody.\n");
    let life = stage.open().await;
    let change = incident::change::Change::parse(CHANGE.trim()).unwrap();
    life.engine.note_change(Some("time"), "ada", change.clone()).await.unwrap();
    let id = life.fire().await;
    life.asked(&id).await;
    life.engine.note_change(Some("time"), "ada", change.clone()).await.unwrap();
    life.engine.note_change(Some("other"), "ada", change).await.unwrap();
    let incident = life.incident(&id).await;
    let made: Vec<_> = incident.changes().map(|made| (made.number, made.by.to_owned())).collect();
    assert_eq!(made, [(1, "ada".to_owned())]);
    life.engine.undo(&id, "c1", "ada").await.unwrap();
    assert_eq!(life.world.executed(UNTUNE), 1);
}
