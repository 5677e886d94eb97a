//! Owns the tests of the report: what a reader must find in it.

use std::collections::BTreeMap;

use super::*;
use crate::id::IncidentId;
use crate::record::{Alarm, ExitFacts, Output, RunbookPin, Source, Step, StepEnd, UnitRef};

fn opened(alarm: Alarm) -> Record {
    Record::Opened {
        server: "time".to_owned(),
        procedure: "server-down".to_owned(),
        title: "Server Down".to_owned(),
        alarm,
        runbook: RunbookPin { name: "server-down.md".to_owned(), sha256: "cd".to_owned() },
        response_time_ms: Some(300_000),
        dependency: None,
        earlier: None,
    }
}

fn records() -> Vec<(i64, Record)> {
    let exit =
        ExitFacts { pid: Some(7), reason: "killed by SIGKILL".to_owned(), at_ms: 1_000, stderr: Vec::new() };
    let summary = "time (process 7) was killed by SIGKILL".to_owned();
    let alarm = Alarm { source: Source::Exit, summary, alert: None, exit: Some(exit) };
    let unit = || UnitRef { run: 1, unit: "6.1".to_owned() };
    let step = || Step {
        run: 1,
        number: 6,
        title: "Attempt Service Recovery".to_owned(),
        phase: "Recovery".to_owned(),
    };
    let output =
        Output { sha256: "ab".to_owned(), bytes: 9, excerpt: "```\n| ready".to_owned(), truncated: false };
    vec![
        (1_004, opened(alarm)),
        (1_010, Record::Acknowledged { by: "the runbook (unit 1.1)".to_owned() }),
        (1_020, Record::StepStarted { step: step() }),
        (
            1_021,
            Record::Intent {
                unit: unit(),
                attempt: 1,
                statement: "paramedic server restart \"$SERVER_NAME\"".to_owned(),
                effect: "disrupt".to_owned(),
                key: "k".to_owned(),
                folder: "/f".to_owned(),
                values: BTreeMap::new(),
            },
        ),
        (
            1_090,
            Record::Restarted {
                server: "time".to_owned(),
                by: "the runbook (unit 6.1)".to_owned(),
                key: "k".to_owned(),
                pid: Some(8),
                start_ms: Some(60),
                problem: None,
            },
        ),
        (
            1_095,
            Record::Outcome {
                unit: unit(),
                attempt: 1,
                end: UnitEnd::Exited { code: 0 },
                meaning: String::new(),
                started_ms: Some(1_022),
                finished_ms: Some(1_094),
                stdout: Some(output),
                stderr: None,
            },
        ),
        (1_096, Record::StepEnded { step: step(), end: StepEnd::Succeeded, reason: "1 of 1 run".to_owned() }),
        (3_100, Record::Verified { probes: 3, period_ms: 2_000, incarnation: None }),
        (3_101, Record::Mitigated {}),
        (3_200, Record::AlertResolved {}),
        (3_201, Record::Resolved {}),
    ]
}

fn report(records: &[(i64, Record)]) -> String {
    let id = IncidentId::new(1_004, 7);
    let incident = Incident::fold(&id, records.iter().map(|(at_ms, record)| (*at_ms, record))).unwrap();
    render(&incident, 9_000)
}

#[test]
fn it_says_what_happened_in_one_paragraph() {
    let report = report(&records());
    assert!(report.contains(
        "Time (process 7) was killed by SIGKILL. It was restarted once. Recovery was verified: 3 good answers in \
         a row over 2.00 s, by one process. The incident was resolved 2.19 s after it was opened."
    ), "{report}");
}

#[test]
fn it_has_the_clocks_from_the_exit_on() {
    let report = report(&records());
    for row in [
        "| detected | 4 ms |",
        "| acknowledged | 10 ms by the runbook (unit 1.1) |",
        "| mitigated | 2.10 s |",
        "| resolved | 2.20 s |",
    ] {
        assert!(report.contains(row), "{row} in {report}");
    }
}

#[test]
fn output_cannot_break_out_of_its_block() {
    let report = report(&records());
    assert!(report.contains("  ````text\n  ```\n  | ready\n  ````"), "{report}");
}

#[test]
fn gaps_are_said() {
    let report = report(&records()[..4]);
    for gap in ["Unit 6.1 has no outcome.", "No evidence was kept", "The incident is acknowledged."] {
        assert!(report.contains(gap), "{gap} in {report}");
    }
}
