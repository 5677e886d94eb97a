//! Tests that servers which need the same failed thing share one incident, and that each counts for itself in it.

use std::collections::{BTreeMap, BTreeSet};

use expect_test::expect;
use incident::{Alarm, AlertFacts, Fired, Incident, Mode, Source, State};

use crate::stage::{Stage, check_story};
use crate::world::START_MS;

const RESTART: &str = r#"paramedic server restart "$SERVER_NAME""#;

fn stage(mode: Mode) -> Stage {
    let steps = "1. **Look**\n\n   ```bash\n   uptime\n   ```\n\n2. **Restart**\n\n   ```bash\n   paramedic server restart \"$SERVER_NAME\"\n   ```\n";
    let stage =
        Stage::of_procedures(&[("Dependency Failure", "Needs", "mcp_server_dependency_status == 0", steps)]);
    let mut state = stage.world.state();
    state.policy.mode = mode;
    state.problem = None;
    state.dependencies = BTreeMap::from([("postgres", "tcp 10.0.0.1:5432"), ("redis", "tcp 10.0.0.1:6379")]);
    drop(state);
    stage
}

fn needs(server: &str, dependency: &str, started_ms: i64) -> Fired {
    let labels = [("server_name", server), ("dependency_name", dependency)];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let alert = AlertFacts {
        name: "Needs".to_owned(),
        severity: "critical".to_owned(),
        labels: labels.into(),
        fingerprint: format!("{server}-{dependency}"),
        started_ms,
    };
    let summary = format!("{server}: {dependency} does not answer");
    let alarm = Alarm { source: Source::Rule, summary, alert: Some(alert), exit: None };
    Fired { server: server.to_owned(), alert: "Needs".to_owned(), alarm }
}

