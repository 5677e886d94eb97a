//! Tests of who is called when nobody answers, what fires after the engine was away, and who is told of it.

use std::collections::BTreeMap;
use std::time::Duration;

use expect_test::{Expect, expect};
use incident::{Deadline, Escalating, Incident, IncidentId, Level, Notice, Record, State, Word};

use crate::stage::{Life, Stage, fired};
use crate::world::{Cut, Reply, START_MS};

const MINUTE_MS: i64 = 60_000;

/// A procedure whose only statement never ends, so that nothing but time passes.
const HANGS: &str = "1. **Look**\n\n   ```bash\n   uptime\n   ```\n";

/// A procedure of which the first statement needs a yes.
const ASKS: &str = "1. **Erase**\n\n   ```bash\n   rm -r /srv/x\n   ```\n";

fn stage(steps: &str, criteria: &str) -> Stage {
    let stage = Stage::of(&format!(
        "## Server Down\n\n### Alert: Down\n\n**Severity**: Critical\\\n**Response Time**: < 5 minutes\\\n\
         **Contact**: primary\\\n**Alert Query**: `mcp_server_up == 0`\n\n### Response (0-10 minutes)\n\n{steps}\n\
         ### Recovery (10-30 minutes)\n\n2. **Restart**\n\n   ```bash\n   true\n   ```\n\n\
         ### Escalation Criteria\n\n{criteria}\n"
    ));
    stage.world.state().escalating = escalating();
    for _ in 0..2 {
        stage.world.reply("uptime", Reply::exit(0).cut(Cut::Midway));
    }
    stage
}

/// Two levels with two minutes each, called twice.
fn escalating() -> Escalating {
    let level =
        |contact: &str| Level { contacts: vec![contact.to_owned()], delay: Duration::from_secs(2 * 60) };
    Escalating {
        levels: vec![level("ann"), level("boss")],
        loops: 1,
        contacts: ["ann", "boss", "dba"].map(str::to_owned).into(),
        ..Escalating::default()
    }
}

/// What has fired, a line each: when after the opening, what, and who is called.
fn fired_so_far(incident: &Incident) -> String {
    let line = |(at_ms, record): &(i64, Record)| {
        let after = (at_ms - START_MS) / 1_000;
        Some(match record {
            Record::DeadlinePassed { deadline, due_ms, to, reason } => {
                let late = (at_ms - due_ms) / 1_000;
                let late = if late > 0 { format!(" ({late} s late)") } else { String::new() };
                let what = match deadline {
                    Deadline::Level { level, round, .. } => format!("level {level}, round {round}"),
                    other => format!("{other:?}").split_whitespace().next().unwrap_or_default().to_owned(),
                };
                format!("{after} s{late}: {what} → {}: {reason}\n", to.join(", "))
            }
            Record::CriterionMet { criterion, to, reason } => {
                format!("{after} s: {criterion} → {}: {reason}\n", to.join(", "))
            }
            _ => return None,
        })
    };
    incident.timeline.iter().filter_map(line).collect()
}

/// Lets time pass as the loop of `serve` does: to what is due next, again and again, up to so many minutes.
async fn pass(life: &Life, minutes: i64) {
    let now_ms = || incident::World::now_ms(&*life.world);
    let end_ms = now_ms() + minutes * MINUTE_MS;
    while let Some(next_ms) = life.engine.tick(now_ms()).await.unwrap().filter(|next_ms| *next_ms <= end_ms) {
        assert!(next_ms > now_ms(), "it is due and has not fired");
        life.world.advance(Duration::from_millis((next_ms - now_ms()).unsigned_abs()));
    }
    life.world.advance(Duration::from_millis((end_ms - now_ms()).unsigned_abs()));
    life.engine.tick(now_ms()).await.unwrap();
}

/// Opens an incident whose procedure hangs.
async fn hanging(life: &Life) -> IncidentId {
    let id = life.fire().await;
    life.until(&id, |incident| !incident.steps.is_empty()).await;
    life.world.stuck(1).await;
    id
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "so that callers can write it in one expression")]
fn check(incident: &Incident, expect: Expect) {
    expect.assert_eq(&fired_so_far(incident));
}

async fn notices(life: &Life) -> Vec<Notice> {
    life.engine.notices(incident::World::now_ms(&*life.world), |_| false).await.unwrap()
}

/// What is to be told, a line each.
async fn to_be_told(life: &Life) -> String {
    let line = |notice: &Notice| {
        let note = notice.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
        format!("{} {}: {}{note}\n", notice.contact, notice.news.name(), notice.text)
    };
    notices(life).await.iter().map(line).collect()
}

