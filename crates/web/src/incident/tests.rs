//! Tests of the page of an incident: what stands there, for whom, and what comes from outside.

use ::incident::{Book, Incident, IncidentId, Record, Report};
use serde_json::{Value, json};

use super::{Bundle, Checked, IncidentPage, May, incident};

const SHIPPED: &[u8] = include_bytes!("../../../../runbooks/server-down.md");

/// Text that would do something where it is taken for HTML, or turns what stands around it.
const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'\u{202e}";

fn records(server: &str, all: &[Value]) -> Incident {
    let opened = json!({
        "kind": "opened", "server": server, "procedure": "server-down", "title": "Server Down",
        "alarm": {"source": "exit", "summary": format!("{server} is down"), "alert": null, "exit": null},
        "runbook": {"name": "server-down.md", "sha256": "00"}, "response_time_ms": 300_000,
    });
    let records: Vec<Record> =
        std::iter::once(&opened).chain(all).map(|one| serde_json::from_value(one.clone()).unwrap()).collect();
    let timed =
        records.iter().enumerate().map(|(idx, record)| (1_795_800_000_000 + idx as i64 * 1_000, record));
    Incident::fold(&IncidentId::from_text("20261127-031200-a1b2"), timed).unwrap()
}

fn shown(incident_: &Incident, book: Option<&Book>, may: May<'_>) -> String {
    let procedure = book.and_then(|book| book.procedure("server-down"));
    let report = Report::of(incident_, procedure, &[], 1_795_800_060_000);
    let checked = |problems: &[&str]| {
        let problems = problems.iter().map(|one| (*one).to_owned()).collect();
        Some(Checked { at_ms: 1_795_800_030_000, by: HOSTILE.to_owned(), problems })
    };
    let bundle = |name: &str, checked| Bundle { name: name.to_owned(), bytes: 2_048, checked };
    let bundles = [
        bundle("20261127_031200_a", None),
        bundle("20261127_031201_b", checked(&[])),
        bundle("20261127_031202_c", checked(&[HOSTILE])),
    ];
    let contacts = ["ada".to_owned()];
    let page = IncidentPage {
        incident: incident_,
        report: &report,
        book,
        contacts: &contacts,
        bundles: &bundles,
        may,
    };
    incident(&page).into_iter().map(|part| part.html).collect()
}

const APPROVER: May<'static> = May { lead: true, answer: true, csrf: "csrf-word" };
const VIEWER: May<'static> = May { lead: false, answer: false, csrf: "csrf-word" };

/// An incident that waits for a yes to its restart.
fn waiting(server: &str, text: &str) -> Incident {
    let unit = |unit: &str| json!({"run": 1, "unit": unit});
    let step = |number: u32, title: &str, phase: &str| json!({"run": 1, "number": number, "title": title, "phase": phase});
    let second = step(2, "Verify Server Status", "Immediate Response");
    let output = json!({"sha256": "ab", "bytes": 2_048, "excerpt": text, "truncated": false});
    records(
        server,
        &[
            json!({"kind": "run_started", "run": 1}),
            json!({"kind": "step_started", "step": second}),
            json!({"kind": "intent", "unit": unit("2.1"), "attempt": 1, "statement": "paramedic check", "effect": "observe", "key": "k", "folder": "f", "values": {}}),
            json!({"kind": "outcome", "unit": unit("2.1"), "attempt": 1, "end": {"end": "exited", "code": 1}, "meaning": text, "started_ms": 1_795_800_003_000_i64, "finished_ms": 1_795_800_003_037_i64, "stdout": output, "stderr": null}),
            json!({"kind": "step_ended", "step": second, "end": "failed", "reason": text}),
            json!({"kind": "step_started", "step": step(6, "Attempt Service Recovery", "Recovery Actions")}),
            json!({"kind": "approval_asked", "unit": unit("6.1"), "statement": format!("paramedic server restart {text}"), "effect": "change", "reason": text, "binding": "0123456789abcdef0123", "missing": ["WHO"], "expires_ms": 1_795_800_900_000_i64}),
            json!({"kind": "noted", "by": text, "text": text}),
        ],
    )
}

#[test]
fn the_runbook_stands_there_with_what_has_come_of_it() {
    let (book, _) = Book::parse("server-down.md", SHIPPED);
    let html = shown(&waiting("notes", "nothing listens"), Some(&book), APPROVER);
    for words in [
        "<strong>Acknowledge the Alert</strong>",
        "Tell the others that somebody is at it.",
        "Immediate Response (0-5 minutes)",
        "paramedic check &quot;$SERVER_NAME&quot; --type liveness",
        "<div class=\"step bad\" id=\"step-2\"",
        "<div class=\"step warn\" id=\"step-6\"",
        "<div class=\"step\" id=\"step-7\"",
        "not reached",
        "answered: nothing listens (code 1) after 37 ms",
        "output, 2.0 kB",
        "/incidents/20261127-031200-a1b2/kept/ab",
        "name=\"question\" value=\"0123456789ab\"",
        "name=\"value.WHO\"",
        "Escalation Criteria",
        "action=\"/incidents/20261127-031200-a1b2/abort\"",
        "action=\"/incidents/20261127-031200-a1b2/follow-up\"",
        "<span class=\"warn\">never checked</span>",
        "<span class=\"good\">as it was sealed</span> at <time datetime=",
        "<span class=\"bad\">NOT as it was sealed</span>",
        "name=\"bundle\" value=\"20261127_031202_c\"",
    ] {
        assert!(html.contains(words), "`{words}` is missing: {html}");
    }
    assert!(html.len() < 60_000, "{} bytes", html.len());
    let forms = html.matches("<form").count();
    assert_eq!(html.matches("value=\"csrf-word\"").count(), forms, "each form brings its word back");
    assert!(forms >= 7);
}