fn standing(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn three_servers_on_one_failed_dependency_are_one_incident() {
    let stage = stage(Mode::Suggest);
    let life = stage.open().await;
    let all = ["a", "b", "c"].map(|server| needs(server, "postgres", START_MS));
    life.engine.fire_all(&all).await.unwrap();
    life.engine.fire_all(&all).await.unwrap();
    let incidents = life.engine.incidents().await.unwrap();
    assert_eq!(incidents.len(), 1);
    let id = &incidents[0].id;
    life.asked(id).await;

    // The first is well again while the others are not: nothing is changed about it any more, whoever says yes.
    life.engine.alerts_standing(&standing(&["b-postgres", "c-postgres"]), |_| true).await.unwrap();
    let _late = life.approve(id, "2.1", "ada", BTreeMap::new()).await;
    let incident = life.until(id, |incident| incident.state == State::Mitigated).await;
    assert_eq!((incident.alert_resolved_ms, life.world.executed(RESTART)), (None, 0));
    life.engine.alerts_standing(&standing(&["c-postgres"]), |_| true).await.unwrap();
    // It is back: it joins again, and there is still one incident.
    life.engine.fire_all(&[needs("b", "postgres", START_MS + 9), all[2].clone()]).await.unwrap();
    assert_eq!(life.incident(id).await.state, State::Mitigated);
    life.alert_over().await;
    let incident = life.until(id, Incident::is_reported).await;
    assert_eq!((incident.state, life.engine.incidents().await.unwrap().len()), (State::Resolved, 1));
    assert_eq!(incident.members().collect::<Vec<_>>(), ["b", "c"]);
    let report = stage.report(id).unwrap();
    assert!(report.contains("All of them need postgres (tcp 10.0.0.1:5432)."), "{report}");
    life.check_invariants().await;
}

#[tokio::test]
async fn what_a_member_does_is_written_down_once() {
    let stage = stage(Mode::Observe);
    let life = stage.open().await;
    life.engine.fire_all(&[needs("a", "postgres", START_MS)]).await.unwrap();
    let id = life.engine.incidents().await.unwrap()[0].id.clone();
    life.until(&id, |incident| incident.state == State::Mitigated).await;
    life.engine
        .fire_all(&[needs("a", "postgres", START_MS), needs("b", "postgres", START_MS)])
        .await
        .unwrap();
    life.engine.alerts_standing(&standing(&["b-postgres"]), |_| true).await.unwrap();
    // A server of which nothing is known proves nothing.
    life.engine.alerts_standing(&BTreeSet::new(), |server| server != "b").await.unwrap();
    life.alert_over().await;
    check_story(
        &life.until(&id, Incident::is_reported).await,
        expect![[r#"
        opened: a, dependency-failure, a: postgres does not answer
        captured: host snapshot
        run 1
        step 1 Look
           1.1 intent 1 (observe): uptime
           1.1 outcome 1: code 0
        step 1 succeeded: 1 of 1 run
        step 2 Restart
           2.1 skipped: the mode is `observe`: a statement of effect disrupt would have been run or asked about; set mode `suggest` or `auto` to allow it
        step 2 skipped: the mode is `observe`: a statement of effect disrupt would have been run or asked about; set mode `suggest` or `auto` to allow it
        verified: 3 probes, 200 ms
        mitigated
        joined by b: it needs postgres (tcp 10.0.0.1:5432) too
        over: Needs of a
        alert resolved
        resolved
        reported
    "#]],
    );
}

#[tokio::test]
async fn another_dependency_or_one_of_its_own_is_another_incident() {
    let stage = stage(Mode::Observe);
    let life = stage.open().await;
    let all = [
        needs("a", "postgres", START_MS),
        needs("a", "redis", START_MS),
        needs("b", "redis", START_MS),
        needs("a", "TOKEN", START_MS),
        needs("b", "TOKEN", START_MS),
    ];
    life.engine.fire_all(&all).await.unwrap();
    let incidents = life.engine.incidents().await.unwrap();
    let members = |incident: &Incident| incident.members().map(str::to_owned).collect::<Vec<_>>();
    let shown: Vec<_> =
        incidents.iter().map(|one| (one.server.as_str(), one.dependency.as_deref(), members(one))).collect();
    assert_eq!(shown.len(), 4, "{shown:?}");
    assert!(shown.contains(&("a", Some("postgres (tcp 10.0.0.1:5432)"), vec![])), "{shown:?}");
    assert!(shown.contains(&("a", Some("redis (tcp 10.0.0.1:6379)"), vec!["b".to_owned()])), "{shown:?}");
    assert!(shown.contains(&("a", None, vec![])) && shown.contains(&("b", None, vec![])), "{shown:?}");
}

/// Each dependant is a server in trouble: five of them are a storm, although there is one incident.
#[tokio::test]
async fn members_count_as_servers_in_trouble() {
    let stage = stage(Mode::Suggest);
    stage.world.state().policy.storm =
        incident::Storm { servers: 3, window: std::time::Duration::from_secs(60) };
    let life = stage.open().await;
    let all = ["a", "b", "c"].map(|server| needs(server, "postgres", START_MS));
    life.engine.fire_all(&all[..1]).await.unwrap();
    let id = life.engine.incidents().await.unwrap()[0].id.clone();
    life.asked(&id).await;
    life.engine.fire_all(&all).await.unwrap();
    stage.world.state().policy.mode = Mode::Auto;
    life.engine.say(&id, "ada", incident::Word::Hold { reason: "a look".to_owned() }).await.unwrap();
    life.engine.say(&id, "ada", incident::Word::Resume).await.unwrap();
    let is_asked = |incident: &Incident| {
        incident.open_questions().any(|(.., asked)| asked.reason.contains("3 servers got into trouble"))
    };
    life.until(&id, is_asked).await;
    assert_eq!(life.world.executed(RESTART), 0);
}

/// A server that answers while its database is gone is alive, and nothing is mended.
#[tokio::test]
async fn what_it_needs_has_to_be_back_before_it_is_mitigated() {
    let stage = stage(Mode::Observe);
    stage.world.state().needs = Some("dependency `postgres`: connection refused".to_owned());
    let life = stage.open().await;
    life.engine.fire_all(&[needs("a", "postgres", START_MS)]).await.unwrap();
    let id = life.engine.incidents().await.unwrap()[0].id.clone();
    let incident = life.until(&id, |incident| incident.person_needed.is_some()).await;
    assert!(incident.state.is_open() && incident.state != State::Mitigated, "{:?}", incident.state);
    let reason = incident.person_needed.unwrap();
    assert!(reason.contains("dependency `postgres`: connection refused"), "{reason}");

    life.world.state().needs = None;
    life.alert_over().await;
    let incident = life.until(&id, Incident::is_reported).await;
    assert_eq!(incident.state, State::Resolved);
    life.check_invariants().await;
}

/// The same trouble says nothing about an incident that is about the server: it is over when the server answers.
#[tokio::test]
async fn a_server_that_is_back_is_back_whatever_it_needs() {
    let stage = stage(Mode::Observe);
    stage.world.state().needs = Some("dependency `postgres`: connection refused".to_owned());
    let life = stage.open().await;
    let mut alone = needs("a", "postgres", START_MS);
    alone.alarm.alert.as_mut().unwrap().labels.remove("dependency_name");
    life.engine.fire_all(&[alone]).await.unwrap();
    let id = life.engine.incidents().await.unwrap()[0].id.clone();
    life.until(&id, |incident| incident.state == State::Mitigated).await;
    life.check_invariants().await;
}
