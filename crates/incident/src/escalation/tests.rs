//! Owns the properties of escalation over whatever may happen: nothing fires twice, late, or while nobody is wanted.

use std::time::Duration;

use proptest::prelude::*;
use runbook::{Among, Criterion};

use super::plan::PhaseTime;
use super::*;
use crate::fold::Incident;
use crate::id::IncidentId;
use crate::record::{Alarm, Deadline, Record, RunbookPin, Source};

/// What may happen to an incident.
#[derive(Debug, Clone)]
enum Happens {
    /// So much time passes, and nobody looks meanwhile.
    Time(i64),
    /// The clock is set back.
    Back(i64),
    /// Somebody looks what is due.
    Look,
    /// Something is written down.
    Written(Box<Record>),
}

fn happens() -> impl Strategy<Value = Happens> {
    let by = || prop_oneof![Just("ann".to_owned()), Just("the runbook (unit 1.1)".to_owned())];
    let alarm = || Alarm { source: Source::Rule, summary: "again".to_owned(), alert: None, exit: None };
    let record = prop_oneof![
        by().prop_map(|by| Record::Acknowledged { by }),
        by().prop_map(|by| Record::Noted { by, text: "x".to_owned() }),
        Just(Record::PersonNeeded { reason: "stuck".to_owned() }),
        Just(Record::RunStarted { run: 1 }),
        Just(Record::Mitigated {}),
        Just(Record::Resolved {}),
        Just(Record::SeenAgain { alarm: alarm() }),
        Just(Record::Held { by: "ann".to_owned(), reason: "mine".to_owned() }),
        Just(Record::HandedBack { by: "ann".to_owned() }),
        Just(Record::Aborted { by: "ann".to_owned(), reason: "mine".to_owned() }),
    ];
    prop_oneof![
        4 => (1..2_000_000_i64).prop_map(Happens::Time),
        1 => (1..100_000_i64).prop_map(Happens::Back),
        4 => Just(Happens::Look),
        4 => record.prop_map(|record| Happens::Written(Box::new(record))),
    ]
}

fn policy() -> Escalating {
    let level = |name: &str| Level { contacts: vec![name.to_owned()], delay: Duration::from_secs(60) };
    Escalating {
        levels: vec![level("ann"), level("boss"), level("head")],
        loops: 1,
        contacts: ["ann", "boss", "head"].map(str::to_owned).into(),
        ..Escalating::default()
    }
}

fn plan() -> Plan {
    let phase = |title: &str, end_ms| PhaseTime { title: title.to_owned(), end_ms, steps: 1 };
    Plan {
        criteria: vec![
            ("it lasts".to_owned(), Criterion::Lasts { after_ms: 900_000 }),
            ("many".to_owned(), Criterion::ServersAffected { at_least: 1, among: Among::Alike }),
        ],
        phases: vec![phase("Response", 300_000), phase("Recovery", 1_800_000)],
        ..Plan::default()
    }
}

fn opened() -> Incident {
    let opened = Record::Opened {
        server: "time".to_owned(),
        procedure: "down".to_owned(),
        title: "Down".to_owned(),
        alarm: Alarm { source: Source::Rule, summary: "down".to_owned(), alert: None, exit: None },
        runbook: RunbookPin { name: "down.md".to_owned(), sha256: "0".repeat(64) },
        response_time_ms: Some(120_000),
        dependency: None,
        earlier: None,
    };
    Incident::fold(&IncidentId::from_text("i"), [(0, &opened)]).unwrap()
}

/// Lets fire everything that is due; returns what did.
fn look(incident: &mut Incident, now_ms: i64) -> Vec<Record> {
    let (plan, policy) = (plan(), policy());
    let mut fired = Vec::new();
    loop {
        let mut fleet = Fleet::default();
        fleet.add(incident);
        let Step { fire, next_ms } = step(incident, &plan, &policy, &fleet, now_ms);
        let Some(record) = fire else {
            assert!(next_ms.is_none_or(|next_ms| next_ms > now_ms), "it is due and has not fired");
            return fired;
        };
        incident.check(&record).unwrap();
        incident.apply(now_ms, &record);
        fired.push(record);
    }
}

