//! Tests background jobs: they see the recovery, and end with their run, the incident, or the machine's part of it.

use std::time::Duration;

use expect_test::expect;
use incident::{Incident, Record, Word};
use runner::BackgroundEnd;

use crate::stage::{Life, Stage, check_story};
use crate::world::Reply;

const LOOK: &str = "cat /proc/loadavg &";
const CHANGE: &str = r#"paramedic server clear-cache "$SERVER_NAME" &"#;
const RESTART: &str = r#"paramedic server restart "$SERVER_NAME""#;

/// A job that looks, one that changes something, and the restart.
const STEPS: &str = r#"
1. **Look**

   ```bash
   cat /proc/loadavg &
   ```

2. **Clear**

   ```bash
   paramedic server clear-cache "$SERVER_NAME" & # lint: allow RB012
   ```

3. **Restart**

   ```bash
   paramedic server restart "$SERVER_NAME"
   ```
"#;

/// The one that looks, and a task that waits for a person.
const WAITS: &str = r#"
1. **Look**

   ```bash
   cat /proc/loadavg &
   ```

2. **Clear**

   ```bash
   paramedic server clear-cache "$SERVER_NAME" & # lint: allow RB012
   ```

3. **Tell the owner**
"#;

fn stage(steps: &str) -> Stage {
    let stage = Stage::new(steps);
    stage.world.reply(LOOK, Reply::exit(0).printing("0.5\n").leaving_a_job());
    stage.world.reply(CHANGE, Reply::exit(0).leaving_a_job());
    stage
}

/// What is known of the ends of jobs, in order.
fn ends(incident: &Incident) -> Vec<String> {
    let ends = incident.timeline.iter().filter_map(|(_, record)| match record {
        Record::BackgroundEnded { unit, reason, .. } => Some(format!("{}: {reason}", unit.unit)),
        _ => None,
    });
    ends.collect()
}

async fn ended(life: &Life, id: &incident::IncidentId, count: usize) -> Vec<String> {
    ends(&life.until(id, |incident| ends(incident).len() >= count).await)
}

#[tokio::test]
async fn they_see_the_recovery_and_the_report_has_what_they_printed() {
    let stage = stage(STEPS);
    stage.world.reply(RESTART, Reply::exit(0).restarting());
    let life = stage.open().await;
    let id = life.fire().await;
    let incident = life.resolved(&id).await;
    assert_eq!(stage.world.jobs(), 0);
    let place = |is: fn(&Record) -> bool| incident.timeline.iter().position(|(_, record)| is(record));
    let verified = place(|record| matches!(record, Record::Verified { .. })).unwrap();
    let first_end = place(|record| matches!(record, Record::BackgroundEnded { .. })).unwrap();
    let reported = place(|record| matches!(record, Record::Reported { .. })).unwrap();
    assert!(verified < first_end && first_end < reported);
    let mut ends = ends(&incident);
    ends.sort();
    assert_eq!(ends, ["1.1: recovery is verified", "2.1: recovery is verified"]);
    let report = stage.report(&id).unwrap();
    for line in ["ran on in the background for", "recovery is verified", "0.5\ntick\n"] {
        assert!(report.contains(line), "`{line}` is not in {report}");
    }
    life.check_invariants().await;
}

