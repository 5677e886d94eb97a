//! Tests that what statements find picks the remedy, and that the report says why.

use expect_test::expect;
use incident::Incident;

use crate::stage::{Stage, check_story};
use crate::world::Reply;

const RESTART: &str = "paramedic server restart \"$SERVER_NAME\"";

/// A procedure that looks at the disk, and has a remedy for a full one and one for everything else.
fn stage(findings: &'static str) -> Stage {
    let stage = Stage::new(
        "1. **Look**\n\n   ```bash\n   df -P -l\n   ```\n\n\
         2. **Full disk**\n\n   ```bash {when=\"cause == 'disk_full'\"}\n   paramedic server stop \"$SERVER_NAME\"\n   ```\n\n\
         3. **Generic**\n\n   ```bash {when=\"cause != 'disk_full'\"}\n   paramedic server restart \"$SERVER_NAME\"\n   ```\n",
    );
    stage.world.reply("df -P -l", Reply::exit(0).finding(findings));
    stage.world.state().problem = None;
    stage
}

async fn resolved(stage: &Stage) -> Incident {
    let life = stage.open().await;
    let id = life.fire().await;
    let incident = life.resolved(&id).await;
    life.check_invariants().await;
    incident
}

#[tokio::test]
async fn findings_pick_the_remedy_and_the_report_says_why() {
    let stage = stage(
        "{\"kind\":\"server_mount\",\"subject\":\"/data\"}\n{\"kind\":\"disk_used_percent\",\"subject\":\"/data\",\"value\":100}\nnonsense\n",
    );
    let incident = resolved(&stage).await;
    check_story(
        &incident,
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
        step 2 Full disk
           2.1 intent 1 (disrupt): paramedic server stop "$SERVER_NAME"
           2.1 outcome 1: code 0
        step 2 succeeded: 1 of 1 run
        step 3 Generic
           3.1 skipped: its condition `cause != 'disk_full'` does not hold
        step 3 skipped: its condition `cause != 'disk_full'` does not hold
        verified: 3 probes, 200 ms
        mitigated
        alert resolved
        resolved
        reported
    "#]],
    );
    let report = stage.report(&incident.id).unwrap();
    assert!(
        report.contains("## Cause") && report.contains("disk_full") && report.contains("/data"),
        "{report}"
    );
}

#[tokio::test]
async fn without_a_cause_the_generic_way_is_gone() {
    // A script that claims an attack was blocked is not believed.
    let stage = stage("{\"kind\":\"security_event\",\"subject\":\"time\",\"value\":\"blocked\"}\n");
    let incident = resolved(&stage).await;
    assert_eq!((incident.cause.as_deref(), stage.world.executed(RESTART)), (None, 1));
    let report = stage.report(&incident.id).unwrap();
    assert!(report.contains("No cause stands out"), "{report}");
}
