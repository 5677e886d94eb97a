//! Owns the tests of the report: what a reader must find in it.

use std::collections::BTreeMap;

use expect_test::expect;
use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser, Tag};

use super::*;
use crate::id::IncidentId;
use crate::record::{
    Alarm, ApprovalEnd, Captured, ExitFacts, Keeper, Output, RunbookPin, Source, Step, StepEnd, UnitEnd,
    UnitRef, Withheld,
};
use crate::shelf::Book;

const RUNBOOK: &str = "## Server Down\n\n### Alert: Down\n\n**Severity**: Critical\\\n\
    **Alert Query**: `up == 0`\n\n### Recovery (0-1 minutes)\n\n6. **Attempt Service Recovery**\n\n   \
    ```bash\n   paramedic server restart \"$SERVER_NAME\"\n   ```\n\n### Afterwards (1-2 minutes)\n\n\
    7. **Look**\n\n   ```bash\n   uptime\n   ```\n\n### Documentation Requirements\n\n\
    - Record all commands executed\n- Document error messages encountered\n\
    - Every change of configuration, with the value before it\n- Update incident log with timeline\n\
    - Who was told\n- Every command that was run by hand, and why\n";

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
        (
            1_004,
            Record::Opened {
                server: "time".to_owned(),
                procedure: "server-down".to_owned(),
                title: "Server Down".to_owned(),
                alarm,
                runbook: RunbookPin { name: "server-down.md".to_owned(), sha256: "cd".to_owned() },
                response_time_ms: Some(300_000),
            },
        ),
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
                key: "19700101-000001-0007/1/6.1/1".to_owned(),
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

/// The report with the runbook, as of 9 s.
fn report(records: &[(i64, Record)]) -> Report {
    let (book, _) = Book::parse("server-down.md", RUNBOOK.as_bytes());
    Report::of(&incident(records), book.procedure("server-down"), &[], 9_000)
}

fn incident(records: &[(i64, Record)]) -> Incident {
    let id = IncidentId::new(1_004, 7);
    Incident::fold(&id, records.iter().map(|(at_ms, record)| (*at_ms, record))).unwrap()
}

/// An incident with everything that a report has a place for; `text` is what comes from outside, wherever it does.
fn full(text: &str) -> Vec<(i64, Record)> {
    let unit = |name: &str| UnitRef { run: 1, unit: name.to_owned() };
    let text = || text.to_owned();
    let step = |title: String| Step { run: 1, number: 7, title, phase: "Afterwards".to_owned() };
    let mut all = records();
    if let Record::Opened { alarm, title, server, runbook, .. } = &mut all[0].1 {
        alarm.summary = text();
        alarm.exit.as_mut().unwrap().stderr = vec![text()];
        (*title, *server, runbook.name) = (text(), text(), text());
    }
    let captured = |problem| Captured {
        what: "host snapshot".to_owned(),
        summary: text(),
        sha256: Some("ee".to_owned()),
        bytes: 12,
        took_ms: 3,
        problem,
    };
    let output = Output { sha256: "aa".to_owned(), bytes: 9, excerpt: text(), truncated: true };
    let finding = diagnosis::Finding::new(diagnosis::kind::LOG_ERROR, "time").with_message(&text());
    let withheld = Withheld {
        keeper: Keeper::Observe,
        effect: "disrupt".to_owned(),
        effect_reason: text(),
        values: BTreeMap::from([("X".to_owned(), text())]),
        asks: Some(text()),
        allow: "mode `auto`".to_owned(),
    };
    let asked = Record::ApprovalAsked {
        unit: unit("7.1"),
        statement: text(),
        effect: "unknown".to_owned(),
        reason: text(),
        binding: "b".to_owned(),
        missing: Vec::new(),
        expires_ms: 900_000,
        people: Some(2),
    };
    let approved = |by: String| Record::Approved {
        unit: unit("7.1"),
        by,
        binding: "b".to_owned(),
        values: BTreeMap::from([("X".to_owned(), text())]),
    };
    let intent = Record::Intent {
        unit: unit("7.1"),
        attempt: 1,
        statement: text(),
        effect: "unknown".to_owned(),
        key: "k".to_owned(),
        folder: "/f".to_owned(),
        values: BTreeMap::from([("X".to_owned(), text())]),
    };
    let outcome = Record::Outcome {
        unit: unit("7.1"),
        attempt: 1,
        end: UnitEnd::Exited { code: 3 },
        meaning: String::new(),
        started_ms: Some(62_000),
        finished_ms: Some(63_000),
        stdout: Some(output.clone()),
        stderr: Some(output),
    };
    let skipped =
        |withheld| Record::UnitSkipped { unit: unit("7.2"), statement: text(), reason: text(), withheld };
    let ended = Record::ApprovalEnded { unit: unit("7.1"), end: ApprovalEnd::Void, by: None, reason: text() };
    let more = [
        (61_000, Record::Captured(captured(None))),
        (61_000, Record::Captured(captured(Some(text())))),
        (61_000, Record::Found { unit: None, findings: vec![finding] }),
        (61_000, Record::CauseNamed { cause: Some("disk_full".to_owned()), why: vec![text()] }),
        (61_000, Record::StepStarted { step: step(text()) }),
        (61_000, asked.clone()),
        (61_500, approved("ada".to_owned())),
        (61_600, approved(text())),
        (62_000, intent),
        (80_000, outcome),
        (80_000, ended),
        (80_000, asked),
        (80_000, skipped(None)),
        (80_000, skipped(Some(withheld))),
        (200_000, Record::StepEnded { step: step(text()), end: StepEnd::Failed, reason: text() }),
        (200_000, Record::NotVerified { reason: text() }),
        (200_000, Record::PersonNeeded { reason: text() }),
        (200_000, Record::Noted { by: text(), text: text() }),
        (200_000, Record::FollowUp { number: 1, text: text(), by: text() }),
        (200_000, Record::FollowUp { number: 2, text: text(), by: text() }),
        (200_000, Record::FollowUpDone { number: 1, by: text(), note: text() }),
        (200_000, Record::DutyMet { duty: 5, by: text(), note: text(), follow_up: Some(1) }),
        (200_000, Record::Escalated { by: text(), to: text(), reason: text() }),
        (200_000, Record::Held { by: text(), reason: text() }),
    ];
    all.truncate(7);
    all.extend(more);
    all
}