#[tokio::test]
async fn the_next_run_ends_those_of_the_one_before() {
    let stage = Stage::new(WAITS.split("2. **Clear**").next().unwrap());
    for _ in 0..2 {
        stage.world.reply(LOOK, Reply::exit(0).printing("0.5\n").leaving_a_job());
    }
    let life = stage.open().await;
    let id = life.fire().await;
    let incident = life.person_needed(&id).await;
    check_story(
        &incident,
        expect![[r#"
            opened: time, server-down, time was killed by SIGKILL
            captured: host snapshot
            run 1
            step 1 Look
               1.1 intent 1 (observe): cat /proc/loadavg &
               1.1 outcome 1: code 0, printed "0.5\n", runs on
            step 1 succeeded: 1 of 1 run
            not verified: no 3 good answers in a row within 1 s: connection refused
            run 2
               1.1 background 1 ended: run 2 of the procedure begins, printed "0.5\ntick\n"
            step 1 Look
               1.1 intent 1 (observe): cat /proc/loadavg &
               1.1 outcome 1: code 0, printed "0.5\n", runs on
            step 1 succeeded: 1 of 1 run
            not verified: no 3 good answers in a row within 1 s: connection refused
            person needed: 2 run(s) of the procedure did not help for good: no 3 good answers in a row within 1 s: connection refused
        "#]],
    );
    // It looks while people work, and sees what they do.
    assert_eq!(stage.world.jobs(), 1);
    let close = Word::Close { reason: "it is a drill".to_owned() };
    life.engine.say(&id, "ada", close).await.unwrap();
    let incident = life.until(&id, Incident::is_reported).await;
    assert_eq!((ends(&incident).len(), stage.world.jobs()), (2, 0));
    assert_eq!(ends(&incident)[1], "1.1: the incident is closed");
}

#[tokio::test]
async fn a_person_who_takes_over_ends_what_may_do_more_than_look() {
    let stage = stage(WAITS);
    let life = stage.open().await;
    let id = life.fire().await;
    life.asked(&id).await;
    assert_eq!(stage.world.jobs(), 2);
    let hold = Word::Hold { reason: "let me".to_owned() };
    life.engine.say(&id, "ada", hold).await.unwrap();
    assert_eq!(ended(&life, &id, 1).await, ["2.1: ada took over, and it may do more than look"]);
    assert_eq!(stage.world.jobs(), 1);
    let abort = Word::Abort { reason: "enough".to_owned() };
    life.engine.say(&id, "ada", abort).await.unwrap();
    assert_eq!(ended(&life, &id, 2).await[1], "1.1: ada ended the machine's part: enough");
    assert_eq!(stage.world.jobs(), 0);
}

#[tokio::test]
async fn the_kill_switch_ends_what_may_do_more_than_look() {
    let stage = stage(WAITS);
    let life = stage.open().await;
    let id = life.fire().await;
    life.asked(&id).await;
    stage.world.kill_switch();
    stage.world.settle().await;
    stage.world.advance(Duration::from_secs(2));
    assert_eq!(ended(&life, &id, 1).await, ["2.1: the kill switch is on, and it may do more than look"]);
    assert_eq!(stage.world.jobs(), 1);
}

#[tokio::test]
async fn whichever_way_one_ends_it_is_written_down_at_once() {
    for (end, words) in [
        (BackgroundEnd::ByItself, "it came to its end"),
        (BackgroundEnd::Limit, "it ran for as long as it may"),
        (BackgroundEnd::Lost, "the process that kept it was gone, and what was left of it was ended"),
    ] {
        let stage = stage(WAITS);
        let life = stage.open().await;
        let id = life.fire().await;
        life.asked(&id).await;
        stage.world.end_jobs(end);
        let mut ends = ended(&life, &id, 2).await;
        ends.sort();
        assert_eq!(ends, [format!("1.1: {words}"), format!("2.1: {words}")]);
        assert!(life.incident(&id).await.state.is_open());
    }
}

#[tokio::test]
async fn another_attempt_ends_that_of_the_one_before() {
    let steps = WAITS.replace("```bash\n   paramedic", "```bash {retry=1}\n   paramedic");
    let stage = Stage::new(&steps);
    for code in [1, 0] {
        stage.world.reply(CHANGE, Reply::exit(code).leaving_a_job());
    }
    let life = stage.open().await;
    let id = life.fire().await;
    life.asked(&id).await;
    assert_eq!(ends(&life.incident(&id).await), ["2.1: its statement is run once more"]);
    assert_eq!(stage.world.jobs(), 1);
}

#[tokio::test]
async fn a_person_who_takes_the_statement_back_ends_its_job() {
    let attribute = r#"```bash {undo="paramedic server writes time"}"#;
    let stage = stage(&WAITS.replace("```bash\n   paramedic", &format!("{attribute}\n   paramedic")));
    let life = stage.open().await;
    let id = life.fire().await;
    life.asked(&id).await;
    life.engine.undo(&id, "2.1", "ada").await.unwrap();
    assert_eq!(ends(&life.incident(&id).await), ["2.1: it is taken back"]);
    assert_eq!((stage.world.jobs(), stage.world.executed("paramedic server writes time")), (1, 1));
}

/// The engine dies while they run; nobody is there when the person ends the machine's part of the incident.
#[test]
fn the_next_life_looks_after_them() {
    let stage = stage(WAITS);
    let id = stage.live(async |life| {
        let id = life.fire().await;
        life.asked(&id).await;
        id
    });
    assert_eq!(stage.world.jobs(), 2);
    stage.live(async |life| {
        life.engine.resume().await;
        let abort = Word::Abort { reason: "enough".to_owned() };
        life.engine.say(&id, "ada", abort).await.unwrap();
        ended(life, &id, 2).await;
    });
    assert_eq!(stage.world.jobs(), 0);
}

/// One is left by a statement that was begun before the machine's part was ended, and ends after it.
#[tokio::test]
async fn one_that_comes_too_late_ends_at_once() {
    let stage = stage(WAITS);
    let life = stage.open().await;
    let id = life.fire().await;
    let begun =
        |incident: &Incident| incident.timeline.iter().any(|(_, one)| matches!(one, Record::Intent { .. }));
    life.until(&id, begun).await;
    life.engine.say(&id, "ada", Word::Abort { reason: "enough".to_owned() }).await.unwrap();
    let over = |incident: &Incident| !incident.jobs.is_empty() && incident.open_jobs().next().is_none();
    life.until(&id, over).await;
    assert_eq!(stage.world.jobs(), 0);
}

#[tokio::test]
async fn by_hand_they_end_with_the_procedure() {
    let stage = stage(WAITS.split("2. **Clear**").next().unwrap()).by_hand();
    let life = stage.open().await;
    let id = life.engine.open_by_hand("time", &stage.book, "server-down", "ada").await.unwrap();
    let incident = life.until(&id, Incident::is_reported).await;
    assert_eq!(ends(&incident), ["1.1: the incident is closed"]);
    assert_eq!(stage.world.jobs(), 0);
}

#[tokio::test]
async fn a_watch_leaves_none() {
    let stage = Stage::new(
        r#"
1. **Look**

   ```bash {until=1s every=1s}
   cat /proc/loadavg &
   ```
"#,
    );
    for _ in 0..9 {
        stage.world.reply(LOOK, Reply::exit(0).leaving_a_job());
    }
    let life = stage.open().await;
    let id = life.fire().await;
    let incident = life.person_needed(&id).await;
    assert!(stage.world.executed(LOOK) > 1);
    assert!(incident.jobs.is_empty());
}
