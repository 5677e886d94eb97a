//! Tests alerts that open nothing for a time: silenced ones, and those that say nothing new beside another.

use expect_test::expect;
use incident::{Alarm, AlertFacts, Fired, Incident, Source, State};
use metrics::{Breadth, Silence, parse_matchers};

use crate::stage::{Stage, check_story, fired};
use crate::world::{Reply, START_MS};

fn stage() -> Stage {
    let steps = "1. **Restart**\n\n   ```bash\n   paramedic server restart \"$SERVER_NAME\"\n   ```\n";
    let slow = "1. **Look**\n\n   ```bash\n   uptime\n   ```\n";
    let stage = Stage::of_procedures(&[
        ("Server Down", "Down", "mcp_server_up == 0", steps),
        ("Server Slow", "Slow", "mcp_request_duration_seconds > 5", slow),
    ]);
    for _ in 0..3 {
        stage.world.reply(r#"paramedic server restart "$SERVER_NAME""#, Reply::exit(0).restarting());
    }
    stage
}

fn slow(server: &str, started_ms: i64) -> Fired {
    let alert = AlertFacts {
        name: "Slow".to_owned(),
        severity: "warning".to_owned(),
        labels: [("server_name".to_owned(), server.to_owned())].into(),
        fingerprint: format!("{server}-slow"),
        started_ms,
    };
    let summary = format!("{server} is slow");
    let alarm = Alarm { source: Source::Rule, summary, alert: Some(alert), exit: None };
    Fired { server: server.to_owned(), alert: "Slow".to_owned(), alarm }
}

#[tokio::test]
async fn a_server_that_is_down_is_one_incident_and_slow_for_itself_afterwards() {
    let stage = stage();
    let life = stage.open().await;
    let down = fired("time", START_MS);
    for _ in 0..2 {
        life.engine.fire_all(&[slow("time", START_MS), down.clone()]).await.unwrap();
    }
    let incidents = life.engine.incidents().await.unwrap();
    assert_eq!(incidents.len(), 1);
    let id = incidents[0].id.clone();
    life.until(&id, |incident| incident.state == State::Mitigated).await;
    life.alert_over().await;
    check_story(
        &life.until(&id, Incident::is_reported).await,
        expect![[r#"
            opened: time, server-down, time was killed by SIGKILL
            inhibited: Slow by Down
            captured: host snapshot
            run 1
            step 1 Restart
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
    // It is up, and still slow.
    life.engine.fire_all(&[slow("time", START_MS)]).await.unwrap();
    let incidents = life.engine.incidents().await.unwrap();
    assert_eq!(incidents.iter().map(|one| one.procedure.as_str()).collect::<Vec<_>>().len(), 2);
    // Another server that is slow is no matter of the first.
    life.engine.fire_all(&[down, slow("other", START_MS)]).await.unwrap();
    assert!(life.engine.incidents().await.unwrap().iter().any(|one| one.server == "other"));
}

#[tokio::test]
async fn the_timeline_of_what_inhibits_is_bounded() {
    let stage = stage();
    stage.world.state().policy.mode = incident::Mode::Suggest;
    let life = stage.open().await;
    let down = fired("time", START_MS);
    for start in 0..60 {
        let mut slow = slow("time", START_MS);
        slow.alarm.alert.as_mut().unwrap().fingerprint = format!("slow-{start}");
        life.engine.fire_all(&[down.clone(), slow]).await.unwrap();
    }
    let incidents = life.engine.incidents().await.unwrap();
    assert_eq!((incidents.len(), incidents[0].inhibited.len()), (1, 50));
}

#[tokio::test]
async fn a_silenced_alert_opens_its_incident_when_the_silence_ends() {
    let stage = stage();
    let silence = Silence {
        number: 0,
        matchers: parse_matchers("alertname=~Down|Slow,server_name=time").unwrap(),
        starts_ms: START_MS,
        ends_ms: START_MS + 60_000,
        created_by: "ada".to_owned(),
        comment: "new disk".to_owned(),
    };
    stage.world.state().silences.add(silence, Breadth::Narrow, START_MS).unwrap();
    let life = stage.open().await;
    let all = [fired("time", START_MS), slow("time", START_MS), fired("other", START_MS)];
    life.engine.fire_all(&all).await.unwrap();
    let servers = |incidents: Vec<Incident>| incidents.into_iter().map(|one| one.server).collect::<Vec<_>>();
    assert_eq!(servers(life.engine.incidents().await.unwrap()), ["other"]);
    stage.world.state().silences.expire(1, START_MS + 1_000).unwrap();
    stage.world.advance(std::time::Duration::from_secs(1));
    life.engine.fire_all(&all).await.unwrap();
    let mut servers = servers(life.engine.incidents().await.unwrap());
    servers.sort();
    // Slow says nothing new beside Down.
    assert_eq!(servers, ["other", "time"]);
}

/// A silenced alert goes on inhibiting, as in Alertmanager: its silence is no reason to be told of what follows from it.
#[tokio::test]
async fn a_silenced_source_inhibits() {
    let stage = stage();
    let life = stage.open().await;
    let silence = Silence {
        number: 0,
        matchers: parse_matchers("alertname=Down").unwrap(),
        starts_ms: START_MS,
        ends_ms: START_MS + 60_000,
        created_by: "ada".to_owned(),
        comment: "new disk".to_owned(),
    };
    stage.world.state().silences.add(silence, Breadth::Narrow, START_MS).unwrap();
    life.engine.fire_all(&[fired("time", START_MS), slow("time", START_MS)]).await.unwrap();
    assert!(life.engine.incidents().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_silence_is_journaled_and_belongs_to_no_incident() {
    let stage = stage();
    let life = stage.open().await;
    let ended = incident::Record::SilenceExpired { number: 1, by: "ada".to_owned() };
    life.engine.note_silence(&ended).await.unwrap();
    let entries = life.journal.entries_after(0, 10).await.unwrap();
    let last = entries.last().unwrap();
    assert_eq!((last.kind.as_str(), &last.incident), ("silence_expired", &None));
    assert_eq!(serde_json::from_value::<incident::Record>(last.body.clone()).unwrap(), ended);
    life.check_invariants().await;
}
