//! Tests questions to people: they expire, they become void, and a yes is a yes to what stood there.

use std::collections::BTreeMap;
use std::time::Duration;

use expect_test::expect;
use incident::{ApprovalEnd, EngineError, Incident, Mode, Record};

use crate::stage::{Stage, check_story};

const RESTART: &str = r#"paramedic server restart "$SERVER_NAME""#;
const HALF_AN_HOUR: Duration = Duration::from_secs(1800);

fn stage() -> Stage {
    let stage = Stage::new(
        r#"
1. **Restart**

   ```bash
   paramedic server restart "$SERVER_NAME"
   ```
"#,
    );
    let mut state = stage.world.state();
    state.policy.mode = Mode::Suggest;
    state.problem = None;
    drop(state);
    stage
}

#[tokio::test]
async fn a_question_expires_and_is_asked_anew() {
    let stage = stage();
    let life = stage.open().await;
    let id = life.fire().await;
    life.asked(&id).await;

    life.world.advance(HALF_AN_HOUR);
    let late = life.approve(&id, "1.1", "ada", BTreeMap::new()).await;
    assert!(matches!(late, Err(EngineError::Expired)), "{late:?}");

    let incident = life.until(&id, |incident| count(incident, "approval_asked") == 2).await;
    // Whoever has read the first one has not read this one.
    let first = incident.timeline.iter().find_map(|(_, record)| match record {
        Record::ApprovalAsked { binding, .. } => Some(binding.clone()),
        _ => None,
    });
    for (read, words) in [
        (first.unwrap().as_str(), "its text is the same, and it was asked anew since"),
        ("0123456789ab", "no question there was ever called `0123456789ab`"),
        ("", "no question there was ever called ``"),
    ] {
        let late = life.engine.approve(&id, "1.1", "ada", read, BTreeMap::new()).await.unwrap_err();
        assert!(matches!(late, EngineError::AskedAnew { .. }), "{late:?}");
        assert!(late.to_string().contains(words), "{late}");
    }
    life.yes(&id, "1.1").await;
    let incident = life.resolved(&id).await;
    check_story(
        &incident,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Restart
           1.1 asks (disrupt): the mode is `suggest`, and its effect is disrupt (`paramedic server restart` stops the server and starts it again)
           1.1 expired: nobody answered in time
           1.1 asks (disrupt): the mode is `suggest`, and its effect is disrupt (`paramedic server restart` stops the server and starts it again)
           1.1 approved by ada
           1.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
           1.1 outcome 1: code 0
        step 1 succeeded: 1 of 1 run
        verified: 3 probes, 200 ms
        mitigated
        alert resolved
        resolved
        reported
    "#]],
    );
    assert_eq!(life.world.executed(RESTART), 1);
}

#[tokio::test]
async fn a_question_that_nobody_ever_answers_is_a_no() {
    let stage = stage();
    let life = stage.open().await;
    let id = life.fire().await;
    for asked in 1..=48 {
        life.until(&id, |incident| count(incident, "approval_asked") == asked).await;
        life.world.advance(HALF_AN_HOUR);
    }
    let incident = life.person_needed(&id).await;
    assert_eq!(incident.person_needed.as_deref(), Some("1.1: nobody answered, 48 times"));
    assert_eq!(life.world.executed(RESTART), 0);
}

#[tokio::test]
async fn a_question_is_void_when_the_alert_is_over() {
    let stage = stage();
    let life = stage.open().await;
    let id = life.fire().await;
    life.asked(&id).await;
    life.alert_over().await;

    let incident = life.until(&id, Incident::is_reported).await;
    check_story(
        &incident,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Restart
           1.1 asks (disrupt): the mode is `suggest`, and its effect is disrupt (`paramedic server restart` stops the server and starts it again)
        alert resolved
           1.1 void: the alert is resolved: a change would come too late
           1.1 skipped: the alert is resolved: a change would come too late
        step 1 skipped: the alert is resolved: a change would come too late
        verified: 3 probes, 200 ms
        mitigated
        resolved
        reported
    "#]],
    );
    assert_eq!(life.world.executed(RESTART), 0);
}

#[tokio::test]
async fn a_word_where_nothing_is_asked_is_refused() {
    let stage = stage();
    let life = stage.open().await;
    let id = life.fire().await;
    life.asked(&id).await;

    let yes = life.approve(&id, "9.9", "ada", BTreeMap::new()).await.unwrap_err();
    assert_eq!(
        yes.to_string(),
        format!("nothing waits for a word at `9.9` of incident `{id}`; what waits: 1.1")
    );
    life.yes(&id, "1.1").await;
    let again = life.approve(&id, "1.1", "bob", BTreeMap::new()).await.unwrap_err();
    assert!(matches!(again, EngineError::NothingAsked { .. }), "{again:?}");
    life.resolved(&id).await;
    assert_eq!(life.world.executed(RESTART), 1);
}

