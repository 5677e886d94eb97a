//! Tests that one trouble is one incident, however often it is told, and that a new one is not lost.

use std::collections::BTreeSet;

use expect_test::expect;
use incident::{Alarm, EngineError, Fired, Incident, Mode, Source, State};

use crate::stage::{Stage, alarm, check_story, fired};
use crate::world::{Reply, START_MS};

const RESTART: &str = r#"paramedic server restart "$SERVER_NAME""#;

fn stage() -> Stage {
    let stage =
        Stage::new("1. **Restart**\n\n   ```bash\n   paramedic server restart \"$SERVER_NAME\"\n   ```\n");
    stage.world.reply(RESTART, Reply::exit(0).restarting());
    stage
}

/// The same alert as a rule tells it, without the end of the process.
fn by_rule() -> Fired {
    let fired = fired("time", START_MS);
    Fired { alarm: Alarm { source: Source::Rule, exit: None, ..fired.alarm }, ..fired }
}

#[tokio::test]
async fn the_same_alert_and_the_same_exit_are_one_incident_and_no_news() {
    let stage = stage();
    let life = stage.open().await;
    let id = life.fire().await;
    assert_eq!(life.fire().await, id);
    assert_eq!(life.engine.fire(&by_rule()).await.unwrap(), Some(id.clone()));
    life.engine.exited("time", &alarm("time", START_MS)).await.unwrap();

    let incident = life.resolved(&id).await;
    assert!(incident.timeline.iter().all(|(_, record)| record.kind() != "seen_again"));
    assert_eq!(life.engine.incidents().await.unwrap().len(), 1);
    assert_eq!(life.world.executed(RESTART), 1);
}

#[tokio::test]
async fn a_new_exit_while_the_incident_is_open_is_a_line_in_it() {
    let stage = stage();
    stage.world.state().policy.mode = Mode::Suggest;
    let life = stage.open().await;
    let id = life.fire().await;
    life.asked(&id).await;
    life.engine.exited("time", &alarm("time", START_MS + 1)).await.unwrap();
    life.engine.exited("time", &alarm("time", START_MS + 1)).await.unwrap();
    life.engine.exited("other", &alarm("other", START_MS + 2)).await.unwrap();
    life.yes(&id, "1.1").await;

    check_story(
        &life.resolved(&id).await,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Restart
           1.1 asks (disrupt): the mode is `suggest`, and its effect is disrupt (`paramedic server restart` stops the server and starts it again)
        seen again: time was killed by SIGKILL
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
    assert_eq!(life.engine.incidents().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_exit_after_mitigation_begins_another_run() {
    let stage = stage();
    stage.world.reply(RESTART, Reply::exit(0).restarting());
    let life = stage.open().await;
    let id = life.fire().await;
    life.until(&id, |incident| incident.state == State::Mitigated).await;

    life.world.state().problem = Some("connection refused".to_owned());
    life.engine.fire(&fired("time", START_MS + 1)).await.unwrap();
    life.until(&id, |incident| incident.run == 2 && incident.state == State::Mitigated).await;
    assert_eq!(life.world.executed(RESTART), 2);

    // The runs are used up: the next time it is for a person.
    life.engine.exited("time", &alarm("time", START_MS + 2)).await.unwrap();
    let incident = life.person_needed(&id).await;
    check_story(
        &incident,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Restart
           1.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
           1.1 outcome 1: code 0
        step 1 succeeded: 1 of 1 run
        verified: 3 probes, 200 ms
        mitigated
        seen again: time was killed by SIGKILL
        run 2
        step 1 Restart
           1.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
           1.1 outcome 1: code 0
        step 1 succeeded: 1 of 1 run
        verified: 3 probes, 200 ms
        mitigated
        seen again: time was killed by SIGKILL
        person needed: 2 run(s) of the procedure did not help for good: the trouble came back
    "#]],
    );

    life.alert_over().await;
    let incident = life.until(&id, Incident::is_reported).await;
    assert_eq!(incident.state, State::Resolved);
    assert_eq!(life.world.executed(RESTART), 2);
}

#[tokio::test]
async fn after_the_end_the_same_trouble_is_a_new_incident() {
    let stage = stage();
    let life = stage.open().await;
    let first = life.fire().await;
    life.resolved(&first).await;
    assert!(matches!(life.engine.acknowledge(&first, "ada").await, Err(EngineError::Refused(_))));

    let second = life.engine.fire(&fired("time", START_MS + 1)).await.unwrap().unwrap();
    assert_ne!(first, second);
    life.resolved(&second).await;
}

/// When a host loses its network, many servers are down in one second, and names are made of seconds and chance.
#[tokio::test]
async fn two_servers_at_the_same_moment_are_two_incidents() {
    let stage = stage();
    let life = stage.open().await;
    let time = life.fire().await;
    let other = life.engine.fire(&fired("other", START_MS)).await.unwrap().unwrap();
    assert_ne!(time, other);
    assert_eq!(life.engine.incidents().await.unwrap().len(), 2);
    assert_eq!(
        (life.incident(&time).await.server, life.incident(&other).await.server),
        ("time".to_owned(), "other".to_owned())
    );
    life.until(&time, |incident| incident.state == State::Mitigated).await;
    life.until(&other, |incident| incident.state == State::Mitigated).await;
}

#[tokio::test]
async fn an_alert_without_a_procedure_opens_nothing() {
    let stage = stage();
    let life = stage.open().await;
    let fired = Fired { alert: "Elsewhere".to_owned(), ..fired("time", START_MS) };
    assert_eq!(life.engine.fire(&fired).await.unwrap(), None);
    assert!(life.engine.incidents().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_alert_is_over_only_where_its_server_is_known_and_it_stands_no_more() {
    let stage = stage();
    let life = stage.open().await;
    let id = life.fire().await;
    life.until(&id, |incident| incident.state == State::Mitigated).await;

    let standing = BTreeSet::from(["time-down".to_owned()]);
    life.engine.alerts_standing(&standing, |_| true).await.unwrap();
    life.engine.alerts_standing(&BTreeSet::new(), |server| server != "time").await.unwrap();
    assert_eq!(life.incident(&id).await.alert_resolved_ms, None);

    life.alert_over().await;
    life.until(&id, Incident::is_reported).await;
}