/// Everybody who is to be told is told.
async fn tell_all(life: &Life) -> usize {
    let mut told = 0;
    loop {
        let notices = notices(life).await;
        if notices.is_empty() {
            return told;
        }
        for notice in notices {
            life.engine.note_told(&notice, 1, None).await.unwrap();
            told += 1;
        }
    }
}

#[test]
fn levels_are_called_in_turn_and_again_and_then_nobody_answered() {
    stage(HANGS, "").live(async |life| {
        let id = hanging(life).await;
        pass(life, 8 * 60).await;
        check(&life.incident(&id).await, expect![[r#"
            300 s: level 1, round 1 → ann: nobody has taken notice for 5 min 0 s: level 1 is called (the runbook allows 5 min 0 s)
            420 s: level 2, round 1 → boss: nobody has taken notice for 7 min 0 s: level 2 is called
            540 s: level 1, round 2 → ann: nobody has taken notice for 9 min 0 s: level 1 is called, for the 2. time
            600 s: Phase → ann: the phase `Response` is not over 10 min 0 s after the opening, when it should be
            660 s: level 2, round 2 → boss: nobody has taken notice for 11 min 0 s: level 2 is called, for the 2. time
            780 s: NobodyAnswered → log: nobody answered, with 2 levels called 2 times
            1800 s: Phase → ann: the phase `Recovery` is not over 30 min 0 s after the opening, when it should be
        "#]]);
    });
}

#[test]
fn after_hours_away_what_is_overdue_fires_once_and_whoever_is_called_has_time_to_answer() {
    let stage = stage(HANGS, "");
    let id = stage.live(hanging);
    stage.world.advance(Duration::from_secs(3 * 60 * 60));
    stage.live(async |life| {
        let now_ms = incident::World::now_ms(&*life.world);
        let next_ms = life.engine.tick(now_ms).await.unwrap();
        assert_eq!(next_ms, Some(now_ms + 2 * MINUTE_MS), "level 2 is due when level 1 had its time");
        check(&life.incident(&id).await, expect![[r#"
            10800 s (10500 s late): level 1, round 1 → ann: nobody has taken notice for 5 min 0 s: level 1 is called (the runbook allows 5 min 0 s)
            10800 s (10200 s late): Phase → ann: the phase `Response` is not over 10 min 0 s after the opening, when it should be
            10800 s (9000 s late): Phase → ann: the phase `Recovery` is not over 30 min 0 s after the opening, when it should be
        "#]]);
    });
    // Killed and started again at the same moment: nothing fires twice.
    stage.live(async |life| {
        let before = life.incident(&id).await.timeline.len();
        life.engine.tick(incident::World::now_ms(&*life.world)).await.unwrap();
        assert_eq!(life.incident(&id).await.timeline.len(), before);
    });
}

#[test]
fn two_loops_at_once_let_nothing_fire_twice() {
    stage(HANGS, "").live(async |life| {
        let id = hanging(life).await;
        life.world.advance(Duration::from_secs(6 * 60));
        let now_ms = incident::World::now_ms(&*life.world);
        let (first, second) = tokio::join!(life.engine.tick(now_ms), life.engine.tick(now_ms));
        assert_eq!(first.unwrap(), second.unwrap());
        let calls = life
            .incident(&id)
            .await
            .timeline
            .iter()
            .filter(|(_, one)| one.kind() == "deadline_passed")
            .count();
        assert_eq!(calls, 1);
    });
}

#[test]
fn an_acknowledgement_stops_the_calls_until_nothing_is_done_for_too_long() {
    stage(HANGS, "").live(async |life| {
        let id = hanging(life).await;
        pass(life, 6).await;
        life.engine.acknowledge(&id, "ann").await.unwrap();
        assert_eq!(life.incident(&id).await.state, State::Acknowledged);
        pass(life, 10).await;
        // Whatever a person does counts.
        life.engine.say(&id, "ann", Word::Note { text: "on it".to_owned() }).await.unwrap();
        pass(life, 36).await;
        let incident = life.incident(&id).await;
        assert_eq!(incident.state, State::Triggered, "it counts as unacknowledged again");
        assert_eq!(incident.acknowledged.as_ref().map(|(_, by)| by.as_str()), Some("ann"));
        check(&incident, expect![[r#"
            300 s: level 1, round 1 → ann: nobody has taken notice for 5 min 0 s: level 1 is called (the runbook allows 5 min 0 s)
            600 s: Phase → ann: the phase `Response` is not over 10 min 0 s after the opening, when it should be
            1800 s: Phase → ann: the phase `Recovery` is not over 30 min 0 s after the opening, when it should be
            1860 s: AckReminder → ann: ann took notice, and nothing was done for 15 min 0 s
            2760 s: AckTimeout → : ann took notice, and nothing was done for 30 min 0 s: it counts as unacknowledged again
            3060 s: level 1, round 1 → ann: nobody has taken notice for 5 min 0 s: level 1 is called (the runbook allows 5 min 0 s)
        "#]]);
    });
}

#[test]
fn the_runbooks_own_word_counts_until_a_person_is_needed() {
    stage(ASKS, "").live(async |life| {
        let id = life.fire().await;
        life.asked(&id).await;
        pass(life, 6).await;
        // The runbook's own step is no person.
        life.engine.acknowledge(&id, "the runbook (unit 1.1)").await.unwrap();
        pass(life, 2).await;
        life.no(&id, "1.1").await;
        let incident = life.person_needed(&id).await;
        check(&incident, expect![[r#"
            300 s: level 1, round 1 → ann: nobody has taken notice for 5 min 0 s: level 1 is called (the runbook allows 5 min 0 s)
            420 s: level 2, round 1 → boss: nobody has taken notice for 7 min 0 s: level 2 is called
        "#]]);
        // Ada has said no: she knows of it.
        let before = fired_so_far(&incident);
        pass(life, 5).await;
        assert_eq!(fired_so_far(&life.incident(&id).await), before);
    });
}

#[test]
fn what_a_person_leads_or_is_over_calls_nobody() {
    stage(HANGS, "").live(async |life| {
        let id = hanging(life).await;
        life.engine.say(&id, "ann", Word::Hold { reason: "mine".to_owned() }).await.unwrap();
        pass(life, 60).await;
        check(&life.incident(&id).await, expect![""]);
        life.engine.say(&id, "ann", Word::Resume).await.unwrap();
        pass(life, 1).await;
        check(&life.incident(&id).await, expect![[r#"
            3600 s (3000 s late): Phase → ann: the phase `Response` is not over 10 min 0 s after the opening, when it should be
            3600 s (1800 s late): Phase → ann: the phase `Recovery` is not over 30 min 0 s after the opening, when it should be
        "#]]);
        life.world.state().problem = None;
        life.engine.resolve(&id, "ann").await.unwrap();
        let before = life.incident(&id).await.timeline.len();
        pass(life, 600).await;
        assert_eq!(life.incident(&id).await.timeline.len(), before);
    });
}

#[test]
fn a_procedure_followed_by_hand_calls_nobody() {
    stage(ASKS, "- The server is still down after 1 minute").by_hand().live(async |life| {
        let book = life.engine.shelf().books()[0].clone();
        let id = life.engine.open_by_hand("time", &book, "server-down", "ann").await.unwrap();
        life.asked(&id).await;
        assert_eq!(life.engine.tick(START_MS + 600 * MINUTE_MS).await.unwrap(), None);
        assert!(notices(life).await.is_empty());
    });
}

#[test]
fn criteria_escalate_once_each() {
    let criteria = "- The server is still down after 20 minutes\n- Service fails to restart after 2 attempts\n\
                    - 2 or more servers are down at the same time\n- The boss has a bad feeling\n";
    stage(HANGS, criteria).live(async |life| {
        let id = hanging(life).await;
        life.engine.acknowledge(&id, "ann").await.unwrap();
        for number in 0..2 {
            let restarted = Record::Restarted {
                server: "time".to_owned(),
                by: "bob".to_owned(),
                key: format!("by hand {number}"),
                pid: None,
                start_ms: None,
                problem: Some("it exits".to_owned()),
            };
            life.engine.note_restart(restarted).await.unwrap();
            pass(life, 1).await;
        }
        let other = life.engine.fire(&fired("mem", START_MS + 9)).await.unwrap().unwrap();
        life.world.stuck(2).await;
        pass(life, 25).await;
        check(&life.incident(&id).await, expect![[r#"
            60 s: Service fails to restart after 2 attempts → boss: the server was restarted 2 times, and the trouble is still there
            120 s: 2 or more servers are down at the same time → boss: 2 servers are in trouble: mem, time
            600 s: Phase → ann: the phase `Response` is not over 10 min 0 s after the opening, when it should be
            960 s: AckReminder → ann: bob took notice, and nothing was done for 15 min 0 s
            1200 s: The server is still down after 20 minutes → boss: it is not over 20 min after the opening
        "#]]);
        let other = life.incident(&other).await;
        let said = other.timeline.iter().any(|(_, record)| {
            matches!(record, Record::CriterionMet { criterion, .. } if criterion.starts_with("2 or more"))
        });
        assert!(!said, "one call is enough for all of them");
    });
}

#[test]
fn whoever_is_meant_is_told_once_and_the_next_where_they_cannot_be() {
    let stage = stage(HANGS, "- The boss has a bad feeling\n");
    let id = stage.live(async |life| {
        let id = hanging(life).await;
        assert_eq!(to_be_told(life).await.lines().count(), 1);
        id
    });
    // Killed after it was asked and before anybody was told: the same notice, under the same key.
    stage.live(async |life| {
        let again = notices(life).await;
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].key, format!("{id}-0-ann"));
        assert_eq!(again[0].undecided, ["The boss has a bad feeling"]);
        life.engine.note_told(&again[0], 6, Some("no route".to_owned())).await.unwrap();
        expect![[r#"
            boss opened: incident opened for Server Down: time was killed by SIGKILL (ann could not be told: no route)
        "#]].assert_eq(&to_be_told(life).await);
        let next = notices(life).await;
        life.engine.note_told(&next[0], 1, Some("asleep".to_owned())).await.unwrap();
        // In the end there is always the log.
        expect![[r#"
            log opened: incident opened for Server Down: time was killed by SIGKILL (boss could not be told: asleep)
        "#]].assert_eq(&to_be_told(life).await);
        assert_eq!(tell_all(life).await, 1);
        // Told twice by two tasks, it is written down once.
        let before = life.incident(&id).await.timeline.len();
        life.engine.note_told(&next[0], 1, None).await.unwrap();
        assert_eq!(life.incident(&id).await.timeline.len(), before);
    });
}

#[test]
fn a_person_calls_others_by_name() {
    stage(HANGS, "").live(async |life| {
        let id = hanging(life).await;
        tell_all(life).await;
        for to in ["dba", "network"] {
            let (to, reason) = (to.to_owned(), "the index is broken".to_owned());
            life.engine.say(&id, "ann", Word::Escalate { to, reason }).await.unwrap();
        }
        expect![[r#"
            dba escalated: ann calls dba: the index is broken
            boss escalated: ann calls network: the index is broken (the configuration has no contact `network`; others are told instead)
        "#]].assert_eq(&to_be_told(life).await);
    });
}

#[test]
fn where_there_are_no_contacts_it_says_that_nobody_was_called() {
    let stage = stage(HANGS, "");
    stage.world.state().escalating = Escalating::default();
    stage.live(async |life| {
        let id = hanging(life).await;
        expect![[r#"
            log opened: incident opened for Server Down: time was killed by SIGKILL (nobody was called: no contact is configured for this, so it is only logged)
        "#]].assert_eq(&to_be_told(life).await);
        tell_all(life).await;
        pass(life, 60).await;
        check(&life.incident(&id).await, expect![[r#"
            300 s: level 1, round 1 → log: nobody has taken notice for 5 min 0 s: level 1 is called (the runbook allows 5 min 0 s); nobody was called: no contact is configured for this, so it is only logged
            600 s: Phase → log: the phase `Response` is not over 10 min 0 s after the opening, when it should be; nobody was called: no contact is configured for this, so it is only logged
            1200 s: NobodyAnswered → log: nobody answered, with 1 level called once
            1800 s: Phase → log: the phase `Recovery` is not over 30 min 0 s after the opening, when it should be; nobody was called: no contact is configured for this, so it is only logged
        "#]]);
    });
}

#[test]
fn from_the_opening_to_the_end_the_same_people_hear_of_it() {
    let steps = "1. **Restart**\n\n   ```bash\n   paramedic server restart time\n   ```\n";
    let stage = Stage::new(steps);
    stage.world.state().escalating = escalating();
    stage.world.reply("paramedic server restart time", Reply::exit(0).restarting());
    stage.live(async |life| {
        let id = life.fire().await;
        tell_all(life).await;
        life.resolved(&id).await;
        expect![[r#"
            ann recovered: service is back, and that is verified
            ann resolved: it is over: the alert no longer fires
        "#]]
        .assert_eq(&to_be_told(life).await);
        tell_all(life).await;
        let told = life.incident(&id).await;
        let ended: BTreeMap<u64, usize> =
            told.timeline.iter().fold(BTreeMap::new(), |mut all, (_, record)| {
                if let Record::NotificationEnded { about, .. } = record {
                    *all.entry(*about).or_default() += 1;
                }
                all
            });
        assert!(ended.len() == 3 && ended.values().all(|times| *times == 1), "{ended:?}");
        life.check_invariants().await;
    });
}
