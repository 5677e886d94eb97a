//! Tests what comes back: the same incident again, too often, and what people and time make of that.

use std::collections::BTreeMap;
use std::time::Duration;

use expect_test::expect;
use incident::{Flapping, Incident, IncidentId, State, Word, World as _};

use crate::stage::{Life, Stage, check_story, fired};
use crate::world::Reply;

const RESTART: &str = r#"paramedic server restart "$SERVER_NAME""#;

const LIMITS: Flapping = Flapping {
    reopen_within: Duration::from_secs(600),
    reopens: 2,
    period: Duration::from_secs(3600),
    quiet: Duration::from_secs(3600),
};

fn stage() -> Stage {
    let stage = Stage::new(
        "1. **Look**\n\n   ```bash\n   uptime\n   ```\n\n2. **Restart**\n\n   ```bash\n   paramedic server restart \"$SERVER_NAME\"\n   ```\n",
    );
    stage.world.state().flapping = LIMITS;
    for _ in 0..5 {
        stage.world.reply(RESTART, Reply::exit(0).restarting());
    }
    stage.world.state().policy.restarts_per_hour = 9;
    stage
}

/// The process of the server ends now.
async fn dies(life: &Life) -> IncidentId {
    life.world.state().problem = Some("connection refused".to_owned());
    life.engine.fire(&fired("time", life.world.now_ms())).await.unwrap().unwrap()
}

async fn over(life: &Life, id: &IncidentId) -> Incident {
    life.until(id, |incident| incident.state == State::Mitigated).await;
    life.alert_over().await;
    life.until(id, |incident| incident.state == State::Resolved && incident.is_reported()).await
}

#[tokio::test]
async fn what_comes_back_soon_is_the_same_incident_with_a_new_report() {
    let stage = stage();
    let life = stage.open().await;
    let id = dies(&life).await;
    over(&life, &id).await;
    let again = fired("time", life.world.now_ms());
    life.world.state().problem = Some("connection refused".to_owned());
    for _ in 0..2 {
        // Told twice, it is no news the second time.
        assert_eq!(life.engine.fire(&again).await.unwrap(), Some(id.clone()));
    }
    let incident = over(&life, &id).await;
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
           2.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
           2.1 outcome 1: code 0
        step 2 succeeded: 1 of 1 run
        verified: 3 probes, 200 ms
        mitigated
        alert resolved
        resolved
        reported
        opened again: time was killed by SIGKILL
        captured: host snapshot
        run 2
        step 1 Look
           1.1 intent 1 (observe): uptime
           1.1 outcome 1: code 0
        step 1 succeeded: 1 of 1 run
        step 2 Restart
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
    assert_eq!((incident.reopened_ms.len(), life.world.executed(RESTART)), (1, 2));
    let report = stage.report(&id).unwrap();
    assert!(report.contains("It came back once after it was resolved."), "{report}");
    assert!(report.contains("back, and opened again"), "{report}");
    life.check_invariants().await;
}

#[tokio::test]
async fn what_comes_back_late_or_was_closed_is_a_new_one_that_names_the_earlier() {
    let stage = stage();
    let life = stage.open().await;
    let first = dies(&life).await;
    over(&life, &first).await;
    life.world.advance(LIMITS.reopen_within);
    let second = dies(&life).await;
    assert_ne!(first, second);
    assert_eq!(life.incident(&second).await.earlier, None);
    over(&life, &second).await;
    life.engine.say(&second, "ada", Word::Close { reason: "a new version".to_owned() }).await.unwrap();
    let third = dies(&life).await;
    assert_eq!(life.incident(&third).await.earlier, Some(second));
    over(&life, &third).await;
    let fourth = life.engine.open_for("time", "Down", "ada", "a look").await.unwrap();
    assert_eq!(life.incident(&fourth).await.earlier, Some(third));
}

/// It has come back twice: from now on it is looked at, and changed only with a yes.
async fn flapping(life: &Life) -> IncidentId {
    let id = dies(life).await;
    for _ in 0..2 {
        over(life, &id).await;
        assert_eq!(dies(life).await, id);
    }
    let question = life.asked(&id).await;
    assert!(question.reason.contains("it came back 2 times within 1 h 0 min"), "{question:?}");
    assert_eq!((life.world.executed("uptime"), life.world.executed(RESTART)), (3, 2));
    id
}

