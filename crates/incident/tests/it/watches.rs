//! Tests supervised watches: what ends them, what is written down of them, who may end them, and that a restart of the
//! engine gives them no new time.

use std::time::Duration;

use expect_test::{Expect, expect};
use incident::{Incident, Record, State, StepState, Word};

use crate::stage::{Stage, check_story};
use crate::world::{Cut, Reply};

const LOOK: &str = r#"paramedic check "$SERVER_NAME""#;

const SECOND: Duration = Duration::from_secs(1);

/// One step with one fence that looks, under these attributes, and then a step that is for after it.
fn stage(attributes: &str) -> Stage {
    let stage = Stage::new(&format!(
        "1. **Watch**\n\n   ```bash {{{attributes}}}\n   {LOOK}\n   ```\n\n\
         2. **Then**\n\n   ```bash {{when=\"steps['1'].state == 'succeeded'\"}}\n   uptime\n   ```\n"
    ));
    stage.world.state().policy.runs_max = 1;
    stage
}

/// Whether the watch is over.
fn is_over(incident: &Incident) -> bool {
    incident.timeline.iter().any(|(_, record)| matches!(record, Record::WatchEnded { .. }))
        && incident.steps.iter().any(|view| view.step.number == 2 && view.ended_ms.is_some())
}

fn is_watching(incident: &Incident) -> bool {
    incident.timeline.iter().any(|(_, record)| matches!(record, Record::WatchChanged { .. }))
}

async fn check(stage: &Stage, looks: usize, expect: Expect) {
    let life = stage.open().await;
    let id = life.fire().await;
    let judged = |incident: &Incident| incident.person_needed.is_some() || incident.state == State::Mitigated;
    let incident = life.until(&id, |incident| is_over(incident) && judged(incident)).await;
    check_story(&incident, expect);
    assert_eq!(life.world.executed(LOOK), looks);
    life.check_invariants().await;
    // What stands in the folders is the last round alone.
    let folders = stage.runs(&id);
    assert!(folders.iter().all(|name| !name.ends_with(".now")), "{folders:?}");
}

#[tokio::test]
async fn until_it_holds() {
    let stage = stage("until=ready every=1s timeout=10s");
    for code in [1, 1, 1] {
        stage.world.reply(LOOK, Reply::exit(code));
    }
    stage.world.reply(LOOK, Reply::exit(0).restarting());
    check(
        &stage,
        4,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Watch
           1.1 watched every 1000 ms until `ready`, at most 10000 ms
           1.1 intent 1 (observe): paramedic check "$SERVER_NAME"
           1.1 look 1: code 1 (not healthy)
           1.1 look 4: code 0
           1.1 outcome 1: code 0
           1.1 watch held after 4 looks, 3000 ms: `ready` held after 3.00 s, 4 looks
        step 1 succeeded: `ready` held after 3.00 s, 4 looks
        step 2 Then
           2.1 intent 1 (observe): uptime
           2.1 outcome 1: code 0
        step 2 succeeded: 1 of 1 run
        verified: 3 probes, 200 ms
        mitigated
    "#]],
    )
    .await;
}

