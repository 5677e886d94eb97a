//! Tests that two incidents of one server with one cause become one, once, wherever the engine dies in between.

use std::collections::BTreeMap;

use expect_test::expect;
use incident::{Alarm, Fired, Incident, IncidentId, Mode, State, Word};

use crate::stage::{Life, Stage, check_story, fired};
use crate::world::{Reply, START_MS};

const FULL: &str = "{\"kind\":\"server_mount\",\"subject\":\"/data\"}\n{\"kind\":\"disk_used_percent\",\"subject\":\"/data\",\"value\":100}\n";

const STEPS: &str = "1. **Look**\n\n   ```bash\n   df -P -l\n   ```\n\n2. **Restart**\n\n   ```bash\n   paramedic server restart \"$SERVER_NAME\"\n   ```\n";

fn stage(alert: &str) -> Stage {
    let stage = Stage::of_procedures(&[
        ("Server Down", "Down", "mcp_server_up == 0", STEPS),
        ("Something Else", alert, "mcp_server_errors_total > 0", STEPS),
    ]);
    let mut state = stage.world.state();
    (state.policy.mode, state.problem) = (Mode::Suggest, None);
    drop(state);
    stage.world.reply("df -P -l", Reply::exit(0).finding(FULL));
    stage.world.reply("df -P -l", Reply::exit(0).finding(FULL));
    stage
}

fn other(alert: &str) -> Fired {
    let Fired { server, alarm, .. } = fired("time", START_MS);
    let facts = alarm.alert.map(|facts| incident::AlertFacts {
        name: alert.to_owned(),
        fingerprint: "time-other".to_owned(),
        ..facts
    });
    Fired { server, alert: alert.to_owned(), alarm: Alarm { alert: facts, exit: None, ..alarm } }
}

/// Two incidents of one server; the first waits for a yes, with its cause named.
async fn two(life: &Life, alert: &str) -> (IncidentId, IncidentId) {
    let first = life.fire().await;
    life.asked(&first).await;
    life.world.advance(std::time::Duration::from_secs(2));
    let second = life.engine.fire(&other(alert)).await.unwrap().unwrap();
    assert_ne!(first, second);
    (first, second)
}

#[tokio::test]
async fn the_later_one_is_merged_into_the_earlier_which_answers_for_both() {
    let stage = stage("Errors");
    let life = stage.open().await;
    let (first, second) = two(&life, "Errors").await;
    let merged = life.until(&second, Incident::is_reported).await;
    check_story(
        &merged,
        expect![[r#"
        opened: time, something-else, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Look
           1.1 intent 1 (observe): df -P -l
           1.1 found server_mount /data, disk_used_percent /data
           1.1 outcome 1: code 0
        cause: disk_full
        merged: both have the cause `disk_full`
        step 1 succeeded: 1 of 1 run
        step 2 Restart
        step 2 failed: the incident is closed
        reported
    "#]],
    );
    assert_eq!((merged.state, merged.merged_into.as_ref()), (State::Closed, Some(&first)));
    assert!(stage.report(&second).unwrap().contains(&format!("It was merged into incident {first}")));
    // Its alert fires on, and is a matter of the first.
    assert_eq!(life.engine.fire(&other("Errors")).await.unwrap(), Some(first.clone()));
    life.yes(&first, "2.1").await;
    life.until(&first, |incident| incident.state == State::Mitigated).await;
    let standing = ["time-other".to_owned()].into();
    life.engine.alerts_standing(&standing, |_| true).await.unwrap();
    assert_eq!(life.incident(&first).await.alert_resolved_ms, None);
    check_story(
        &life.resolved(&first).await,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Look
           1.1 intent 1 (observe): df -P -l
           1.1 found server_mount /data, disk_used_percent /data
           1.1 outcome 1: code 0
        cause: disk_full
        step 1 succeeded: 1 of 1 run
        step 2 Restart
           2.1 asks (disrupt): the mode is `suggest`, and its effect is disrupt (`paramedic server restart` stops the server and starts it again)
        absorbed something-else: both have the cause `disk_full`
           2.1 approved by ada
           2.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
           2.1 outcome 1: code 0
        step 2 succeeded: 1 of 1 run
        verified: 3 probes, 200 ms
        mitigated
        over: Down of time
        alert resolved
        resolved
        reported
    "#]],
    );
    assert_eq!(life.engine.incidents().await.unwrap().len(), 2);
    life.check_invariants().await;
}

#[tokio::test]
async fn what_a_person_holds_and_a_security_incident_stay() {
    let stage = stage("SecurityErrors");
    let life = stage.open().await;
    let (_, second) = two(&life, "SecurityErrors").await;
    life.asked(&second).await;
    assert_eq!(life.incident(&second).await.merged_into, None);

    let stage = self::stage("Errors");
    let life = stage.open().await;
    let first = life.fire().await;
    life.asked(&first).await;
    life.engine.say(&first, "ada", Word::Hold { reason: "mine".to_owned() }).await.unwrap();
    life.world.advance(std::time::Duration::from_secs(2));
    let second = life.engine.fire(&other("Errors")).await.unwrap().unwrap();
    life.asked(&second).await;
    assert_eq!(life.incident(&second).await.merged_into, None);
}

#[test]
fn a_merge_that_was_cut_in_half_is_brought_to_its_end() {
    let stage = stage("Errors");
    let (first, second) = stage.live(async |life| {
        stage.refuse("NEW.kind = 'merged'").await;
        let both = two(life, "Errors").await;
        life.world.stuck(1).await;
        both
    });
    stage.live(async |life| {
        stage.take_again().await;
        life.engine.resume().await;
        let merged = life.until(&second, Incident::is_reported).await;
        assert_eq!(merged.merged_into, Some(first.clone()));
        let absorbed = life.incident(&first).await.absorbed.len();
        assert_eq!(absorbed, 1, "it is written down once");
        // A question that stood in it is void.
        let late = life.approve(&second, "2.1", "ada", BTreeMap::new()).await;
        assert!(late.is_err());
        life.check_invariants().await;
    });
}

/// Whoever follows what is to be done about a disk does not look into memory: each has its own procedure followed.
#[tokio::test]
async fn a_memory_alert_keeps_its_own_procedure() {
    for (query, is_merged) in
        [("mcp_server_errors_total > 0", true), ("mcp_server_memory_usage_bytes > 2e9", false)]
    {
        let stage = Stage::of_procedures(&[
            ("Server Down", "Down", "mcp_server_up == 0", STEPS),
            ("Memory Leak", "Large", query, STEPS),
        ]);
        (stage.world.state().policy.mode, stage.world.state().problem) = (Mode::Suggest, None);
        for _ in 0..2 {
            stage.world.reply("df -P -l", Reply::exit(0).finding(FULL));
        }
        let life = stage.open().await;
        let (first, second) = two(&life, "Large").await;
        let is_there = |incident: &Incident| {
            incident.merged_into.is_some() || incident.open_questions().next().is_some()
        };
        let later = life.until(&second, is_there).await;
        assert_eq!(later.merged_into, is_merged.then(|| first.clone()), "{query}");
        assert_eq!(later.cause.as_deref(), Some("disk_full"));
    }
}
