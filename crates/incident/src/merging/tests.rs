//! Tests of merging: what is one trouble, and what is never merged away.

use super::*;
use crate::id::IncidentId;
use crate::record::{Alarm, AlertFacts, Record, RunbookPin};

/// An incident of `server`, opened at `at_ms` by an alert, with these further records.
fn incident(server: &str, procedure: &str, at_ms: i64, more: &[Record]) -> Incident {
    let labels = [("server_name".to_owned(), server.to_owned())].into();
    let alert = AlertFacts {
        name: procedure.to_owned(),
        severity: "warning".to_owned(),
        labels,
        fingerprint: format!("{server}-{procedure}"),
        started_ms: at_ms,
    };
    let alarm = Alarm { source: Source::Rule, summary: String::new(), alert: Some(alert), exit: None };
    let opened = Record::Opened {
        server: server.to_owned(),
        procedure: procedure.to_owned(),
        title: procedure.to_owned(),
        alarm,
        runbook: RunbookPin { name: "x.md".to_owned(), sha256: "ab".to_owned() },
        response_time_ms: None,
        dependency: None,
        earlier: None,
    };
    let records = std::iter::once(&opened).chain(more).map(|record| (at_ms, record));
    Incident::fold(&IncidentId::new(at_ms, 7), records).unwrap()
}

fn cause(name: &str) -> Record {
    Record::CauseNamed { cause: Some(name.to_owned()), why: Vec::new() }
}

#[track_caller]
fn check(earlier: &Incident, later: &Incident, expect: Option<&str>) {
    assert_eq!(reason(earlier, later, Symptom::Other).as_deref(), expect);
    assert_eq!(reason(later, earlier, Symptom::Other), None, "only the later one is merged away");
}

#[test]
fn the_same_cause_or_one_that_explains_the_other_is_one_trouble() {
    let slow = |name| incident("a", "slow", 1_000, &[cause(name)]);
    let down = |name| incident("a", "down", 2_000, &[cause(name)]);
    check(&slow("disk_full"), &down("disk_full"), Some("both have the cause `disk_full`"));
    let explains = Some("the cause `memory_leak` explains the cause `out_of_memory`");
    check(&slow("memory_leak"), &down("out_of_memory"), explains);
    check(&slow("out_of_memory"), &down("memory_leak"), explains);
    check(&slow("disk_full"), &down("out_of_memory"), None);
    check(&slow("disk_full"), &incident("a", "down", 2_000, &[]), None);
    check(&slow("disk_full"), &incident("b", "down", 2_000, &[cause("disk_full")]), None);
    check(&slow("disk_full"), &incident("a", "slow", 2_000, &[cause("disk_full")]), None);
}

/// Whoever follows what is to be done about a dependency does not look into memory.
#[test]
fn a_memory_alert_is_only_answered_by_a_procedure_about_memory() {
    let first = |name| incident("a", "first", 1_000, &[cause(name)]);
    let memory = |name| incident("a", "memory-leak", 2_000, &[cause(name)]);
    for (one, other, is_merged) in [
        ("dependency_down", "dependency_down", false),
        ("disk_full", "disk_full", false),
        ("out_of_memory", "memory_leak", true),
        ("memory_leak", "memory_leak", true),
        ("memory_pressure", "memory_pressure", true),
    ] {
        let (first, memory) = (first(one), memory(other));
        assert_eq!(reason(&first, &memory, Symptom::Memory).is_some(), is_merged, "{one}, {other}");
        assert!(reason(&first, &memory, Symptom::Other).is_some(), "{one}, {other}");
    }
}

#[test]
fn what_people_hold_and_what_may_be_an_attack_is_never_merged_away() {
    let slow = incident("a", "slow", 1_000, &[cause("disk_full")]);
    let with =
        |procedure, more: &[Record]| incident("a", procedure, 2_000, &[&[cause("disk_full")], more].concat());
    let (by, reason) = ("ada".to_owned(), "mine".to_owned());
    check(&slow, &with("down", &[Record::Held { by: by.clone(), reason: reason.clone() }]), None);
    check(&slow, &with("down", &[Record::Aborted { by: by.clone(), reason }]), None);
    check(&slow, &with("down", &[Record::FollowUp { number: 1, text: "disk".to_owned(), by }]), None);
    check(&slow, &with("down", &[Record::Mitigated {}]), None);
    check(&slow, &with("security-incident", &[]), None);
    let attack = diagnosis::Finding::new(diagnosis::kind::SECURITY_EVENT, "a");
    check(&slow, &with("down", &[Record::Found { unit: None, findings: vec![attack] }]), None);
    let intrusion = || incident("a", "down", 2_000, &[cause("intrusion")]);
    check(&incident("a", "slow", 1_000, &[cause("intrusion")]), &intrusion(), None);
}
