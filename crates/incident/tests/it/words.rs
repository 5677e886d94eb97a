//! Tests what people say to an incident: they take over, hand back, end the machine's part, note, and close.

use std::collections::BTreeMap;

use expect_test::expect;
use incident::{Control, EngineError, Incident, Mode, State, Word};

use crate::stage::{Life, Stage, check_story};

const RESTART: &str = r#"paramedic server restart "$SERVER_NAME""#;

/// A procedure that looks, restarts, and looks again.
fn stage(mode: Mode) -> Stage {
    let stage = Stage::new(
        "1. **Look**\n\n   ```bash\n   uptime\n   ```\n\n2. **Restart**\n\n   ```bash\n   paramedic server restart \"$SERVER_NAME\"\n   ```\n\n3. **Look again**\n\n   ```bash\n   free\n   ```\n",
    );
    let mut state = stage.world.state();
    state.policy.mode = mode;
    state.problem = None;
    drop(state);
    stage
}

fn reason(text: &str) -> String {
    text.to_owned()
}

async fn say(life: &Life, id: &incident::IncidentId, word: Word) -> Result<(), EngineError> {
    life.engine.say(id, "ada", word).await
}

#[tokio::test]
async fn what_waits_is_void_when_a_person_takes_over_and_asked_anew_when_they_hand_back() {
    let stage = stage(Mode::Suggest);
    let life = stage.open().await;
    let id = life.fire().await;
    life.asked(&id).await;

    say(&life, &id, Word::Hold { reason: reason("I am on it") }).await.unwrap();
    let late = life.approve(&id, "2.1", "bob", BTreeMap::new()).await;
    assert!(matches!(late, Err(EngineError::NothingAsked { .. })), "{late:?}");
    let again = say(&life, &id, Word::Hold { reason: reason("me too") }).await;
    assert_eq!(again.unwrap_err().to_string(), "`hold` is not possible: it is held by a person already");
    assert_eq!(life.incident(&id).await.control, Control::Held);
    assert_eq!(life.world.executed(RESTART), 0);

    say(&life, &id, Word::Resume).await.unwrap();
    life.yes(&id, "2.1").await;
    let incident = life.resolved(&id).await;
    assert_eq!(life.world.executed(RESTART), 1);
    assert_eq!(count(&incident, "approval_asked"), 2);
    check_story(
        &incident,
        expect![[r#"
            opened: time, server-down, time was killed by SIGKILL
            captured: host snapshot
            run 1
            step 1 Look
               1.1 intent 1 (observe): uptime
               1.1 outcome 1: code 0
            step 1 succeeded: 1 of 1 run
            step 2 Restart
               2.1 asks (disrupt): the mode is `suggest`, and its effect is disrupt (`paramedic server restart` stops the server and starts it again)
            held
            handed_back
               2.1 asks (disrupt): the mode is `suggest`, and its effect is disrupt (`paramedic server restart` stops the server and starts it again)
               2.1 approved by ada
               2.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
               2.1 outcome 1: code 0
            step 2 succeeded: 1 of 1 run
            step 3 Look again
               3.1 intent 1 (observe): free
               3.1 outcome 1: code 0
            step 3 succeeded: 1 of 1 run
            verified: 3 probes, 200 ms
            mitigated
            alert resolved
            resolved
            reported
        "#]],
    );
    life.check_invariants().await;
}

#[tokio::test]
async fn while_a_person_leads_the_machine_looks_and_changes_nothing_even_in_its_next_life() {
    let stage = stage(Mode::Auto);
    let id = {
        let life = stage.open().await;
        life.world.state().policy.mode = Mode::Suggest;
        let id = life.fire().await;
        life.asked(&id).await;
        say(&life, &id, Word::Hold { reason: reason("wait") }).await.unwrap();
        id
    };
    stage.world.state().policy.mode = Mode::Auto;
    let life = stage.open().await;
    life.engine.resume().await;
    // The alert comes again: it is a line in the timeline, and no reason to act.
    life.engine.fire(&crate::stage::fired("time", crate::world::START_MS + 5)).await.unwrap();
    life.until(&id, |incident| count(incident, "seen_again") == 1).await;
    assert_eq!(life.world.executed(RESTART), 0);
    say(&life, &id, Word::Resume).await.unwrap();
    life.resolved(&id).await;
    assert_eq!(life.world.executed(RESTART), 1);
}

#[tokio::test]
async fn after_an_abort_the_machine_only_sees_whether_the_trouble_is_over() {
    let stage = stage(Mode::Suggest);
    let life = stage.open().await;
    let id = life.fire().await;
    life.asked(&id).await;
    say(&life, &id, Word::Abort { reason: reason("by hand from here") }).await.unwrap();
    let incident = life.person_needed(&id).await;
    assert_eq!(
        incident.person_needed.as_deref(),
        Some("2.1: ada ended the machine's part: by hand from here")
    );
    let incident = {
        life.alert_over().await;
        life.until(&id, Incident::is_reported).await
    };
    assert_eq!((incident.state, life.world.executed(RESTART)), (State::Resolved, 0));
    // Step 3 was not come to.
    assert_eq!(life.world.executed("free"), 0);
}

#[tokio::test]
async fn a_closed_incident_is_left_alone_and_follow_ups_keep_it_open() {
    let stage = stage(Mode::Suggest);
    let life = stage.open().await;
    let id = life.fire().await;
    life.asked(&id).await;
    say(&life, &id, Word::FollowUp { text: reason("replace the disk") }).await.unwrap();
    say(&life, &id, Word::FollowUp { text: reason("tell the owner") }).await.unwrap();
    let early = say(&life, &id, Word::Close { reason: reason("enough") }).await.unwrap_err();
    assert_eq!(early.to_string(), "`close` is not possible: follow-ups are open: 1, 2");
    let wrong = say(&life, &id, Word::FollowUpDone { number: 7, note: reason("x") }).await.unwrap_err();
    assert_eq!(wrong.to_string(), "finishing follow-up 7 is not possible: none of this number is open");
    for number in [1, 2] {
        say(&life, &id, Word::FollowUpDone { number, note: reason("done") }).await.unwrap();
    }
    let empty = say(&life, &id, Word::Note { text: reason("  ") }).await.unwrap_err();
    assert_eq!(empty.to_string(), "this is not possible: its text is empty");
    say(&life, &id, Word::Note { text: reason("it was the cable") }).await.unwrap();
    say(&life, &id, Word::Close { reason: reason("enough") }).await.unwrap();
    let incident = life.until(&id, Incident::is_reported).await;
    assert_eq!((incident.state, life.world.executed(RESTART)), (State::Closed, 0));
    assert!(incident.follow_ups.iter().all(|one| one.done.is_some()));
    let report = stage.report(&id).unwrap();
    assert!(report.contains("ada notes: it was the cable"), "{report}");
    let over = say(&life, &id, Word::Hold { reason: reason("late") }).await.unwrap_err();
    assert_eq!(over.to_string(), "`hold` is not possible: it is already closed");
}

#[tokio::test]
async fn a_word_that_it_is_over_is_checked() {
    let stage = stage(Mode::Suggest);
    let life = stage.open().await;
    let id = life.fire().await;
    life.asked(&id).await;
    life.world.state().problem = Some("connection refused".to_owned());
    let wrong = life.engine.resolve(&id, "ada").await.unwrap_err();
    assert!(wrong.to_string().starts_with("the server is not well: connection refused"), "{wrong}");
    life.world.state().problem = None;
    life.engine.resolve(&id, "ada").await.unwrap();
    assert_eq!(life.incident(&id).await.state, State::Mitigated);
    life.alert_over().await;
    let incident = life.until(&id, Incident::is_reported).await;
    assert_eq!((incident.state, life.world.executed(RESTART)), (State::Resolved, 0));
}

#[tokio::test]
async fn what_a_person_does_to_the_server_voids_what_waits() {
    for stops in [true, false] {
        let stage = stage(Mode::Suggest);
        let life = stage.open().await;
        let id = life.fire().await;
        life.asked(&id).await;
        if stops {
            life.engine.note_stop("time", "bob", "mine").await.unwrap();
        } else {
            let (server, by, key) = ("time".to_owned(), "bob".to_owned(), "mine".to_owned());
            let restarted =
                incident::Record::Restarted { server, by, key, pid: None, start_ms: None, problem: None };
            life.engine.note_restart(restarted).await.unwrap();
        }
        let incident = life.until(&id, |incident| count(incident, "approval_asked") == 2).await;
        assert_eq!(count(&incident, "approved"), 0);
        life.no(&id, "2.1").await;
    }
}

#[tokio::test]
async fn a_person_opens_an_incident_and_the_machine_carries_it_out() {
    let stage = stage(Mode::Auto);
    let life = stage.open().await;
    let wrong = life.engine.open_for("time", "nothing", "ada", "odd").await.unwrap_err();
    assert_eq!(wrong.to_string(), "no procedure is called `nothing`; there are: server-down");
    let id = life.engine.open_for("time", "Down", "ada", "it feels odd").await.unwrap();
    assert_eq!(life.engine.open_for("time", "server-down", "bob", "me too").await.unwrap(), id);
    let incident = life.until(&id, Incident::is_reported).await;
    assert_eq!((incident.state, life.world.executed(RESTART)), (State::Resolved, 1));
    assert_eq!(incident.alarm.summary, "ada opened it: it feels odd");
}

fn count(incident: &Incident, kind: &str) -> usize {
    incident.timeline.iter().filter(|(_, record)| record.kind() == kind).count()
}
