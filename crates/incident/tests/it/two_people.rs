//! Tests what two people have to approve: two different ones, to the same thing, as long as the question stands.

use std::collections::BTreeMap;
use std::time::Duration;

use expect_test::expect;
use incident::{EngineError, Incident, IncidentId, Record, StepState};

use crate::stage::{Life, Stage, check_story};

const GONE: &str = "echo gone";

fn stage() -> Stage {
    let stage = Stage::new("1. **Do**\n\n   ```bash {effect=destroy}\n   echo gone\n   ```\n");
    let mut state = stage.world.state();
    state.policy.second_person = true;
    state.problem = None;
    drop(state);
    stage
}

async fn yes(life: &Life, id: &IncidentId, by: &str) -> Result<(), EngineError> {
    life.approve(id, "1.1", by, BTreeMap::new()).await
}

#[tokio::test]
async fn two_different_people_have_to_say_yes() {
    let stage = stage();
    let life = stage.open().await;
    let id = life.fire().await;
    life.asked(&id).await;
    yes(&life, &id, "ada").await.unwrap();
    for same in ["ada", " Ada "] {
        let again = yes(&life, &id, same).await.unwrap_err();
        let expect =
            format!("a second yes by {same} is not possible: two different people have to approve it");
        assert_eq!(again.to_string(), expect);
    }
    assert_eq!(
        life.asked(&id).await.reason,
        "its effect is destroy (its author says `destroy`); two people have to approve it; one yes by ada, waits for a second person"
    );
    let incident = life.incident(&id).await;
    assert_eq!(incident.steps[0].state, StepState::AwaitingApproval);
    assert_eq!(life.world.executed(GONE), 0);

    yes(&life, &id, "bob").await.unwrap();
    check_story(
        &life.resolved(&id).await,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Do
           1.1 asks (destroy): its effect is destroy (its author says `destroy`); two people have to approve it
           1.1 approved by ada
           1.1 approved by bob
           1.1 intent 1 (destroy): echo gone
           1.1 outcome 1: code 0
        step 1 succeeded: 1 of 1 run
        verified: 3 probes, 200 ms
        mitigated
        alert resolved
        resolved
        reported
    "#]],
    );
    assert_eq!(life.world.executed(GONE), 1);
}

#[tokio::test]
async fn one_no_is_enough() {
    let stage = stage();
    let life = stage.open().await;
    let id = life.fire().await;
    life.asked(&id).await;
    yes(&life, &id, "ada").await.unwrap();
    life.engine.reject(&id, "1.1", "bob", "not on a Friday").await.unwrap();
    life.person_needed(&id).await;
    assert_eq!(life.world.executed(GONE), 0);
}

#[tokio::test]
async fn the_first_yes_ends_with_the_question() {
    let stage = stage();
    let life = stage.open().await;
    let id = life.fire().await;
    life.asked(&id).await;
    yes(&life, &id, "ada").await.unwrap();
    life.world.advance(Duration::from_secs(1800));
    life.until(&id, |incident| count(incident, "approval_asked") == 2).await;
    yes(&life, &id, "bob").await.unwrap();
    assert!(life.asked(&id).await.reason.ends_with("one yes by bob, waits for a second person"));
    yes(&life, &id, "ada").await.unwrap();
    life.resolved(&id).await;
    assert_eq!(life.world.executed(GONE), 1);
}

#[test]
fn the_first_yes_outlives_the_engine() {
    let stage = stage();
    let id = stage.live(async |life| {
        let id = life.fire().await;
        life.asked(&id).await;
        yes(life, &id, "ada").await.unwrap();
        id
    });
    stage.live(async |life| {
        life.engine.resume().await;
        yes(life, &id, "ada").await.unwrap_err();
        yes(life, &id, "bob").await.unwrap();
        life.resolved(&id).await;
    });
    assert_eq!(stage.world.executed(GONE), 1);
}

/// One has said yes when one was enough; now it takes two.
#[test]
fn a_yes_to_a_question_for_one_is_none_to_a_question_for_two() {
    let stage = stage();
    stage.world.state().policy.second_person = false;
    let id = stage.live(async |life| {
        let id = life.fire().await;
        life.asked(&id).await;
        stage.refuse("NEW.kind = 'intent'").await;
        yes(life, &id, "ada").await.unwrap();
        life.world.stuck(1).await;
        id
    });
    stage.world.state().policy.second_person = true;
    stage.live(async |life| {
        stage.take_again().await;
        life.engine.resume().await;
        life.until(&id, |incident| count(incident, "approval_asked") == 2).await;
        yes(life, &id, "ada").await.unwrap();
        assert_eq!(life.world.executed(GONE), 0);
        yes(life, &id, "bob").await.unwrap();
        life.resolved(&id).await;
    });
    assert_eq!(stage.world.executed(GONE), 1);
}

#[tokio::test]
async fn both_say_yes_to_the_same_values() {
    let stage = Stage::new("1. **Do**\n\n   ```bash {effect=destroy}\n   echo \"$SHARD\"\n   ```\n");
    stage.world.state().policy.second_person = true;
    stage.world.state().problem = None;
    let life = stage.open().await;
    let id = life.fire().await;
    life.supply(&id, "1.1", &[("SHARD", "seven")]).await.unwrap();
    let shard = |value: &str| BTreeMap::from([("SHARD".to_owned(), value.to_owned())]);
    let other = life.approve(&id, "1.1", "bob", shard("eight")).await.unwrap_err();
    assert_eq!(
        other.to_string(),
        "a second yes by bob is not possible: the first one, by ada, was to SHARD=seven"
    );
    life.approve(&id, "1.1", "bob", shard("seven")).await.unwrap();
    life.resolved(&id).await;
    assert_eq!(life.world.state().runs[0].environment["SHARD"], "seven");
}

#[tokio::test]
async fn what_does_not_destroy_needs_one() {
    let stage = Stage::new("1. **Do**\n\n   ```bash {approve=always}\n   echo gone\n   ```\n");
    stage.world.state().policy.second_person = true;
    stage.world.state().problem = None;
    let life = stage.open().await;
    let id = life.fire().await;
    life.yes(&id, "1.1").await;
    let incident = life.resolved(&id).await;
    assert!(
        incident
            .timeline
            .iter()
            .any(|(_, record)| matches!(record, Record::ApprovalAsked { people: None, .. }))
    );
}

fn count(incident: &Incident, kind: &str) -> usize {
    incident.timeline.iter().filter(|(_, record)| record.kind() == kind).count()
}