/// A full report with a change of which the value before is known.
fn full_report(text: &str) -> Report {
    let mut report = report(&full(text));
    let values = Values { old: Some(format!("a\n{text}\nz")), new: Some(format!("a\n{text}!\nz")) };
    let (by, what) = (text.to_owned(), text.to_owned());
    report.changes.push(Change { at_ms: 63_000, by, what, values: Some(values), undone_ms: Some(64_000) });
    report.gaps.push(text.to_owned());
    report
}

#[test]
fn the_whole_of_an_ordinary_incident() {
    expect![[r##"
        # Incident 19700101-000001-0007: Server Down

        |  |  |
        |---|---|
        | State | resolved |
        | Server | time |
        | Alert | none |
        | Opened | 1970-01-01 00:00:01.004 UTC |
        | Resolved | 1970-01-01 00:00:03.201 UTC |
        | Runbook | server-down.md (SHA-256 cd) |

        ## Summary

        Time (process 7) was killed by SIGKILL. It was restarted once. Recovery was verified: 3 good answers in a row over 2.00 s, by one process. The incident was resolved 2.19 s after it was opened.

        ## Impact and clocks

        The trouble lasted 2.10 s, until recovery was verified. Clocks count from the first sign of trouble, 1970-01-01 00:00:01.000 UTC.

        | clock | time |
        |---|---|
        | detected | 4 ms |
        | acknowledged | 10 ms by the runbook (unit 1.1) |
        | diagnosed | never |
        | mitigated | 2.10 s |
        | resolved | 2.20 s |
        | response time allowed by the runbook | 5 min 0 s |

        ## Phases

        | phase | window after the opening | time |
        |---|---|---|
        | Recovery | 0 to 1 min | took 76 ms, within its window |
        | Afterwards | 1 min to 2 min | not reached |

        ## Timeline

        | time (UTC) | after | what |
        |---|---|---|
        | 00:00:01.000 | 0 ms | killed by SIGKILL |
        | 00:00:01.004 | 4 ms | incident opened for Server Down: time (process 7) was killed by SIGKILL |
        | 00:00:01.010 | 10 ms | acknowledged by the runbook (unit 1.1) |
        | 00:00:01.020 | 20 ms | step 6: Attempt Service Recovery |
        | 00:00:01.021 | 21 ms | 6.1 runs (disrupt): paramedic server restart "$SERVER_NAME" |
        | 00:00:01.090 | 90 ms | time restarted by the runbook (unit 6.1), ready after 60 ms |
        | 00:00:01.095 | 95 ms | 6.1 done after 72 ms |
        | 00:00:03.100 | 2.10 s | recovery verified: 3 good answers in a row over 2.00 s |
        | 00:00:03.101 | 2.10 s | mitigated |
        | 00:00:03.200 | 2.20 s | the alert no longer fires |
        | 00:00:03.201 | 2.20 s | resolved |

        ## Steps

        ### 6. Attempt Service Recovery: succeeded, 76 ms

        1 of 1 run.

        `6.1` at 00:00:01.021 (disrupt): done after 72 ms

        ```bash
        paramedic server restart "$SERVER_NAME"
        ```

        Output of 9 bytes, SHA-256 ab

        ````text
        ```
        | ready
        ````

        ## Evidence

        None was kept.

        ## Documentation duties

        |  | duty | how it stands |
        |---|---|---|
        | 1 | Record all commands executed | met: 1 executed, each with its end and output |
        | 2 | Document error messages encountered | met: there was none |
        | 3 | Every change of configuration, with the value before it | met: there was none |
        | 4 | Update incident log with timeline | NOT met: gaps are known: 1; `incident note 19700101-000001-0007 TEXT --duty 4` |
        | 5 | Who was told | NOT met: only a person can say; `incident note 19700101-000001-0007 TEXT --duty 5` |
        | 6 | Every command that was run by hand, and why | met: the journal knows of nobody who acted by hand |

        ## Gaps

        - No evidence was kept before the first change.
    "##]].assert_eq(&report(&records()).markdown());
}

#[test]
fn the_whole_of_one_with_everything() {
    expect![[r##"
        # Incident 19700101-000001-0007: so \| `so`

        |  |  |
        |---|---|
        | State | acknowledged |
        | Server | so \| `so` |
        | Alert | none |
        | Opened | 1970-01-01 00:00:01.004 UTC |
        | Resolved | not by 1970-01-01 00:00:09.000 UTC |
        | Runbook | so \| `so` (SHA-256 cd) |

        ## Summary

        So \| `so`. It was restarted once. Recovery was not verified: so \| `so`. A person is needed: so \| `so`.

        ## Impact and clocks

        Recovery has not been verified: how long the trouble lasted is not known. Clocks count from the first sign of trouble, 1970-01-01 00:00:01.000 UTC.

        | clock | time |
        |---|---|
        | detected | 4 ms |
        | acknowledged | 10 ms by the runbook (unit 1.1) |
        | diagnosed | 1 min 0 s |
        | mitigated | not yet |
        | resolved | not yet |
        | response time allowed by the runbook | 5 min 0 s |

        ## Phases

        | phase | window after the opening | time |
        |---|---|---|
        | Recovery | 0 to 1 min | took 76 ms, within its window |
        | Afterwards | 1 min to 2 min | took 2 min 19 s, over its window by 1 min 18 s |

        ## Timeline

        | time (UTC) | after | what |
        |---|---|---|
        | 00:00:01.000 | 0 ms | killed by SIGKILL |
        | 00:00:01.004 | 4 ms | incident opened for so \| `so`: so \| `so` |
        | 00:00:01.010 | 10 ms | acknowledged by the runbook (unit 1.1) |
        | 00:00:01.020 | 20 ms | step 6: Attempt Service Recovery |
        | 00:00:01.021 | 21 ms | 6.1 runs (disrupt): paramedic server restart "$SERVER_NAME" |
        | 00:00:01.090 | 90 ms | time restarted by the runbook (unit 6.1), ready after 60 ms |
        | 00:00:01.095 | 95 ms | 6.1 done after 72 ms |
        | 00:01:01.000 | 1 min 0 s | evidence kept: host snapshot in 3 ms |
        | 00:01:01.000 | 1 min 0 s | evidence missing: host snapshot: so \| `so` |
        | 00:01:01.000 | 1 min 0 s | found: log_error of `time` (so \| `so`) |
        | 00:01:01.000 | 1 min 0 s | cause: disk_full |
        | 00:01:01.000 | 1 min 0 s | step 7: so \| `so` |
        | 00:01:01.000 | 1 min 0 s | 7.1 waits for a person: so \| `so` |
        | 00:01:01.500 | 1 min 0 s | 7.1 approved by ada |
        | 00:01:01.600 | 1 min 0 s | 7.1 approved by so \| `so` |
        | 00:01:02.000 | 1 min 1 s | 7.1 runs (unknown): so \| `so` |
        | 00:01:20.000 | 1 min 19 s | 7.1 exited with code 3 after 1.00 s |
        | 00:01:20.000 | 1 min 19 s | 7.1 question void: so \| `so` |
        | 00:01:20.000 | 1 min 19 s | 7.1 waits for a person: so \| `so` |
        | 00:01:20.000 | 1 min 19 s | 7.2 not run: so \| `so` |
        | 00:01:20.000 | 1 min 19 s | 7.2 not run: so \| `so` |
        | 00:03:20.000 | 3 min 19 s | recovery not verified: so \| `so` |
        | 00:03:20.000 | 3 min 19 s | a person is needed: so \| `so` |
        | 00:03:20.000 | 3 min 19 s | so \| `so` notes: so \| `so` |
        | 00:03:20.000 | 3 min 19 s | follow-up 1: so \| `so` |
        | 00:03:20.000 | 3 min 19 s | follow-up 2: so \| `so` |
        | 00:03:20.000 | 3 min 19 s | follow-up 1 done by so \| `so`: so \| `so` |
        | 00:03:20.000 | 3 min 19 s | so \| `so` leaves documentation duty 5 to follow-up 1: so \| `so` |
        | 00:03:20.000 | 3 min 19 s | so \| `so` calls so \| `so`: so \| `so` |
        | 00:03:20.000 | 3 min 19 s | so \| `so` takes over: so \| `so` |

        ## Cause

        `disk_full`, by rules over what was found:

        ```text
        so | `so`
        ```

        ## Steps

        ### 6. Attempt Service Recovery: succeeded, 76 ms

        1 of 1 run.

        `6.1` at 00:00:01.021 (disrupt): done after 72 ms

        ```bash
        paramedic server restart "$SERVER_NAME"
        ```

        Output of 9 bytes, SHA-256 ab

        ````text
        ```
        | ready
        ````

        ### 7. so \| `so`: failed, 2 min 19 s

        So \| `so`.

        `7.1` at 00:01:02.000 (unknown): exited with code 3 after 1.00 s; it read X=so \| `so`

        ```bash
        so | `so`
        ```

        Output of 9 bytes, cut at its limit, SHA-256 aa

        ```text
        so | `so`
        ```

        Standard error of 9 bytes, cut at its limit, SHA-256 aa; it is among the error messages below

        ## Not run

        `7.2` at 00:01:20.000: so \| `so`

        ```bash
        so | `so`
        ```

        `7.2` at 00:01:20.000: so \| `so`

        ```bash
        so | `so`
        ```

        Otherwise a person would have been asked, because so \| `so`, with X=so \| `so`. Its effect is disrupt (so \| `so`). What allows it: mode `auto`.

        ## Error messages

        At 00:00:01.004, the last words of process 7:

        ```text
        so | `so`
        ```

        At 00:01:01.000, log_error of time:

        ```text
        so | `so`
        ```

        At 00:01:20.000, standard error of 7.1:

        ```text
        so | `so`
        ```

        At 00:03:20.000, the check of recovery:

        ```text
        so | `so`
        ```

        ## Changes

        At 00:01:20.000 by unit 7.1 (effect unknown); the value before it is not recorded

        ```bash
        so | `so`
        ```

        At 00:01:03.000 by so \| `so`, undone at 00:01:04.000

        ```diff
        @@ so | `so` @@
        - so | `so`
        + so | `so`!
        ```

        ## Approvals

        `7.1` was asked about at 00:01:01.000 (unknown, of two people): so \| `so`

        ```bash
        so | `so`
        ```

        - yes by ada at 00:01:01.500 with X=so \| `so`
        - yes by so \| `so` at 00:01:01.600 with X=so \| `so`
        - void at 00:01:20.000: so \| `so`

        `7.1` was asked about at 00:01:20.000 (unknown, of two people): so \| `so`

        ```bash
        so | `so`
        ```

        Nobody has answered.

        ## Notes

        - so \| `so` at 00:03:20.000: so \| `so`
        - so \| `so` at 00:03:20.000, for duty 5: so \| `so`

        ## Follow-ups

        - 1 (so \| `so`): so \| `so`; done by so \| `so` at 1970-01-01 00:03:20.000 UTC: so \| `so`
        - 2 (so \| `so`): so \| `so`; open

        ## Evidence

        - host snapshot: so \| `so` (12 bytes, SHA-256 ee), taken in 3 ms
        - host snapshot: so \| `so` (missing or incomplete: so \| `so`), taken in 3 ms

        ## Documentation duties

        |  | duty | how it stands |
        |---|---|---|
        | 1 | Record all commands executed | met: 2 executed, each with its end and output |
        | 2 | Document error messages encountered | NOT met: the error output of 7.1 is cut; `incident note 19700101-000001-0007 TEXT --duty 2` |
        | 3 | Every change of configuration, with the value before it | NOT met: 1 changed something, and the value before is not recorded; `incident note 19700101-000001-0007 TEXT --duty 3` |
        | 4 | Update incident log with timeline | NOT met: gaps are known: 3; `incident note 19700101-000001-0007 TEXT --duty 4` |
        | 5 | Who was told | met: so \| `so`: so \| `so` (follow-up 1 is done) |
        | 6 | Every command that was run by hand, and why | NOT met: a person was needed, and what was run by hand only people know; `incident note 19700101-000001-0007 TEXT --duty 6` |

        ## Gaps

        - Evidence is missing or incomplete: host snapshot: so \| `so`.
        - Unit 7.1 printed more than is kept.
        - Nobody watched for 17.00 s: a unit ended at 00:01:03.000 UTC, and the journal has it from 00:01:20.000 on.
        - So \| `so`.

        ## Open ends

        - A person is needed: so \| `so`.
        - The incident is acknowledged.
    "##]].assert_eq(&full_report("so | `so`").markdown());
}

#[test]
fn the_form_for_programs_is_frozen() {
    let report = full_report("text");
    let json = serde_json::to_string(&report).unwrap();
    expect![[r#"{"version":1,"id":"19700101-000001-0007","title":"text","procedure":"server-down","state":"acknowledged","server":"text","alert":null,"runbook":{"name":"text","sha256":"cd"},"opened_ms":1004,"resolved_ms":null,"as_of_ms":9000,"summary":"Text. It was restarted once. Recovery was not verified: text. A person is needed: text.","began_ms":1000,"clocks":[{"name":"detected","after_ms":4,"by":null},{"name":"acknowledged","after_ms":10,"by":"the runbook (unit 1.1)"},{"name":"diagnosed","after_ms":60000,"by":null},{"name":"mitigated","after_ms":null,"by":null},{"name":"resolved","after_ms":null,"by":null}],"response_time_ms":300000,"phases":[{"run":1,"title":"Recovery","window":[0,60],"started_ms":1020,"ended_ms":1096,"over_ms":0,"words":"took 76 ms, within its window"},{"run":1,"title":"Afterwards","window":[60,120],"started_ms":61000,"ended_ms":200000,"over_ms":78996,"words":"took 2 min 19 s, over its window by 1 min 18 s"}],"cause":{"name":"disk_full","why":["text"],"findings":["log_error of `time` (text)"]},"timeline":[{"at_ms":1000,"after_ms":0,"what":"killed by SIGKILL"},{"at_ms":1004,"after_ms":4,"what":"incident opened for text: text"},{"at_ms":1010,"after_ms":10,"what":"acknowledged by the runbook (unit 1.1)"},{"at_ms":1020,"after_ms":20,"what":"step 6: Attempt Service Recovery"},{"at_ms":1021,"after_ms":21,"what":"6.1 runs (disrupt): paramedic server restart \"$SERVER_NAME\""},{"at_ms":1090,"after_ms":90,"what":"time restarted by the runbook (unit 6.1), ready after 60 ms"},{"at_ms":1095,"after_ms":95,"what":"6.1 done after 72 ms"},{"at_ms":61000,"after_ms":60000,"what":"evidence kept: host snapshot in 3 ms"},{"at_ms":61000,"after_ms":60000,"what":"evidence missing: host snapshot: text"},{"at_ms":61000,"after_ms":60000,"what":"found: log_error of `time` (text)"},{"at_ms":61000,"after_ms":60000,"what":"cause: disk_full"},{"at_ms":61000,"after_ms":60000,"what":"step 7: text"},{"at_ms":61000,"after_ms":60000,"what":"7.1 waits for a person: text"},{"at_ms":61500,"after_ms":60500,"what":"7.1 approved by ada"},{"at_ms":61600,"after_ms":60600,"what":"7.1 approved by text"},{"at_ms":62000,"after_ms":61000,"what":"7.1 runs (unknown): text"},{"at_ms":80000,"after_ms":79000,"what":"7.1 exited with code 3 after 1.00 s"},{"at_ms":80000,"after_ms":79000,"what":"7.1 question void: text"},{"at_ms":80000,"after_ms":79000,"what":"7.1 waits for a person: text"},{"at_ms":80000,"after_ms":79000,"what":"7.2 not run: text"},{"at_ms":80000,"after_ms":79000,"what":"7.2 not run: text"},{"at_ms":200000,"after_ms":199000,"what":"recovery not verified: text"},{"at_ms":200000,"after_ms":199000,"what":"a person is needed: text"},{"at_ms":200000,"after_ms":199000,"what":"text notes: text"},{"at_ms":200000,"after_ms":199000,"what":"follow-up 1: text"},{"at_ms":200000,"after_ms":199000,"what":"follow-up 2: text"},{"at_ms":200000,"after_ms":199000,"what":"follow-up 1 done by text: text"},{"at_ms":200000,"after_ms":199000,"what":"text leaves documentation duty 5 to follow-up 1: text"},{"at_ms":200000,"after_ms":199000,"what":"text calls text: text"},{"at_ms":200000,"after_ms":199000,"what":"text takes over: text"}],"steps":[{"run":1,"number":6,"title":"Attempt Service Recovery","phase":"Recovery","state":"succeeded","reason":"1 of 1 run","started_ms":1020,"ended_ms":1096,"commands":[{"unit":"6.1","attempt":1,"statement":"paramedic server restart \"$SERVER_NAME\"","values":{},"effect":"disrupt","at_ms":1021,"end":"done after 72 ms","exit_code":0,"took_ms":72,"stdout":{"sha256":"ab","bytes":9,"excerpt":"```\n| ready","truncated":false},"stderr":null}]},{"run":1,"number":7,"title":"text","phase":"Afterwards","state":"failed","reason":"text","started_ms":61000,"ended_ms":200000,"commands":[{"unit":"7.1","attempt":1,"statement":"text","values":{"X":"text"},"effect":"unknown","at_ms":62000,"end":"exited with code 3 after 1.00 s","exit_code":3,"took_ms":1000,"stdout":{"sha256":"aa","bytes":9,"excerpt":"text","truncated":true},"stderr":{"sha256":"aa","bytes":9,"excerpt":"text","truncated":true}}]}],"not_run":[{"at_ms":80000,"run":1,"unit":"7.2","statement":"text","reason":"text","withheld":null},{"at_ms":80000,"run":1,"unit":"7.2","statement":"text","reason":"text","withheld":{"keeper":"observe","effect":"disrupt","effect_reason":"text","values":{"X":"text"},"asks":"text","allow":"mode `auto`"}}],"errors":[{"at_ms":1004,"source":"the last words of process 7","text":"text"},{"at_ms":61000,"source":"log_error of time","text":"text"},{"at_ms":80000,"source":"standard error of 7.1","text":"text"},{"at_ms":200000,"source":"the check of recovery","text":"text"}],"changes":[{"at_ms":80000,"by":"unit 7.1 (effect unknown)","what":"text","values":null,"undone_ms":null},{"at_ms":63000,"by":"text","what":"text","values":{"old":"a\ntext\nz","new":"a\ntext!\nz"},"undone_ms":64000}],"questions":[{"at_ms":61000,"run":1,"unit":"7.1","statement":"text","effect":"unknown","reason":"text","people":2,"answers":[{"at_ms":61500,"answer":"yes","by":"ada","reason":"","values":{"X":"text"}},{"at_ms":61600,"answer":"yes","by":"text","reason":"","values":{"X":"text"}},{"at_ms":80000,"answer":"void","by":null,"reason":"text","values":{}}]},{"at_ms":80000,"run":1,"unit":"7.1","statement":"text","effect":"unknown","reason":"text","people":2,"answers":[]}],"notes":[{"at_ms":200000,"by":"text","text":"text","duty":null},{"at_ms":200000,"by":"text","text":"text","duty":5}],"evidence":[{"what":"host snapshot","summary":"text","sha256":"ee","bytes":12,"took_ms":3,"problem":null},{"what":"host snapshot","summary":"text","sha256":"ee","bytes":12,"took_ms":3,"problem":"text"}],"gaps":["Evidence is missing or incomplete: host snapshot: text.","Unit 7.1 printed more than is kept.","Nobody watched for 17.00 s: a unit ended at 00:01:03.000 UTC, and the journal has it from 00:01:20.000 on.","text"],"open_ends":["A person is needed: text.","The incident is acknowledged."],"follow_ups":[{"number":1,"text":"text","by":"text","done_ms":200000,"done_by":"text","note":"text"},{"number":2,"text":"text","by":"text","done_ms":null,"done_by":null,"note":null}],"duties":[{"number":1,"text":"Record all commands executed","met":true,"why":"2 executed, each with its end and output"},{"number":2,"text":"Document error messages encountered","met":false,"why":"the error output of 7.1 is cut; `incident note 19700101-000001-0007 TEXT --duty 2`"},{"number":3,"text":"Every change of configuration, with the value before it","met":false,"why":"1 changed something, and the value before is not recorded; `incident note 19700101-000001-0007 TEXT --duty 3`"},{"number":4,"text":"Update incident log with timeline","met":false,"why":"gaps are known: 3; `incident note 19700101-000001-0007 TEXT --duty 4`"},{"number":5,"text":"Who was told","met":true,"why":"text: text (follow-up 1 is done)"},{"number":6,"text":"Every command that was run by hand, and why","met":false,"why":"a person was needed, and what was run by hand only people know; `incident note 19700101-000001-0007 TEXT --duty 6`"}]}"#]].assert_eq(&json);
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
}

#[test]
fn the_page_needs_nothing_else() {
    let page = full_report("see http://example.org").html();
    for never in ["<script", "<img", "<link", "<iframe", "src=", "href=", "url(", "@import", "<form"] {
        assert!(!page.contains(never), "{never} in {page}");
    }
    for always in ["<!doctype html>", "width=device-width", "prefers-color-scheme:dark", "default-src 'none'"]
    {
        assert!(page.contains(always), "{always} in {page}");
    }
    let usual = report(&records()).html();
    assert!(usual.len() < 20_000, "{} bytes", usual.len());
}

#[test]
fn gaps_are_said() {
    let report = report(&records()[..4]).markdown();
    for gap in ["Unit 6.1 has no outcome.", "No evidence was kept", "The incident is acknowledged."] {
        assert!(report.contains(gap), "{gap} in {report}");
    }
    let lost = ["Entries 3 to 9 were removed.".to_owned()];
    let report = Report::of(&incident(&records()), None, &lost, 9_000);
    assert_eq!(report.duties, None);
    let gaps = report.gaps.join("\n");
    for gap in ["Entries 3 to 9", "runbook cannot be read back"] {
        assert!(gaps.contains(gap), "{gaps}");
    }
}

#[test]
fn nobody_watched_where_the_journal_is_late() {
    let mut late = records();
    for (at_ms, record) in &mut late[5..] {
        *at_ms += 60_000;
        if let Record::Outcome { stderr, stdout, .. } = record {
            (*stderr, *stdout) = (None, None);
        }
    }
    let gaps = report(&late).gaps.join("\n");
    assert!(gaps.contains("Nobody watched for 1 min 0 s: a unit ended at 00:00:01.094 UTC"), "{gaps}");
    assert!(!report(&records()).gaps.iter().any(|gap| gap.contains("Nobody watched")));
}

#[test]
fn each_duty_is_met_or_says_what_lacks() {
    let met = |records: &[(i64, Record)]| -> Vec<(u32, bool, String)> {
        let duties = report(records).duties.unwrap();
        duties.into_iter().map(|duty| (duty.number, duty.met, duty.why)).collect()
    };
    let captured = Captured {
        what: "host snapshot".to_owned(),
        summary: String::new(),
        sha256: Some("ee".to_owned()),
        bytes: 1,
        took_ms: 1,
        problem: None,
    };
    let mut all = records();
    all.insert(1, (1_005, Record::Captured(captured)));
    let usual = met(&all);
    assert_eq!(
        usual.iter().map(|(_, met, _)| *met).collect::<Vec<_>>(),
        [true, true, true, true, false, true]
    );
    assert_eq!(usual[4].2, "only a person can say; `incident note 19700101-000001-0007 TEXT --duty 5`");

    all.push((
        9_000,
        Record::DutyMet { duty: 5, by: "ada".to_owned(), note: "all".to_owned(), follow_up: None },
    ));
    assert_eq!(met(&all)[4], (5, true, "ada: all".to_owned()));
    let follow_up = |number| Record::DutyMet {
        duty: 5,
        by: "ada".to_owned(),
        note: "later".to_owned(),
        follow_up: Some(number),
    };
    all.push((9_001, follow_up(1)));
    assert_eq!(met(&all)[4], (5, false, "ada left it to follow-up 1, which there is not".to_owned()));
    all.push((9_002, Record::FollowUp { number: 1, text: "tell".to_owned(), by: "ada".to_owned() }));
    assert_eq!(met(&all)[4], (5, false, "ada left it to follow-up 1, which is open".to_owned()));
    all.push((9_003, Record::FollowUpDone { number: 1, by: "ada".to_owned(), note: "told".to_owned() }));
    assert!(met(&all)[4].1);

    let cut_short = met(&all[..5]);
    assert!(cut_short[..2].iter().all(|(_, met, why)| !met && why.contains("6.1")), "{cut_short:?}");
    assert!(!cut_short[3].1 && cut_short[3].2.contains("gaps are known: 1"), "{cut_short:?}");
    let everything = met(&full("x"));
    assert_eq!(
        everything.iter().map(|(_, met, _)| *met).collect::<Vec<_>>(),
        [true, false, false, false, true, false]
    );
    assert!(everything[5].2.contains("a person was needed"), "{everything:?}");
}

/// The skeleton of a Markdown document, without its texts and without emphasis, which harms nobody.
fn skeleton(markdown: &str) -> Vec<String> {
    let events = Parser::new_ext(markdown, Options::ENABLE_TABLES).filter_map(|event| match event {
        Event::Start(Tag::Emphasis | Tag::Strong) | Event::Text(_) | Event::Code(_) | Event::SoftBreak => {
            None
        }
        Event::Start(tag) => Some(format!("{tag:?}")),
        Event::End(_) => None,
        other => Some(format!("{other:?}")),
    });
    events.collect()
}

/// The tags of a page, without those that backticks make.
fn tags(page: &str) -> Vec<&str> {
    let tags = page.split('<').skip(1).map(|rest| rest.split_inclusive('>').next().unwrap_or(rest));
    tags.filter(|tag| !matches!(*tag, "code>" | "/code>")).collect()
}

/// What bites: pieces of HTML, Markdown, terminal escapes and tricks of Unicode, in any order.
fn hostile() -> impl Strategy<Value = String> {
    let bites = [
        "<script>alert(1)</script>",
        "</style>",
        "</pre>",
        "-->",
        "<!--",
        "]]>",
        "\" onload=\"x",
        "'",
        "&lt;",
        "&#60;",
        "```",
        "````\n# h",
        "`",
        "~~~",
        "|",
        "\\",
        "\\|",
        "\\<b>",
        "![i](http://x/i.png)",
        "[l](javascript:x)",
        "<http://x>",
        "# h",
        "\n# h\n",
        "\n\n- item",
        "> q",
        "1. one",
        "---",
        "===",
        "    four",
        "\t",
        "\r\n",
        "\r",
        "\x1b[2J",
        "\x1b]8;;http://x\x07",
        "\0",
        "\u{9b}31m",
        "\u{202e}",
        "\u{2028}",
        "\u{200b}",
        "\u{feff}",
        "é",
        " ",
        "a",
        "[x]: http://x",
        "\n[x]: http://x\n",
        "| a | b |\n|---|---|",
        "@@",
        "- x",
        "+ x",
        "*",
        "_",
        "**",
    ];
    prop::collection::vec(
        prop_oneof![prop::sample::select(bites.to_vec()).prop_map(str::to_owned), ".{0,6}"],
        1..12,
    )
    .prop_map(|pieces| format!("x{}", pieces.concat()))
    .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nothing_from_outside_breaks_the_markdown(text in hostile(), at_start in any::<bool>()) {
        let text = if at_start { text[1..].to_owned() + "x" } else { text };
        let markdown = full_report(&text).markdown();
        let is_trick = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t') || letter == '\u{202e}';
        prop_assert!(!markdown.contains(is_trick), "{:?}", markdown);
        let found = skeleton(&markdown);
        prop_assert_eq!(&found, &skeleton(&full_report("x").markdown()), "{}", markdown);
        prop_assert!(!found.iter().any(|one| ["Html", "Link", "Image"].iter().any(|bad| one.contains(bad))));
    }

    #[test]
    fn nothing_from_outside_breaks_the_page(text in hostile()) {
        let page = full_report(&text).html();
        let is_trick = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t') || letter == '\u{202e}';
        prop_assert!(!page.contains(is_trick));
        let plain = full_report("x").html();
        let shape = |page: &str| -> Vec<String> {
            let own = |tag: &&str| !tag.starts_with("ins") && !tag.starts_with("del") && !tag.starts_with("/ins")
                && !tag.starts_with("/del") && !tag.starts_with("details") && !tag.starts_with("/details")
                && !tag.starts_with("summary") && !tag.starts_with("/summary");
            tags(page).into_iter().filter(own).map(str::to_owned).collect()
        };
        prop_assert_eq!(shape(&page), shape(&plain), "{}", page);
    }
}
