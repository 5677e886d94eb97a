//! Tests of triage over sequences of what happens: one open incident for each place, and nothing comes back from the dead.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::record::{AlertFacts, Record, RunbookPin};

const LIMITS: Flapping = Flapping {
    reopen_within: Duration::from_millis(20),
    reopens: 3,
    period: Duration::from_millis(100),
    quiet: Duration::from_millis(100),
};

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// An alert of one of three servers fires, about one of two procedures, with a shared dependency or without, for
    /// the first time or once more.
    Fires {
        server: usize,
        procedure: usize,
        shared: bool,
        anew: bool,
    },
    Mitigated(usize),
    AlertsOver(usize),
    Resolved(usize),
    Closed(usize),
    Later(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_usize, 0..2_usize, any::<bool>(), any::<bool>())
            .prop_map(|(server, procedure, shared, anew)| Step::Fires { server, procedure, shared, anew }),
        1 => (0..8_usize).prop_map(Step::Mitigated),
        1 => (0..8_usize).prop_map(Step::AlertsOver),
        1 => (0..8_usize).prop_map(Step::Resolved),
        1 => (0..8_usize).prop_map(Step::Closed),
        1 => (1..30_i64).prop_map(Step::Later),
    ]
}

fn alarm(server: &str, procedure: &str, started_ms: i64) -> Alarm {
    let labels = BTreeMap::from([("server_name".to_owned(), server.to_owned())]);
    let (name, fingerprint) = (procedure.to_owned(), format!("{server}-{procedure}"));
    let alert = AlertFacts { name, severity: "critical".to_owned(), labels, fingerprint, started_ms };
    Alarm { source: Source::Rule, summary: String::new(), alert: Some(alert), exit: None }
}

fn opened(firing: &Firing<'_>, earlier: Option<IncidentId>) -> Record {
    Record::Opened {
        server: firing.server.to_owned(),
        procedure: firing.procedure.to_owned(),
        title: String::new(),
        alarm: firing.alarm.clone(),
        runbook: RunbookPin { name: String::new(), sha256: String::new() },
        response_time_ms: None,
        dependency: firing.dependency.map(str::to_owned),
        earlier: earlier.map(|id| id.to_string()),
    }
}

/// All incidents, as the engine holds them.
#[derive(Default)]
struct Desk {
    now_ms: i64,
    all: Vec<Incident>,
    starts: BTreeMap<String, i64>,
}

impl Desk {
    fn write(&mut self, id: &IncidentId, record: &Record) {
        let now_ms = self.now_ms;
        if let Some(incident) = self.all.iter_mut().find(|one| one.id == *id) {
            assert!(incident.check(record).is_ok(), "triage decides what the incident refuses: {record:?}");
            incident.apply(now_ms, record);
        }
    }

    /// What nobody has to allow: it happens, or is refused.
    fn try_write(&mut self, idx: usize, record: &Record) {
        let now_ms = self.now_ms;
        if let Some(incident) = self.all.get_mut(idx).filter(|one| one.check(record).is_ok()) {
            incident.apply(now_ms, record);
        }
    }

    fn fires(&mut self, server: &str, procedure: &str, dependency: Option<&str>, anew: bool) {
        let now_ms = self.now_ms;
        let start = self.starts.entry(format!("{server}-{procedure}")).or_insert(now_ms);
        *start = if anew { now_ms } else { *start };
        let alarm = alarm(server, procedure, *start);
        let firing = Firing { server, procedure, dependency, alarm: &alarm };
        let before = self.all.clone();
        match Triage::of(&firing, &before, &LIMITS, now_ms) {
            Triage::Open { earlier } => {
                let id = IncidentId::new(now_ms, u16::try_from(self.all.len()).unwrap());
                let record = opened(&firing, earlier);
                self.all.push(Incident::fold(&id, [(now_ms, &record)]).unwrap());
            }
            Triage::Again(id) => self.write(&id, &Record::SeenAgain { alarm }),
            Triage::Join(id) => {
                let (server, reason) = (server.to_owned(), String::new());
                self.write(&id, &Record::Joined { server, alarm, reason });
            }
            Triage::Reopen(id) => {
                let incident = before.iter().find(|one| one.id == id).unwrap();
                assert_eq!(incident.state, State::Resolved);
                assert!(now_ms - incident.resolved_ms.unwrap() < 20);
                self.write(&id, &Record::Reopened { alarm, flapping: None });
            }
            Triage::Known(id) => assert!(before.iter().any(|one| one.id == id && one.knows(&alarm))),
        }
    }
}

