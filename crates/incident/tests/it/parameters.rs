//! Tests parameters: what is missing is asked for by name, and values reach statements as data only.

use expect_test::expect;
use incident::{EngineError, Mode};

use crate::stage::{Stage, check_story};

const CLEAR: &str = r#"paramedic server clear-cache "$SHARD""#;
const LOOK: &str = r#"echo "$SHARD""#;

fn stage() -> Stage {
    let stage = Stage::new(
        r#"
1. **Clear**

   ```bash
   paramedic server clear-cache "$SHARD"
   ```

2. **Look**

   ```bash
   echo "$SHARD"
   ```
"#,
    );
    stage.world.state().problem = None;
    stage
}

#[tokio::test]
async fn a_missing_value_is_asked_for_by_name_and_given_once() {
    let stage = stage();
    let life = stage.open().await;
    let id = life.fire().await;

    let question = life.asked(&id).await;
    assert_eq!(question.missing, ["SHARD"]);
    for values in [&[][..], &[("OTHER", "1")], &[("SHARD", "")]] {
        let refused = life.supply(&id, "1.1", values).await;
        assert!(
            matches!(&refused, Err(EngineError::Missing(names)) if names == "SHARD"),
            "{values:?}: {refused:?}"
        );
    }
    let unasked = life.supply(&id, "1.1", &[("SHARD", "seven"), ("SERVER_NAME", "another")]).await;
    assert!(matches!(&unasked, Err(EngineError::Unasked(name)) if name == "SERVER_NAME"), "{unasked:?}");
    assert_eq!(life.world.state().runs.len(), 0);

    life.supply(&id, "1.1", &[("SHARD", "seven")]).await.unwrap();
    check_story(
        &life.resolved(&id).await,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Clear
           1.1 asks (change): it needs SHARD
           1.1 approved by ada, SHARD=seven
           1.1 intent 1 (change): paramedic server clear-cache "$SHARD"
           1.1 outcome 1: code 0
        step 1 succeeded: 1 of 1 run
        step 2 Look
           2.1 intent 1 (observe): echo "$SHARD"
           2.1 outcome 1: code 0
        step 2 succeeded: 1 of 1 run
        verified: 3 probes, 200 ms
        mitigated
        alert resolved
        resolved
        reported
    "#]],
    );
}

#[tokio::test]
async fn a_hostile_value_is_data() {
    let hostile = "\"; rm -rf / #$(reboot)`id`\n";
    let stage = stage();
    let life = stage.open().await;
    let id = life.fire().await;
    life.supply(&id, "1.1", &[("SHARD", hostile)]).await.unwrap();
    life.resolved(&id).await;

    let runs = life.world.state().runs.clone();
    assert_eq!(runs.iter().map(|run| run.statement.as_str()).collect::<Vec<_>>(), [CLEAR, LOOK]);
    for run in &runs {
        assert_eq!(run.environment["SHARD"], hostile);
    }
}

#[tokio::test]
async fn nobody_gives_a_variable_that_decides_what_a_command_is() {
    let stage = stage();
    let life = stage.open().await;
    let id = life.fire().await;
    for name in ["PATH", "LD_PRELOAD", "BASH_ENV", "IFS"] {
        let refused = life.supply(&id, "1.1", &[("SHARD", "seven"), (name, "/tmp/x")]).await;
        assert!(matches!(refused, Err(EngineError::Reserved(_))), "{name}: {refused:?}");
    }
    life.supply(&id, "1.1", &[("SHARD", "seven")]).await.unwrap();
    life.resolved(&id).await;
    assert_eq!(life.world.state().runs[0].environment["PATH"], "/usr/bin:/bin");
}