fn due_ms(record: &Record) -> Option<i64> {
    match record {
        Record::DeadlinePassed { due_ms, .. } => Some(*due_ms),
        _ => None,
    }
}

fn is_call(record: &Record) -> bool {
    matches!(record, Record::DeadlinePassed { deadline: Deadline::Level { .. }, .. })
}

proptest! {
    #[test]
    fn whatever_happens_each_deadline_fires_once_and_only_while_somebody_is_wanted(
        story in prop::collection::vec(happens(), 0..60)
    ) {
        let (mut incident, mut now_ms) = (opened(), 0);
        for happens in story {
            match happens {
                Happens::Time(ms) => now_ms += ms,
                Happens::Back(ms) => now_ms -= ms,
                Happens::Written(record) => incident.apply(now_ms, &record),
                Happens::Look => {
                    let before = incident.escalation.calling.clone();
                    let fired = look(&mut incident, now_ms);
                    prop_assert!(fired.iter().filter_map(due_ms).all(|due_ms| due_ms <= now_ms));
                    let calls = fired.iter().filter(|record| is_call(record)).count();
                    // However long nobody looked: whoever is called has their time before the next one is.
                    prop_assert!(calls <= 1, "{fired:?}");
                    let lapses = fired.iter().any(|record| {
                        matches!(record, Record::DeadlinePassed { deadline: Deadline::AckTimeout { .. }, .. })
                    });
                    let wanted = matches!(before, Calling::Unanswered { .. }) || lapses;
                    prop_assert!(calls == 0 || wanted, "{before:?}: {fired:?}");
                    // It fired: at the same moment nothing is due any more, also for whoever reads the journal anew.
                    let records: Vec<_> = incident.timeline.clone();
                    let again = records.iter().map(|(at_ms, record)| (*at_ms, record));
                    let mut again = Incident::fold(&incident.id, again).unwrap();
                    prop_assert_eq!(&again.escalation, &incident.escalation);
                    prop_assert!(look(&mut again, now_ms).is_empty());
                }
            }
        }
        let once = |of: fn(&Record) -> Option<String>| {
            let mut names: Vec<String> = incident.timeline.iter().filter_map(|(_, record)| of(record)).collect();
            let all = names.len();
            names.sort();
            names.dedup();
            all == names.len()
        };
        let criteria = once(|record| match record {
            Record::CriterionMet { criterion, .. } => Some(criterion.clone()),
            _ => None,
        });
        let phases = once(|record| match record {
            Record::DeadlinePassed { deadline: Deadline::Phase { phase }, .. } => Some(phase.clone()),
            _ => None,
        });
        prop_assert!(criteria && phases, "{:?}", incident.timeline);
    }

    /// Nobody answers, and somebody looks whenever they like: all levels are called as often as is allowed, in order,
    /// and then it says that nobody answered, once.
    #[test]
    fn however_often_somebody_looks_the_calls_are_the_same(waits in prop::collection::vec(1..400_000_i64, 0..80)) {
        let (mut incident, mut now_ms) = (opened(), 0);
        for wait_ms in waits.into_iter().chain([10_000_000; 10]) {
            now_ms += wait_ms;
            look(&mut incident, now_ms);
        }
        let called = |(_, record): &(i64, Record)| match record {
            Record::DeadlinePassed { deadline: Deadline::Level { level, round, .. }, .. } => Some((*round, *level)),
            Record::DeadlinePassed { deadline: Deadline::NobodyAnswered {}, .. } => Some((0, 0)),
            _ => None,
        };
        let calls: Vec<_> = incident.timeline.iter().filter_map(called).collect();
        prop_assert_eq!(calls, [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3), (0, 0)]);
    }
}