#[tokio::test]
async fn what_does_not_hold_in_time_is_a_finding() {
    let stage = stage("until=ready every=1s timeout=3s");
    check(&stage, 4, expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Watch
           1.1 watched every 1000 ms until `ready`, at most 3000 ms
           1.1 intent 1 (observe): paramedic check "$SERVER_NAME"
           1.1 look 1: code 0
           1.1 outcome 1: code 0
           1.1 watch notwithin after 4 looks, 3000 ms: `ready` did not hold within 3.00 s, 4 looks: connection refused
        step 1 failed: `ready` did not hold within 3.00 s, 4 looks: connection refused
        step 2 Then
           2.1 skipped: its condition `steps['1'].state == 'succeeded'` does not hold
        step 2 skipped: its condition `steps['1'].state == 'succeeded'` does not hold
        not verified: no 3 good answers in a row within 1 s: connection refused
        person needed: 1 run(s) of the procedure did not help for good: no 3 good answers in a row within 1 s: connection refused
    "#]]).await;
}

#[tokio::test]
async fn for_a_length_of_time() {
    let lasting = stage("until=3s every=1s timeout=7s");
    lasting.world.reply(LOOK, Reply::exit(0).printing("fine\n"));
    lasting.world.reply(LOOK, Reply::exit(1).printing("ill\n"));
    lasting.world.reply(LOOK, Reply::exit(1).printing("still ill\n"));
    check(&lasting, 4, expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Watch
           1.1 watched every 1000 ms, at most 3000 ms
           1.1 intent 1 (observe): paramedic check "$SERVER_NAME"
           1.1 look 1: code 0
           1.1 look 2: code 1 (not healthy)
           1.1 look 4: code 0
           1.1 outcome 1: code 0
           1.1 watch over after 4 looks, 3000 ms: watched for 3.00 s, 4 looks
        step 1 succeeded: watched for 3.00 s, 4 looks
        step 2 Then
           2.1 intent 1 (observe): uptime
           2.1 outcome 1: code 0
        step 2 succeeded: 1 of 1 run
        not verified: no 3 good answers in a row within 1 s: connection refused
        person needed: 1 run(s) of the procedure did not help for good: no 3 good answers in a row within 1 s: connection refused
    "#]]).await;

    // The last look counts: what is odd then is a finding.
    let odd = stage("until=1s every=1s");
    odd.world.reply(LOOK, Reply::exit(0));
    odd.world.reply(LOOK, Reply::exit(77));
    check(&odd, 2, expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Watch
           1.1 watched every 1000 ms, at most 1000 ms
           1.1 intent 1 (observe): paramedic check "$SERVER_NAME"
           1.1 look 1: code 0
           1.1 look 2: code 77
           1.1 outcome 1: code 77
           1.1 watch unexpected after 2 looks, 1000 ms: 1.1: exited with code 77, in the last look of 1.00 s, 2 looks
        step 1 failed: 1.1: exited with code 77, in the last look of 1.00 s, 2 looks
        step 2 Then
           2.1 skipped: its condition `steps['1'].state == 'succeeded'` does not hold
        step 2 skipped: its condition `steps['1'].state == 'succeeded'` does not hold
        not verified: no 3 good answers in a row within 1 s: connection refused
        person needed: 1 run(s) of the procedure did not help for good: no 3 good answers in a row within 1 s: connection refused
    "#]]).await;
}

#[tokio::test]
async fn findings_are_written_down_where_they_are_new() {
    let stage = stage("until=\"findings.exists(f, f.kind == 'depth' && f.value < 3)\" every=1s timeout=1m");
    for line in [
        "{\"kind\":\"depth\",\"subject\":\"q\",\"value\":9,\"message\":\"at 1\"}\n",
        "{\"kind\":\"depth\",\"subject\":\"q\",\"value\":9,\"message\":\"at 2\"}\n",
        "{\"kind\":\"depth\",\"subject\":\"q\",\"value\":2}\n",
    ] {
        stage.world.reply(LOOK, Reply::exit(0).finding(line));
    }
    check(&stage, 3, expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Watch
           1.1 watched every 1000 ms until `findings.exists(f, f.kind == 'depth' && f.value < 3)`, at most 60000 ms
           1.1 intent 1 (observe): paramedic check "$SERVER_NAME"
           1.1 look 1: code 0
           1.1 found depth q
           1.1 found depth q
           1.1 outcome 1: code 0
           1.1 watch held after 3 looks, 2000 ms: `findings.exists(f, f.kind == 'depth' && f.value < 3)` held after 2.00 s, 3 looks
        step 1 succeeded: `findings.exists(f, f.kind == 'depth' && f.value < 3)` held after 2.00 s, 3 looks
        step 2 Then
           2.1 intent 1 (observe): uptime
           2.1 outcome 1: code 0
        step 2 succeeded: 1 of 1 run
        not verified: no 3 good answers in a row within 1 s: connection refused
        person needed: 1 run(s) of the procedure did not help for good: no 3 good answers in a row within 1 s: connection refused
    "#]]).await;
}

#[tokio::test]
async fn a_flickering_answer_fills_no_journal_and_ends_the_watch_all_the_same() {
    let stage =
        stage("until=\"findings.exists(f, f.kind == 'depth' && f.value == 150)\" every=1s timeout=10m");
    for n in 0..=150 {
        let line: String = format!("{{\"kind\":\"depth\",\"subject\":\"q\",\"value\":{n}}}\n");
        stage.world.reply(LOOK, Reply::exit(n % 2).finding(line.leak()));
    }
    let life = stage.open().await;
    let id = life.fire().await;
    let incident = life.until(&id, is_over).await;
    assert_eq!(life.world.executed(LOOK), 151);
    let is_change =
        |record: &Record| matches!(record, Record::WatchChanged { .. } | Record::Found { unit: Some(_), .. });
    assert_eq!(incident.timeline.iter().filter(|(_, record)| is_change(record)).count(), 100);
    assert_eq!(incident.steps[0].state, StepState::Succeeded);
}

#[tokio::test]
async fn what_may_do_more_than_look_is_never_repeated() {
    let stage = Stage::new(
        "1. **Watch**\n\n   ```bash {until=ready every=1s}\n   uptime\n   paramedic server restart \"$SERVER_NAME\"\n   ```\n",
    );
    stage.world.state().problem = None;
    let life = stage.open().await;
    let id = life.fire().await;
    let question = life.asked(&id).await;
    expect!["a watch only looks, and 1.2 may do more (its effect is disrupt: `paramedic server restart` stops the server and starts it again): do it by hand, then say so"].assert_eq(&question.reason);
    life.yes(&id, "1.1").await;
    assert_eq!(life.resolved(&id).await.steps[0].reason, "done by ada");
    assert_eq!(life.world.state().runs.len(), 0);
}

#[tokio::test]
async fn an_author_who_wants_a_word_gets_one_and_not_one_a_round() {
    let stage = stage("until=2s every=1s approve=always");
    let life = stage.open().await;
    let id = life.fire().await;
    life.yes(&id, "1.1").await;
    let incident = life.until(&id, is_over).await;
    let asked = |record: &Record| matches!(record, Record::ApprovalAsked { .. });
    assert_eq!(incident.timeline.iter().filter(|(_, record)| asked(record)).count(), 1);
    assert_eq!(life.world.executed(LOOK), 3);
}

#[tokio::test]
async fn a_person_who_takes_over_leaves_it_looking_and_one_who_aborts_ends_it() {
    let stage = stage("until=ready every=10s timeout=1h");
    let life = stage.open().await;
    let id = life.fire().await;
    life.until(&id, is_watching).await;
    life.engine.say(&id, "ada", Word::Hold { reason: "mine".to_owned() }).await.unwrap();
    life.world.kill_switch();
    for looks in 2..4 {
        life.world.settle().await;
        life.world.advance(10 * SECOND);
        life.world.ran(LOOK, looks).await;
    }
    life.engine.say(&id, "ada", Word::Abort { reason: "enough".to_owned() }).await.unwrap();
    let ended = |record: &Record| matches!(record, Record::WatchEnded { .. });
    let incident = life.until(&id, |one| one.timeline.iter().any(|(_, record)| ended(record))).await;
    let watch = incident.timeline.iter().map(|(_, record)| record).find(|record| ended(record)).unwrap();
    expect!["1.1 is watched no more: ada ended the machine's part: enough"]
        .assert_eq(&incident::describe(watch).unwrap());
    assert_eq!(life.world.executed(LOOK), 3);
}

/// Two lives of the engine: what is said of the watch after the second, and how often it looked.
fn two_lives(cut: Cut) -> (Incident, usize) {
    let stage = stage("until=ready every=10s timeout=1m");
    let id = stage.live(async |life| {
        let id = life.fire().await;
        life.until(&id, is_watching).await;
        stage.world.reply(LOOK, Reply::exit(0).cut(cut));
        life.world.settle().await;
        life.world.advance(10 * SECOND);
        life.world.ran(LOOK, 2).await;
        id
    });
    // Nobody is there for half a minute.
    stage.world.advance(30 * SECOND);
    let incident = stage.live(async |life| {
        life.engine.resume().await;
        // Forty seconds are over: two more looks, and no minute from now.
        for looks in 3..5 {
            life.world.ran(LOOK, looks).await;
            life.world.settle().await;
            life.world.advance(10 * SECOND);
        }
        life.until(&id, is_over).await
    });
    (incident, stage.world.executed(LOOK))
}

#[test]
fn a_restart_gives_it_no_new_time() {
    for cut in [Cut::Never, Cut::Midway, Cut::EngineOnly] {
        let (incident, looks) = two_lives(cut);
        let ended = incident.timeline.iter().find_map(|(_, record)| match record {
            Record::WatchEnded { took_ms, .. } => Some(*took_ms),
            _ => None,
        });
        assert_eq!((ended, looks), (Some(60_000), 5), "{cut:?}");
        let begun = |record: &Record| matches!(record, Record::WatchStarted { .. } | Record::Intent { .. });
        assert_eq!(incident.timeline.iter().filter(|(_, record)| begun(record)).count(), 2, "{cut:?}");
    }
}