/// Unquoted, a value with a blank in it is an option as easily as a port: a person looks at it first.
#[tokio::test]
async fn a_value_that_could_be_code_asks() {
    let statement = "systemctl status mcp-server-$PORT";
    for (value, expect) in [
        ("8080", None),
        ("8080 --host=evil", Some("the value of $PORT (`8080 --host=evil`) may not be harmless in it")),
    ] {
        let stage = Stage::new(&format!("1. **Look**\n\n   ```bash\n   {statement}\n   ```\n"));
        stage.world.state().problem = None;
        stage.world.state().parameters.insert("PORT".to_owned(), value.to_owned());
        let life = stage.open().await;
        let id = life.fire().await;
        if let Some(expect) = expect {
            let question = life.asked(&id).await;
            assert!(question.reason.contains(expect), "{}", question.reason);
            assert_eq!(life.world.executed(statement), 0);
            life.yes(&id, "1.1").await;
        }
        life.resolved(&id).await;
        assert_eq!(life.world.executed(statement), 1);
    }
}

/// What an earlier statement computed is nobody's word.
#[tokio::test]
async fn a_computed_value_that_could_be_code_asks() {
    let stage = Stage::new(
        "1. **Look**\n\n   ```bash\n   UNIT=$(cat /etc/unit)\n   systemctl status $UNIT\n   ```\n",
    );
    stage.world.state().problem = None;
    let life = stage.open().await;
    let id = life.fire().await;
    let question = life.asked(&id).await;
    assert!(question.reason.contains("which an earlier statement computed"), "{}", question.reason);
}

#[tokio::test]
async fn an_empty_value_is_a_missing_one() {
    let stage = stage();
    stage.world.state().parameters.insert("SHARD".to_owned(), String::new());
    let life = stage.open().await;
    let id = life.fire().await;
    assert_eq!(life.asked(&id).await.missing, ["SHARD"]);
}

#[tokio::test]
async fn the_labels_of_the_alert_are_values_where_they_are_asked_for() {
    let stage = Stage::new(
        "1. **Look**\n\n   ```bash\n   echo \"$SERVER\" \"$SERVER_NAME\" \"$INCIDENT_ID\"\n   ```\n",
    );
    stage.world.state().problem = None;
    stage.world.state().parameters.clear();
    let life = stage.open().await;
    let id = life.fire().await;
    life.resolved(&id).await;
    let environment = life.world.state().runs[0].environment.clone();
    assert_eq!((environment["SERVER"].as_str(), environment["SERVER_NAME"].as_str()), ("time", "time"));
    assert_eq!(environment["INCIDENT_ID"], id.to_string());
    assert_eq!(environment["PARAMEDIC_STEP"], "1.1");
}

#[tokio::test]
async fn a_configured_value_wins_over_a_label() {
    let stage = Stage::new("1. **Look**\n\n   ```bash\n   echo \"$SERVER_NAME\"\n   ```\n");
    stage.world.state().problem = None;
    stage.world.state().parameters.insert("SERVER_NAME".to_owned(), "configured".to_owned());
    let life = stage.open().await;
    let id = life.fire().await;
    life.resolved(&id).await;
    assert_eq!(life.world.state().runs[0].environment["SERVER_NAME"], "configured");
}

/// A value that was given with a yes is still there for the units after it when the engine died in between.
#[test]
fn a_given_value_outlives_the_engine() {
    for mode in [Mode::Auto, Mode::Suggest] {
        let stage = stage();
        stage.world.state().policy.mode = mode;
        let id = stage.live(async |life| {
            let id = life.fire().await;
            life.asked(&id).await;
            stage.refuse("NEW.kind = 'intent'").await;
            life.supply(&id, "1.1", &[("SHARD", "seven")]).await.unwrap();
            life.world.stuck(1).await;
            id
        });
        stage.live(async |life| {
            stage.take_again().await;
            life.engine.resume().await;
            let incident = life.resolved(&id).await;
            let asked =
                incident.timeline.iter().filter(|(_, record)| record.kind() == "approval_asked").count();
            assert_eq!(asked, 1, "{mode:?}: the person has said yes already");
            assert!(life.world.state().runs.iter().all(|run| run.environment["SHARD"] == "seven"));
            life.check_invariants().await;
        });
    }
}
