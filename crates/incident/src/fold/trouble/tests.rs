//! Tests that no sequence of what happens lets a change begin that nobody wants any more.

use proptest::prelude::*;

use super::*;
use crate::record::{RunbookPin, Source, UnitRef};

/// The alert of a server of this name.
fn alarm(server: &str) -> Alarm {
    let labels = [("server_name".to_owned(), server.to_owned())].into();
    let (name, fingerprint) = ("Needs".to_owned(), server.to_owned());
    let alert = AlertFacts { name, severity: "critical".to_owned(), labels, fingerprint, started_ms: 1 };
    Alarm { source: Source::Rule, summary: String::new(), alert: Some(alert), exit: None }
}

fn unit() -> UnitRef {
    UnitRef { run: 1, unit: "1.1".to_owned() }
}

fn intent(effect: &str) -> Record {
    Record::Intent {
        unit: unit(),
        attempt: 1,
        statement: "x".to_owned(),
        effect: effect.to_owned(),
        key: "k".to_owned(),
        folder: "/f".to_owned(),
        values: BTreeMap::new(),
    }
}

/// What may happen to an incident of the server `a`.
fn events() -> Vec<Record> {
    let over = |server: &str| Record::AlertOver {
        server: server.to_owned(),
        alert: "Needs".to_owned(),
        fingerprint: server.to_owned(),
    };
    let (by, reason) = ("ada".to_owned(), "why".to_owned());
    vec![
        Record::SeenAgain { alarm: alarm("a") },
        Record::Joined { server: "b".to_owned(), alarm: alarm("b"), reason: reason.clone() },
        over("a"),
        over("b"),
        Record::AlertResolved {},
        Record::Mitigated {},
        Record::Resolved {},
        Record::Reopened { alarm: alarm("a"), flapping: None },
        Record::Reopened { alarm: alarm("a"), flapping: Some(reason.clone()) },
        Record::Reopened { alarm: alarm("b"), flapping: None },
        Record::FlappingEnded { reason: reason.clone() },
        Record::HandedBack { by: by.clone() },
        Record::Held { by: by.clone(), reason: reason.clone() },
        Record::ApprovalAsked {
            unit: unit(),
            statement: "x".to_owned(),
            effect: "change".to_owned(),
            reason: reason.clone(),
            binding: "b".to_owned(),
            missing: Vec::new(),
            expires_ms: 9,
            people: None,
        },
        Record::Approved { unit: unit(), by: by.clone(), binding: "b".to_owned(), values: BTreeMap::new() },
        Record::Merged { into: "i".to_owned(), reason: reason.clone() },
        Record::Closed { by, reason },
    ]
}

fn fold(picks: &[usize]) -> (Incident, Vec<Record>) {
    let opened = Record::Opened {
        server: "a".to_owned(),
        procedure: "needs".to_owned(),
        title: "Needs".to_owned(),
        alarm: alarm("a"),
        runbook: RunbookPin { name: "x.md".to_owned(), sha256: "ab".to_owned() },
        response_time_ms: None,
        dependency: Some("db (tcp x:1)".to_owned()),
        earlier: None,
    };
    let mut incident = Incident::fold(&IncidentId::new(1, 1), [(1, &opened)]).unwrap();
    let mut written = Vec::new();
    for (at_ms, pick) in (2..).zip(picks) {
        let record = events().swap_remove(*pick);
        if incident.check(&record).is_ok() {
            incident.apply(at_ms, &record);
            written.push(record);
        }
    }
    (incident, written)
}

proptest! {
    #[test]
    fn no_change_begins_that_comes_too_late_or_flaps(picks in prop::collection::vec(0..17_usize, 0..40)) {
        let (incident, written) = fold(&picks);
        let last = |is: &dyn Fn(&Record) -> bool| written.iter().rposition(is);
        // The alert of the server itself, by the last word on it.
        let fires = last(&|record| matches!(record, Record::SeenAgain { .. })
            || matches!(record, Record::Reopened { alarm, .. } if alarm.alert.as_ref().unwrap().fingerprint == "a"));
        let over = last(&|record| matches!(record, Record::AlertResolved {})
            || matches!(record, Record::AlertOver { fingerprint, .. } if fingerprint == "a"));
        let comes_late = over.is_some() && over > fires;
        let may = incident.check_change(&intent("change")).is_ok();
        prop_assert!(!(may && comes_late), "{written:?}");
        prop_assert!(!may || incident.state.is_open());
        let merged = written.iter().any(|record| matches!(record, Record::Merged { .. }));
        prop_assert!(!(may && merged));
        let approved = incident.unit(&unit()).is_some_and(|view| view.approved.is_some());
        prop_assert!(!(may && incident.flapping.is_some() && !approved));
        prop_assert!(incident.flapping.is_none() || incident.person_needed.is_some());
        prop_assert!(incident.check_change(&intent("observe")).is_ok());
        // What is merged or closed is never open again, and its questions are void.
        if merged {
            prop_assert!(!incident.state.is_open() && incident.open_questions().next().is_none());
        }
    }
}

#[test]
fn what_runs_is_not_merged_away() {
    let (mut incident, _) = fold(&[]);
    incident.apply(2, &intent("change"));
    let merged = Record::Merged { into: "i".to_owned(), reason: "why".to_owned() };
    let refused = incident.check(&merged).unwrap_err();
    assert_eq!(refused.to_string(), "merging is not possible: a change of it is under way");
}
