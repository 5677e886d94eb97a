//! Tests of what findings and causes hold a criterion.

use super::*;
use crate::id::IncidentId;
use crate::record::{Alarm, RunbookPin};

fn incident(cause: Option<&str>, findings: Vec<Finding>) -> Incident {
    let opened = Record::Opened {
        server: "a".to_owned(),
        procedure: "down".to_owned(),
        title: "down".to_owned(),
        alarm: Alarm { source: Source::Rule, summary: String::new(), alert: None, exit: None },
        runbook: RunbookPin { name: "x.md".to_owned(), sha256: "ab".to_owned() },
        response_time_ms: None,
        dependency: None,
        earlier: None,
    };
    let named = Record::CauseNamed { cause: cause.map(str::to_owned), why: Vec::new() };
    let records = [opened, Record::Found { unit: None, findings }, named];
    Incident::fold(&IncidentId::new(1_000, 7), records.iter().map(|record| (1_000, record))).unwrap()
}

#[track_caller]
fn check(subject: Subject, incident: &Incident, expect: bool) {
    assert_eq!(matches!(points(incident, subject), Verdict::Holds(_)), expect);
}

#[test]
fn a_look_that_found_nothing_holds_nothing() {
    let read_only = || Finding::new(kind::READ_ONLY_MOUNT, "/data");
    check(Subject::Disk, &incident(None, vec![read_only()]), true);
    check(Subject::Disk, &incident(None, vec![read_only().with_value(false)]), false);
    let killed = |count: u64| Finding::new(kind::OOM_KILL, "a").with_value(count);
    check(Subject::OutOfMemory, &incident(None, vec![killed(1)]), true);
    check(Subject::OutOfMemory, &incident(None, vec![killed(0)]), false);
}

#[test]
fn causes_that_others_own() {
    for (cause, expect) in [
        ("database_down", true),
        ("certificate_invalid", true),
        ("rate_limited", true),
        ("port_taken", false),
    ] {
        check(Subject::Dependency, &incident(Some(cause), Vec::new()), expect);
    }
}
