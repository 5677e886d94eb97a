//! Owns the tests of the report: what a reader must find in it.

use std::collections::BTreeMap;

use expect_test::expect_file;
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
    let exit = ExitFacts {
        uptime_ms: None,
        pid: Some(7),
        reason: "killed by SIGKILL".to_owned(),
        at_ms: 1_000,
        stderr: Vec::new(),
        out_of_memory: None,
    };
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
                background_ms: None,
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
    let mut all = records();
    all.truncate(7);
    if let Record::Opened { alarm, title, server, runbook, .. } = &mut all[0].1 {
        text.clone_into(&mut alarm.summary);
        alarm.exit.as_mut().unwrap().stderr = vec![text.to_owned()];
        for name in [title, server, &mut runbook.name] {
            text.clone_into(name);
        }
    }
    all.extend(found(text));
    all.extend(asked_and_run(text));
    all.extend(kept_from(text));
    all.extend(said(text));
    all
}

fn seventh(text: &str) -> Step {
    Step { run: 1, number: 7, title: text.to_owned(), phase: "Afterwards".to_owned() }
}

fn unit(name: &str) -> UnitRef {
    UnitRef { run: 1, unit: name.to_owned() }
}

fn values(text: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("X".to_owned(), text.to_owned())])
}

fn captured(text: &str, problem: Option<String>) -> Captured {
    Captured {
        what: "host snapshot".to_owned(),
        summary: text.to_owned(),
        sha256: Some("ee".to_owned()),
        bytes: 12,
        took_ms: 3,
        problem,
    }
}

#[test]
fn damaged_data_fill_the_blanks_of_a_recovery_report() {
    use diagnosis::{Finding, kind};
    let found = |kind, subject: &str, value: &str, words: &str| {
        Finding::new(kind, subject).with_value(value).with_message(words)
    };
    let (before, after): (Vec<_>, Vec<_>) = (
        vec![
            found(kind::DATA_DAMAGED, "/srv/notes.db", "broken", "table people: rows 3 to 9 cannot be read"),
            found(kind::DATA_SINCE, "time", "2026-11-27T01:00:00Z", "damaged between 01:00 and 01:05 UTC"),
            found(kind::DATA_LOSS, "time", "20261127T005900Z", "2 row(s) of table people"),
        ],
        vec![found(kind::DATA_RESTORED, "time", "20261127T005900Z", "all of it")],
    );
    let mut records = records();
    records.push((61_000, Record::Found { unit: None, findings: before }));
    let text = report(&records).markdown();
    for words in [
        "## Data recovery",
        "rows 3 to 9 cannot be read",
        "damaged between 01:00",
        "nothing was put back yet",
    ] {
        assert!(text.contains(words), "`{words}` is missing: {text}");
    }
    records.push((64_000, Record::Found { unit: None, findings: after }));
    let text = report(&records).markdown();
    for words in ["20261127T005900Z", "2 row(s) of table people", "after it was detected"] {
        assert!(text.contains(words), "`{words}` is missing: {text}");
    }
}

fn found(text: &str) -> Vec<(i64, Record)> {
    let finding = diagnosis::Finding::new(diagnosis::kind::LOG_ERROR, "time").with_message(text);
    let (cause, why) = (Some("disk_full".to_owned()), vec![text.to_owned()]);
    let all = [
        Record::Captured(captured(text, None)),
        Record::Captured(captured(text, Some(text.to_owned()))),
        Record::Found { unit: None, findings: vec![finding] },
        Record::CauseNamed { cause, why },
        Record::StepStarted { step: seventh(text) },
    ];
    all.into_iter().map(|record| (61_000, record)).collect()
}

fn asked_and_run(text: &str) -> Vec<(i64, Record)> {
    let output = Output { sha256: "aa".to_owned(), bytes: 9, excerpt: text.to_owned(), truncated: true };
    let asked = Record::ApprovalAsked {
        unit: unit("7.1"),
        statement: text.to_owned(),
        effect: "unknown".to_owned(),
        reason: text.to_owned(),
        binding: "b".to_owned(),
        missing: Vec::new(),
        expires_ms: 900_000,
        people: Some(2),
    };
    let approved = |by: &str| Record::Approved {
        unit: unit("7.1"),
        by: by.to_owned(),
        binding: "b".to_owned(),
        values: values(text),
    };
    let intent = Record::Intent {
        unit: unit("7.1"),
        attempt: 1,
        statement: text.to_owned(),
        effect: "unknown".to_owned(),
        key: "k".to_owned(),
        folder: "/f".to_owned(),
        values: values(text),
    };
    let outcome = Record::Outcome {
        unit: unit("7.1"),
        attempt: 1,
        end: UnitEnd::Exited { code: 3 },
        meaning: String::new(),
        started_ms: Some(62_000),
        finished_ms: Some(63_000),
        stdout: Some(output.clone()),
        stderr: Some(output.clone()),
        background_ms: Some(60_000),
    };
    let background = Record::BackgroundEnded {
        unit: unit("7.1"),
        attempt: 1,
        reason: text.to_owned(),
        took_ms: 15_000,
        stdout: Some(output.clone()),
        stderr: Some(output),
    };
    let (end, reason) = (ApprovalEnd::Void, text.to_owned());
    vec![
        (61_000, asked.clone()),
        (61_500, approved("ada")),
        (61_600, approved(text)),
        (62_000, intent),
        (80_000, outcome),
        (80_000, background),
        (80_000, Record::ApprovalEnded { unit: unit("7.1"), end, by: None, reason }),
        (80_000, asked),
    ]
}

fn kept_from(text: &str) -> Vec<(i64, Record)> {
    let withheld = Withheld {
        keeper: Keeper::Observe,
        effect: "disrupt".to_owned(),
        effect_reason: text.to_owned(),
        values: values(text),
        asks: Some(text.to_owned()),
        allow: "mode `auto`".to_owned(),
    };
    let skipped = |withheld| {
        let (statement, reason) = (text.to_owned(), text.to_owned());
        (80_000, Record::UnitSkipped { unit: unit("7.2"), statement, reason, withheld })
    };
    vec![skipped(None), skipped(Some(withheld))]
}

fn said(text: &str) -> Vec<(i64, Record)> {
    let text = || text.to_owned();
    let all = [
        Record::StepEnded { step: seventh(&text()), end: StepEnd::Failed, reason: text() },
        Record::NotVerified { reason: text() },
        Record::PersonNeeded { reason: text() },
        Record::Noted { by: text(), text: text() },
        Record::FollowUp { number: 1, text: text(), by: text() },
        Record::FollowUp { number: 2, text: text(), by: text() },
        Record::FollowUpDone { number: 1, by: text(), note: text() },
        Record::DutyMet { duty: 5, by: text(), note: text(), follow_up: Some(1) },
        Record::Escalated { by: text(), to: text(), reason: text() },
        Record::Held { by: text(), reason: text() },
    ];
    all.into_iter().map(|record| (200_000, record)).collect()
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
    expect_file!["tests/ordinary.md"].assert_eq(&report(&records()).markdown());
}

#[test]
fn the_whole_of_one_with_everything() {
    expect_file!["tests/everything.md"].assert_eq(&full_report("so | `so`").markdown());
}

#[test]
fn the_form_for_programs_is_frozen() {
    let report = full_report("text");
    let json = serde_json::to_string(&report).unwrap();
    expect_file!["tests/everything.json"].assert_eq(&json);
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
    let mut all = records();
    all.insert(1, (1_005, Record::Captured(captured("all", None))));
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
