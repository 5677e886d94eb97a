//! Owns the tests of a server's page: what is offered to whom, and that text from outside is text.

use std::time::Duration;

use traces::TraceId;

use super::{
    Block, Controls, Dependency, Happened, LastExit, LogLine, Logs, Pace, ServerPage, ServerQuery, Traces,
};
use crate::chart::{Chart, Line, Stretch, Unit};
use crate::fleet::{Firing, Health};

/// What somebody types, or has to be sent back as it is.
const TYPED: &str = "<script>alert(1)</script><img src=x onerror=y>\"'";
const EVIL: &str = "<script>alert(1)</script><img src=x onerror=y>\"'\u{202e}";

fn page() -> ServerPage {
    let summary = traces::Summary {
        trace: TraceId::of(&[1; 16]).unwrap(),
        start_ns: 0,
        took: Duration::from_millis(5),
        server: "mail".to_owned(),
        name: EVIL.to_owned(),
        span_took: Duration::from_millis(1_500),
        n_spans: 3,
        n_errors: 1,
        error: EVIL.to_owned(),
    };
    let firing = Firing {
        name: EVIL.to_owned(),
        server: "mail".to_owned(),
        severity: "critical".to_owned(),
        since_ms: 0,
        quiet: None,
    };
    let line = Line { name: "p95".to_owned(), samples: vec![(0, 1.0), (60_000, 2.0)] };
    ServerPage {
        name: "mail".to_owned(),
        health: Health::Unhealthy,
        phase: "exited".to_owned(),
        reason: EVIL.to_owned(),
        facts: vec![("Endpoint", EVIL.to_owned())],
        exit: Some(LastExit { reason: EVIL.to_owned(), at_ms: 0, stderr: vec![EVIL.to_owned()] }),
        dependencies: vec![Dependency {
            name: "db".to_owned(),
            health: Health::Unhealthy,
            critical: true,
            reason: EVIL.to_owned(),
        }],
        alerts: vec![firing],
        incidents: vec![Happened {
            id: "INC-1".to_owned(),
            state: "triggered".to_owned(),
            is_open: true,
            title: EVIL.to_owned(),
            opened_ms: 0,
        }],
        charts: vec![Chart {
            id: "latency",
            title: "Latency",
            unit: Unit::Seconds,
            stretch: Stretch { from_ms: 0, to_ms: 3_600_000 },
            gap_ms: 90_000,
            lines: vec![line],
            thresholds: Vec::new(),
            marks: Vec::new(),
        }],
        controls: Some(Controls {
            percent: 100,
            blocks: vec![Block {
                kind: "client".to_owned(),
                name: TYPED.to_owned(),
                until_ms: Some(0),
                set: EVIL.to_owned(),
            }],
            ..Controls::default()
        }),
        takes_orders: true,
        logs: Logs {
            lines: vec![LogLine { at_ms: Some(0), level: "error".to_owned(), text: EVIL.to_owned() }],
            notes: vec![EVIL.to_owned()],
        },
        traces: Traces { slowest: vec![summary.clone()], last: vec![summary] },
        csrf: Some("the-word".to_owned()),
    }
}

fn text(page: &ServerPage, query: &ServerQuery) -> String {
    page.parts(query).iter().map(|part| part.html.as_str()).collect()
}

#[test]
fn text_from_outside_is_text() {
    let query = ServerQuery { level: TYPED.to_owned(), text: TYPED.to_owned(), window: 0 };
    let shown = text(&page(), &query);
    for bad in ["<script", "<img", "\u{202e}", "style="] {
        assert!(!shown.contains(bad), "{bad}: {shown}");
    }
    assert!(shown.contains("&lt;script&gt;alert(1)"));
}

#[test]
fn every_form_brings_the_word_and_who_may_not_act_is_offered_none() {
    let query = ServerQuery::default();
    let mut page = page();
    let shown = text(&page, &query);
    let posts = shown.matches("method=\"post\"").count();
    assert_eq!(posts, shown.matches("<input type=\"hidden\" name=\"csrf\" value=\"the-word\">").count());
    for act in ["restart", "stop", "readonly", "block", "unblock", "clear-cache", "drain", "limit"] {
        assert!(shown.contains(&format!("action=\"/servers/mail/{act}\"")), "{act}: {shown}");
    }
    assert!(!shown.contains("/servers/mail/writes") && !shown.contains("/servers/mail/start\""), "{shown}");
    page.phase = "stopped".to_owned();
    let pace = Pace { per_second: Some(5), at_once: Some(2), set: EVIL.to_owned() };
    page.controls = Some(Controls { percent: 0, draining: true, pace: Some(pace), ..Controls::default() });
    let shown = text(&page, &query);
    for act in ["start", "writes", "undrain", "unlimit"] {
        assert!(shown.contains(&format!("action=\"/servers/mail/{act}\"")), "{act}: {shown}");
    }
    assert!(shown.contains("Clients may only read.") && shown.contains("It takes no new requests."));
    assert!(shown.contains("Clients may send 5 requests a second each, and 2 at once together."), "{shown}");
    assert!(!shown.contains("<img"), "{shown}");
    page.csrf = None;
    assert!(!text(&page, &query).contains("method=\"post\""));
}

#[test]
fn a_window_keeps_what_was_asked_of_the_log() {
    let query = ServerQuery {
        window: ServerQuery::window_of("24h"),
        level: "error".to_owned(),
        text: "a b".to_owned(),
    };
    let shown = text(&page(), &query);
    assert!(shown.contains("href=\"?window=7d&amp;level=error&amp;q=a%20b#charts\""), "{shown}");
    assert!(
        shown.contains("aria-current=\"true\">24 hours</a>")
            && shown.contains("<option selected>error</option>")
    );
    assert_eq!(ServerQuery::window_of("<script>"), 0);
}

#[test]
fn a_server_of_which_nothing_is_known_has_a_page() {
    let shown =
        text(&ServerPage { name: "new".to_owned(), ..ServerPage::default() }, &ServerQuery::default());
    for words in ["unknown", "No guard stands", "No lines.", "None.", "has sent no traces"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}