#[test]
fn what_a_role_may_not_do_is_not_offered() {
    let (book, _) = Book::parse("server-down.md", SHIPPED);
    let incident = waiting("notes", "x");
    let html = shown(&incident, Some(&book), VIEWER);
    assert!(!html.contains("<form") && html.contains("An approver answers this."), "{html}");
    let html = shown(&incident, Some(&book), May { answer: false, ..APPROVER });
    assert!(html.contains("/acknowledge") && !html.contains("/approve\""), "{html}");
}

#[test]
fn what_comes_from_outside_is_text() {
    let hostile = format!(
        "## Server Down\n\n### Alert: A\n\n**Severity**: Critical\n\n### P (0-5 minutes)\n\n1. **{HOSTILE}**\n\n   {HOSTILE} <script>alert(2)</script>\n\n   ```bash\n   echo '{HOSTILE}'\n   ```\n"
    );
    let (book, _) = Book::parse(HOSTILE, hostile.as_bytes());
    for book in [Some(&book), None] {
        let html = shown(&waiting(HOSTILE, HOSTILE), book, APPROVER);
        for tag in ["<img", "<script", "\u{202e}"] {
            assert!(!html.contains(tag), "{tag}: {html}");
        }
        assert!(html.contains("&lt;img src=x onerror=alert(1)&gt;"), "{html}");
    }
}

#[test]
fn every_id_is_there_once() {
    let (book, _) = Book::parse("server-down.md", SHIPPED);
    let html = shown(&waiting("notes", "x"), Some(&book), APPROVER);
    let mut ids: Vec<&str> = html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
    assert!(all > 30, "{all}");
}

#[test]
fn what_was_done_can_be_taken_back_and_what_is_left_to_do_be_done() {
    let unit = json!({"run": 1, "unit": "6.1"});
    let change = json!({
        "what": "server_controls", "target": HOSTILE, "diff": format!("-a\n+{HOSTILE}\n"),
        "places": [{"path": "/c.json", "old": null, "new": "x"}],
    });
    let of_unit = json!({
        "what": "unit_file", "target": "notes", "diff": "+b\n",
        "places": [{"path": "/u.service", "old": null, "new": "x"}],
    });
    let incident = records(
        "notes",
        &[
            json!({"kind": "run_started", "run": 1}),
            json!({"kind": "undo_kept", "unit": unit, "statement": format!("echo {HOSTILE}")}),
            json!({"kind": "intent", "unit": unit, "attempt": 1, "statement": "touch x", "effect": "change", "key": "k", "folder": "f", "values": {}}),
            json!({"kind": "outcome", "unit": unit, "attempt": 1, "end": {"end": "exited", "code": 0}, "meaning": "", "started_ms": null, "finished_ms": null, "stdout": null, "stderr": null}),
            json!({"kind": "changed", "number": 1, "unit": null, "by": "ada", "change": change}),
            json!({"kind": "changed", "number": 2, "unit": null, "by": "ada", "change": of_unit}),
            json!({"kind": "follow_up", "number": 1, "text": HOSTILE, "by": "ada"}),
            json!({"kind": "follow_up", "number": 2, "text": "more room", "by": "ada"}),
            json!({"kind": "follow_up_done", "number": 2, "by": "ada", "note": "bought"}),
        ],
    );
    let html = shown(&incident, None, APPROVER);
    for words in [
        "Take back c1",
        "name=\"what\" value=\"6.1\"",
        "controls of server</strong>",
        "It is not taken back here: the files of units are for people to put there.",
        "id=\"follow-up-1-more\"",
        "name=\"number\" value=\"1\"",
    ] {
        assert!(html.contains(words), "`{words}` is missing: {html}");
    }
    for words in ["value=\"c2\"", "id=\"follow-up-2-more\"", "<img", "\u{202e}"] {
        assert!(!html.contains(words), "`{words}`: {html}");
    }
    let html = shown(&incident, None, May { answer: false, ..APPROVER });
    assert!(!html.contains("/undo\"") && html.contains("An approver takes it back."), "{html}");
    assert!(html.contains("/follow-up-done\""), "{html}");
    assert!(!shown(&incident, None, VIEWER).contains("<form"));
}
