//! Tests incidents that are cut off after every record: what happens in them, and what the whole story is.

use std::cell::Cell;

use expect_test::expect;

use super::{Scenario, Word, check, statements, whole};
use crate::story::story;
use crate::world::Reply;

const RESTART: &str = r#"paramedic server restart "$SERVER_NAME""#;
const CLEAR: &str = r#"paramedic server clear-cache "$SERVER_NAME""#;

/// A bit of everything: findings, answers, a mixed step, a condition, a task, a value, a retry, verification.
const RECOVERS: Scenario = Scenario {
    steps: r#"
1. **Look**

   ```bash
   paramedic check "$SERVER_NAME" --type liveness
   cat /proc/loadavg
   echo looked
   ```

2. **Look and clear**

   ```bash
   cat /proc/meminfo
   ```

   ```bash {retry=1}
   paramedic server clear-cache "$SERVER_NAME"
   ```

   ```bash {when="alert.name == 'Other'"}
   paramedic server clear-cache elsewhere
   paramedic server restart elsewhere
   ```

3. **Tell the owner**

4. **Close the shard**

   ```bash
   paramedic server readonly "$SHARD"
   ```

5. **Restart**

   ```bash {verify="ready" approve=always}
   paramedic server restart "$SERVER_NAME"
   echo "$SHARD"
   ```

6. **Look again**

   ```bash
   paramedic check "$SERVER_NAME" --type readiness
   ```
"#,
    prepare: |world| {
        world.reply(r#"paramedic check "$SERVER_NAME" --type liveness"#, Reply::exit(1));
        world.reply("cat /proc/loadavg", Reply::exit(2).printing("no such file\n"));
        world.reply("cat /proc/meminfo", Reply::exit(2));
        world.reply(CLEAR, Reply::exit(1));
        world.reply(RESTART, Reply::exit(0).restarting());
    },
    answer: |unit| match unit {
        "4.1" => Word::Yes(&[("SHARD", "seven")]),
        _ => Word::Yes(&[]),
    },
};

const CLEAR_AND_RESTART: &str = r#"
1. **Clear**

   ```bash
   paramedic server clear-cache "$SERVER_NAME"
   ```

2. **Restart**

   ```bash {approve=always}
   paramedic server restart "$SERVER_NAME"
   ```
"#;

const REJECTED: Scenario = Scenario { steps: CLEAR_AND_RESTART, prepare: |_| {}, answer: |_| Word::No };

const REJECTED_TASK: Scenario = Scenario {
    steps: r#"
1. **Tell the owner**

2. **Clear**

   ```bash
   paramedic server clear-cache "$SERVER_NAME"
   ```
"#,
    prepare: |_| {},
    answer: |_| Word::No,
};

const TOO_LATE: Scenario = Scenario {
    steps: CLEAR_AND_RESTART,
    prepare: |world| world.state().problem = None,
    answer: |_| Word::AlertOver,
};

const STOPS_TWICE: Scenario = Scenario {
    steps: r#"
1. **Clear and restart**

   ```bash
   paramedic server clear-cache "$SERVER_NAME"
   paramedic server restart "$SERVER_NAME"
   ```
"#,
    prepare: |world| {
        world.reply(CLEAR, Reply::exit(1));
        world.reply(RESTART, Reply::exit(1));
    },
    answer: |_| Word::No,
};

const NOT_VERIFIED: Scenario = Scenario {
    steps: r#"
1. **Clear**

   ```bash {verify="live" timeout=1s}
   paramedic server clear-cache "$SERVER_NAME"
   echo cleared
   ```
"#,
    prepare: |_| {},
    answer: |_| Word::No,
};

#[test]
fn an_incident_that_is_resolved() {
    check(
        RECOVERS,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Look
           1.1 intent 1 (observe): paramedic check "$SERVER_NAME" --type liveness
           1.1 outcome 1: code 1 (not healthy)
           1.2 intent 1 (observe): cat /proc/loadavg
           1.2 outcome 1: code 2, printed "no such file\n"
           1.3 skipped: the unit before it ended unexpectedly: exited with code 2
        step 1 failed: 1.2: exited with code 2
        step 2 Look and clear
           2.1 intent 1 (observe): cat /proc/meminfo
           2.1 outcome 1: code 2
           2.2 intent 1 (change): paramedic server clear-cache "$SERVER_NAME"
           2.2 outcome 1: code 1
           2.2 intent 2 (change): paramedic server clear-cache "$SERVER_NAME"
           2.2 outcome 2: code 0
           2.3 skipped: its condition `alert.name == 'Other'` does not hold
           2.4 skipped: its condition `alert.name == 'Other'` does not hold
        step 2 failed: 2.1: exited with code 2
        step 3 Tell the owner
           3 asks (manual): a task for a person
           3 approved by ada
        step 3 succeeded: done by ada
        step 4 Close the shard
           4.1 asks (change): it needs SHARD
           4.1 approved by ada, SHARD=seven
           4.1 intent 1 (change): paramedic server readonly "$SHARD"
           4.1 outcome 1: code 0
        step 4 succeeded: 1 of 1 run
        step 5 Restart
           5.1 asks (disrupt): its author wants a person's word
           5.1 approved by ada
           5.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
           5.1 outcome 1: code 0
           5.1 verified: ready
           5.2 asks (observe): its author wants a person's word
           5.2 approved by ada
           5.2 intent 1 (observe): echo "$SHARD"
           5.2 outcome 1: code 0
        step 5 succeeded: 2 of 2 run
        step 6 Look again
           6.1 intent 1 (observe): paramedic check "$SERVER_NAME" --type readiness
           6.1 outcome 1: code 0
        step 6 succeeded: 1 of 1 run
        verified: 3 probes, 200 ms
        mitigated
        alert resolved
        resolved
        reported
    "#]],
    );
}

#[test]
fn an_incident_in_which_a_person_says_no() {
    check(
        REJECTED,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Clear
           1.1 intent 1 (change): paramedic server clear-cache "$SERVER_NAME"
           1.1 outcome 1: code 0
        step 1 succeeded: 1 of 1 run
        step 2 Restart
           2.1 asks (disrupt): its author wants a person's word
           2.1 rejected by ada: not now
        step 2 failed: 2.1: not now
        person needed: 2.1: not now
    "#]],
    );
}

#[test]
fn an_incident_in_which_a_person_does_not_do_a_task() {
    check(
        REJECTED_TASK,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Tell the owner
           1 asks (manual): a task for a person
           1 rejected by ada: not now
        step 1 failed: not now
        person needed: not now
    "#]],
    );
}

#[test]
fn an_incident_that_is_over_before_the_answer() {
    check(
        TOO_LATE,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Clear
           1.1 intent 1 (change): paramedic server clear-cache "$SERVER_NAME"
           1.1 outcome 1: code 0
        step 1 succeeded: 1 of 1 run
        step 2 Restart
           2.1 asks (disrupt): its author wants a person's word
        alert resolved
           2.1 void: the alert is resolved: a change would come too late
           2.1 skipped: the alert is resolved: a change would come too late
        step 2 skipped: the alert is resolved: a change would come too late
        verified: 3 probes, 200 ms
        mitigated
        resolved
        reported
    "#]],
    );
}

#[test]
fn an_incident_whose_changes_fail() {
    check(
        STOPS_TWICE,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Clear and restart
           1.1 intent 1 (change): paramedic server clear-cache "$SERVER_NAME"
           1.1 outcome 1: code 1
           1.2 skipped: the unit before it ended unexpectedly: exited with code 1
        step 1 failed: 1.1: exited with code 1
        not verified: 1.1: exited with code 1
        run 2
        step 1 Clear and restart
           1.1 intent 1 (change): paramedic server clear-cache "$SERVER_NAME"
           1.1 outcome 1: code 0
           1.2 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
           1.2 outcome 1: code 1
        step 1 failed: 1.2: exited with code 1
        not verified: 1.2: exited with code 1
        person needed: 2 run(s) of the procedure did not help for good: 1.2: exited with code 1
    "#]],
    );
}

#[test]
fn an_incident_whose_changes_do_not_help() {
    check(
        NOT_VERIFIED,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Clear
           1.1 intent 1 (change): paramedic server clear-cache "$SERVER_NAME"
           1.1 outcome 1: code 0
           1.1 not verified: `live` does not hold afterwards: connection refused
        step 1 failed: 1.1: `live` does not hold afterwards: connection refused
        not verified: 1.1: `live` does not hold afterwards: connection refused
        run 2
        step 1 Clear
           1.1 intent 1 (change): paramedic server clear-cache "$SERVER_NAME"
           1.1 outcome 1: code 0
           1.1 not verified: `live` does not hold afterwards: connection refused
        step 1 failed: 1.1: `live` does not hold afterwards: connection refused
        not verified: 1.1: `live` does not hold afterwards: connection refused
        person needed: 2 run(s) of the procedure did not help for good: 1.1: `live` does not hold afterwards: connection refused
    "#]],
    );
}

/// A statement that leaves a job in the background, in an incident that does not recover.
const LEAVES_A_JOB: Scenario = Scenario {
    steps: r#"
1. **Look**

   ```bash
   cat /proc/loadavg &
   ```
"#,
    prepare: |world| {
        for _ in 0..2 {
            world.reply("cat /proc/loadavg &", Reply::exit(0).printing("0.5\n").leaving_a_job());
        }
    },
    answer: |_| Word::Yes(&[]),
};

#[test]
fn an_incident_with_jobs_in_the_background() {
    check(
        LEAVES_A_JOB,
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
}

/// An engine that dies after every single record gets there in as many lives.
#[test]
fn a_life_for_each_record() {
    let (incident, executed) = whole(RECOVERS);
    let stage = RECOVERS.stage();
    let stands = Cell::new(true);
    for records in 1..incident.timeline.len() {
        let cut = stage.live(async |life| {
            stage.take_again().await;
            stage.refuse(&format!("NEW.seq > {records}")).await;
            RECOVERS.play(life, &stands).await
        });
        assert!(cut.is_none(), "nothing was written after record {records}");
        stage.world.forget_stuck();
    }
    let ended = stage.live(async |life| {
        stage.take_again().await;
        RECOVERS.play(life, &stands).await
    });
    assert_eq!(story(&ended.unwrap()), story(&incident));
    assert_eq!(statements(&stage), executed);
}