proptest! {
    #[test]
    fn one_open_incident_for_each_place_and_no_alert_is_lost(steps in prop::collection::vec(step(), 1..60)) {
        let mut desk = Desk::default();
        for step in steps {
            match step {
                Step::Fires { server, procedure, shared, anew } => {
                    let (server, procedure) = (["a", "b", "c"][server], ["down", "slow"][procedure]);
                    let dependency = shared.then_some("postgres");
                    desk.fires(server, procedure, dependency, anew);
                    // Whatever fires is known to some incident now, and stands there unless that one has ended.
                    let start = desk.starts[&format!("{server}-{procedure}")];
                    let alarm = alarm(server, procedure, start);
                    prop_assert!(desk.all.iter().any(|one| one.knows(&alarm)));
                }
                Step::Mitigated(idx) => desk.try_write(idx, &Record::Mitigated {}),
                Step::AlertsOver(idx) => desk.try_write(idx, &Record::AlertResolved {}),
                Step::Resolved(idx) => desk.try_write(idx, &Record::Resolved {}),
                Step::Closed(idx) => {
                    let (by, reason) = ("ada".to_owned(), String::new());
                    desk.try_write(idx, &Record::Closed { by, reason });
                }
                Step::Later(ms) => desk.now_ms += ms,
            }
            let mut places: Vec<Place> =
                desk.all.iter().filter(|one| one.state.is_open()).flat_map(Incident::places).collect();
            let n_places = places.len();
            places.sort();
            places.dedup();
            prop_assert_eq!(places.len(), n_places, "two open incidents of one place");
        }
    }
}

fn incident(at_ms: i64, records: &[(i64, Record)]) -> Incident {
    let alarm = alarm("a", "down", at_ms);
    let first = opened(&Firing { server: "a", procedure: "down", dependency: None, alarm: &alarm }, None);
    let records = records.iter().map(|(at_ms, record)| (*at_ms, record));
    Incident::fold(&IncidentId::new(at_ms, 1), std::iter::once((at_ms, &first)).chain(records)).unwrap()
}

#[track_caller]
fn check(incident: &Incident, source: Source, now_ms: i64, expect: impl FnOnce(IncidentId) -> Triage) {
    let alarm = Alarm { source, ..alarm("a", "down", now_ms) };
    let firing = Firing { server: "a", procedure: "down", dependency: None, alarm: &alarm };
    assert_eq!(Triage::of(&firing, [incident], &LIMITS, now_ms), expect(incident.id.clone()));
}

#[test]
fn what_comes_back_opens_the_resolved_one_again_and_never_a_closed_one() {
    let resolved = [(1, Record::Mitigated {}), (2, Record::AlertResolved {}), (10, Record::Resolved {})];
    let over = incident(0, &resolved);
    check(&over, Source::Rule, 29, Triage::Reopen);
    check(&over, Source::Rule, 30, |_| Triage::Open { earlier: None });
    check(&over, Source::Operator, 29, |id| Triage::Open { earlier: Some(id) });
    let closed = Record::Closed { by: "ada".to_owned(), reason: "done".to_owned() };
    check(&incident(0, &[(10, closed)]), Source::Exit, 29, |id| Triage::Open { earlier: Some(id) });
    // The very same is no news, whatever became of it: told late, or closed by a person while it fires.
    check(&over, Source::Rule, 0, Triage::Known);
}