#[tokio::test]
async fn what_comes_back_too_often_is_for_a_person() {
    let stage = stage();
    let life = stage.open().await;
    let id = flapping(&life).await;
    let incident = life.incident(&id).await;
    assert!(incident.flapping.is_some() && incident.person_needed.is_some());
    let told = |incident: &Incident| {
        incident.timeline.iter().filter(|(_, record)| record.kind() == "person_needed").count()
    };
    assert_eq!(told(&incident), 1);
    // A yes is for this change; the mark stays.
    life.approve(&id, "2.1", "ada", BTreeMap::new()).await.unwrap();
    let incident = over(&life, &id).await;
    assert_eq!(life.world.executed(RESTART), 3);
    assert!(incident.flapping.is_some(), "nobody has said that it is mended");
    dies(&life).await;
    life.asked(&id).await;
    // A person hands back: the machine goes on by itself, and counts anew.
    life.engine.say(&id, "ada", Word::Resume).await.unwrap();
    let incident = over(&life, &id).await;
    assert_eq!((incident.flapping, incident.person_needed), (None, None));
    assert_eq!(life.world.executed(RESTART), 4);
    dies(&life).await;
    over(&life, &id).await;
    assert_eq!(life.world.executed(RESTART), 5);
    life.check_invariants().await;
}

#[test]
fn the_mark_outlives_the_engine_and_ends_with_quiet() {
    let stage = stage();
    let id = stage.live(async |life| flapping(life).await);
    stage.live(async |life| {
        life.engine.resume().await;
        life.asked(&id).await;
        life.world.advance(LIMITS.quiet);
        life.engine.fire_all(&[]).await.unwrap();
        let incident = over(life, &id).await;
        assert_eq!((incident.flapping, life.world.executed(RESTART)), (None, 3));
        let ended = incident.timeline.iter().filter(|(_, record)| record.kind() == "flapping_ended");
        assert_eq!(ended.count(), 1);
        life.check_invariants().await;
    });
}

/// The alert ends, and only then somebody says yes: nothing is changed any more, and the question says why.
#[tokio::test]
async fn a_yes_that_comes_after_the_alert_is_void() {
    let stage = stage();
    stage.world.state().policy.mode = incident::Mode::Suggest;
    let life = stage.open().await;
    let id = dies(&life).await;
    life.asked(&id).await;
    life.world.state().problem = None;
    life.alert_over().await;
    // Whoever is quicker, the walker or the person.
    let _late = life.approve(&id, "2.1", "ada", BTreeMap::new()).await;
    let incident = life.until(&id, Incident::is_reported).await;
    assert_eq!((incident.state, life.world.executed(RESTART)), (State::Resolved, 0));
    let void = incident.timeline.iter().any(|(_, record)| {
        matches!(record, incident::Record::ApprovalEnded { end: incident::ApprovalEnd::Void, reason, .. }
            if reason == "the alert is resolved: a change would come too late")
    });
    assert!(void, "{}", crate::story::story(&incident));
    // Opened again, what was asked then is asked anew.
    dies(&life).await;
    life.yes(&id, "2.1").await;
    over(&life, &id).await;
    assert_eq!(life.world.executed(RESTART), 1);
}

/// Time passes while something is waited for.
async fn while_time_passes<T>(life: &Life, waited: impl Future<Output = T>) -> T {
    let passing = async {
        loop {
            life.world.advance(Duration::from_secs(15));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        done = waited => done,
        () = passing => unreachable!("time never ends"),
    }
}

#[tokio::test]
async fn a_server_that_fails_again_under_the_same_alert_is_seen() {
    let stage = stage();
    let life = stage.open().await;
    let id = dies(&life).await;
    life.until(&id, |incident| incident.state == State::Mitigated).await;
    life.world.state().problem = Some("connection refused".to_owned());
    let again = life.until(&id, |incident| incident.run == 2);
    while_time_passes(&life, again).await;
    check_story(
        &over(&life, &id).await,
        expect![[r#"
            opened: time, server-down, time was killed by SIGKILL
            captured: host snapshot
            run 1
            step 1 Look
               1.1 intent 1 (observe): uptime
               1.1 outcome 1: code 0
            step 1 succeeded: 1 of 1 run
            step 2 Restart
               2.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
               2.1 outcome 1: code 0
            step 2 succeeded: 1 of 1 run
            verified: 3 probes, 200 ms
            mitigated
            seen again: time was well and is not any more: connection refused
            run 2
            step 1 Look
               1.1 intent 1 (observe): uptime
               1.1 outcome 1: code 0
            step 1 succeeded: 1 of 1 run
            step 2 Restart
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
    life.check_invariants().await;
}

#[tokio::test]
async fn a_server_that_a_person_stopped_is_no_news() {
    let stage = stage();
    let life = stage.open().await;
    let id = dies(&life).await;
    life.until(&id, |incident| incident.state == State::Mitigated).await;
    life.engine.note_stop("time", "ada", "by hand").await.unwrap();
    life.world.state().problem = Some("connection refused".to_owned());
    let many_looks = async {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    };
    while_time_passes(&life, many_looks).await;
    life.alert_over().await;
    let incident = life.until(&id, Incident::is_reported).await;
    assert_eq!((incident.state, incident.run), (State::Resolved, 1));
}