/// What was approved with one value is not run with another.
#[test]
fn a_yes_is_void_when_a_value_has_changed() {
    let stage = stage();
    let id = stage.live(async |life| {
        let id = life.fire().await;
        life.asked(&id).await;
        // The engine dies between the yes and the intent.
        stage.refuse("NEW.kind = 'intent'").await;
        life.yes(&id, "1.1").await;
        life.world.stuck(1).await;
        id
    });
    stage.world.state().parameters.insert("SERVER_NAME".to_owned(), "other".to_owned());

    stage.live(async |life| {
        stage.take_again().await;
        life.engine.resume().await;
        life.until(&id, |incident| count(incident, "approval_asked") == 2).await;
        assert_eq!(life.world.executed(RESTART), 0);
        life.yes(&id, "1.1").await;
        check_story(&life.resolved(&id).await, expect![[r#"
            opened: time, server-down, time was killed by SIGKILL
            captured: host snapshot
            run 1
            step 1 Restart
               1.1 asks (disrupt): the mode is `suggest`, and its effect is disrupt (`paramedic server restart` stops the server and starts it again)
               1.1 approved by ada
               1.1 void: what the approval was about has changed meanwhile
               1.1 asks (disrupt): the mode is `suggest`, and its effect is disrupt (`paramedic server restart` stops the server and starts it again)
               1.1 approved by ada
               1.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
               1.1 outcome 1: code 0
            step 1 succeeded: 1 of 1 run
            verified: 3 probes, 200 ms
            mitigated
            alert resolved
            resolved
            reported
        "#]]);
        assert_eq!(life.world.state().runs[0].environment["SERVER_NAME"], "other");
    });
}

/// Said in time, and the engine was dead until it was too late.
#[test]
fn a_yes_that_is_not_carried_out_in_time_expires() {
    let stage = stage();
    let id = stage.live(async |life| {
        let id = life.fire().await;
        life.asked(&id).await;
        stage.refuse("NEW.kind = 'intent'").await;
        life.yes(&id, "1.1").await;
        life.world.stuck(1).await;
        id
    });
    stage.world.advance(HALF_AN_HOUR);

    stage.live(async |life| {
        stage.take_again().await;
        life.engine.resume().await;
        life.until(&id, |incident| count(incident, "approval_asked") == 2).await;
        assert_eq!(life.world.executed(RESTART), 0);
        life.yes(&id, "1.1").await;
        life.resolved(&id).await;
        assert_eq!(life.world.executed(RESTART), 1);
    });
}

fn count(incident: &Incident, kind: &str) -> usize {
    incident.timeline.iter().filter(|(_, record)| record.kind() == kind).count()
}

/// The yes was given before the edit, or in ignorance of it: what is run is what the incident was opened with, and only
/// after another yes that saw the difference.
#[tokio::test]
async fn a_yes_from_before_the_runbook_was_edited_is_void_and_the_difference_is_shown() {
    let stage = stage();
    let life = stage.open().await;
    let id = life.fire().await;
    life.asked(&id).await;
    let text = String::from_utf8(stage.book.bytes.to_vec()).unwrap();
    let edited = text.replace(RESTART, "paramedic server stop \"$SERVER_NAME\"");
    stage.world.state().runbook = Some(edited);
    life.yes(&id, "1.1").await;
    life.until(&id, |incident| count(incident, "approval_asked") == 2).await;
    life.yes(&id, "1.1").await;
    let incident = life.resolved(&id).await;
    let void = incident.timeline.iter().find_map(|(_, record)| match record {
        Record::ApprovalEnded { end: ApprovalEnd::Void, reason, .. } => Some(reason.clone()),
        _ => None,
    });
    let again = incident.timeline.iter().rev().find_map(|(_, record)| match record {
        Record::ApprovalAsked { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    for told in [void.unwrap(), again.unwrap()] {
        for part in [
            "the runbook was edited since",
            "-   paramedic server restart \"$SERVER_NAME\"\n",
            "+   paramedic server stop \"$SERVER_NAME\"\n",
        ] {
            assert!(told.contains(part), "{part}\n{told}");
        }
    }
    assert_eq!(life.world.executed(RESTART), 1);
    assert_eq!(life.world.executed("paramedic server stop \"$SERVER_NAME\""), 0);
    life.check_invariants().await;
}

/// Edited once more between the two questions, it is asked a third time; put back, the first text is what counts.
#[tokio::test]
async fn every_edit_counts() {
    let stage = stage();
    let life = stage.open().await;
    let id = life.fire().await;
    for (n, edit) in [Some("one"), Some("two"), None].into_iter().enumerate() {
        life.until(&id, |incident| count(incident, "approval_asked") == n + 1).await;
        stage.world.state().runbook = edit.map(str::to_owned);
        life.yes(&id, "1.1").await;
    }
    life.until(&id, |incident| count(incident, "approval_asked") == 4).await;
    life.yes(&id, "1.1").await;
    life.resolved(&id).await;
    assert_eq!(life.world.executed(RESTART), 1);
}
