//! Owns the tests of the page of the fleet: order, search, pages, size, and text from outside.

use super::{Asked, Firing, Fleet, Health, Measure, Ordering, Query, SERVERS_PER_PAGE, Server};
use crate::chart::Stretch;

const STRETCH: Stretch = Stretch { from_ms: 0, to_ms: 3_600_000 };

fn server(name: &str, health: Health) -> Server {
    Server { name: name.to_owned(), health, phase: "ready".to_owned(), ..Server::default() }
}

fn fleet(servers: Vec<Server>) -> Fleet {
    Fleet { servers, stretch: STRETCH, gap_ms: 300_000, ..Fleet::default() }
}

/// The names in the order in which a page has them.
fn names(fleet: &Fleet, query: &Query) -> Vec<String> {
    let text = fleet.body(query).into_string();
    let rows = text.split("<tr id=\"server-").skip(1);
    rows.map(|row| row.split('"').next().unwrap().to_owned()).collect()
}

fn by(ordering: Ordering) -> Query {
    Query { ordering, ..Query::default() }
}

#[test]
fn who_needs_somebody_comes_first() {
    let stopped = Server { phase: "stopped".to_owned(), ..server("f-stopped", Health::Unhealthy) };
    let open = Server { incidents: vec!["INC-1".to_owned()], ..server("c-open", Health::Healthy) };
    let fires = Server { fires: true, ..server("d-fires", Health::Healthy) };
    let fleet = fleet(vec![
        server("a-well", Health::Healthy),
        stopped,
        server("e-new", Health::Unknown),
        fires,
        server("z-down", Health::Unhealthy),
        open,
        server("d-less", Health::Degraded),
    ]);
    let expect = ["z-down", "c-open", "d-fires", "d-less", "e-new", "f-stopped", "a-well"];
    assert_eq!(names(&fleet, &Query::default()), expect);
}

#[test]
fn columns_sort_and_what_has_no_value_comes_last() {
    let of = |name: &str, value: Option<f64>, restarted_ms| {
        let measure = Measure { last: value, samples: Vec::new() };
        let (latency, errors, memory) = (measure.clone(), measure.clone(), measure);
        Server { latency, errors, memory, restarted_ms, ..server(name, Health::Healthy) }
    };
    let all = [
        of("a", None, None),
        of("b", Some(1.0), Some(5)),
        of("c", Some(f64::NAN), Some(1)),
        of("d", Some(2.0), None),
    ];
    let fleet = fleet(all.to_vec());
    for ordering in [Ordering::Latency, Ordering::Errors, Ordering::Memory] {
        assert_eq!(names(&fleet, &by(ordering)), ["d", "b", "a", "c"], "{ordering:?}");
    }
    assert_eq!(names(&fleet, &by(Ordering::Restart)), ["b", "c", "a", "d"]);
    assert_eq!(names(&fleet, &by(Ordering::Name)), ["a", "b", "c", "d"]);
    let text = fleet.body(&by(Ordering::Memory)).into_string();
    assert!(text.contains("<th scope=\"col\" aria-sort=\"descending\">Memory</th>"), "{text}");
    assert!(text.contains("<a href=\"/?sort=errors\">Errors</a>"), "{text}");
    for word in ["worst", "name", "latency", "errors", "memory", "restart"] {
        assert_eq!(Ordering::of(word).word(), word);
    }
    assert_eq!(Ordering::of("<script>"), Ordering::Worst);
}

#[test]
fn a_text_finds_names_reasons_health_and_incidents() {
    let mut down = server("mail", Health::Unhealthy);
    down.reason = "killed by SIGKILL".to_owned();
    down.incidents = vec!["INC-2026-A1".to_owned()];
    let fleet = fleet(vec![down, server("search", Health::Healthy)]);
    let find = |text: &str| names(&fleet, &Query { text: text.to_owned(), ..Query::default() });
    assert_eq!(find(" sigkill "), ["mail"]);
    assert_eq!(find("inc-2026"), ["mail"]);
    assert_eq!(find("healthy"), ["search"], "a word for a state is that state");
    assert_eq!(find("SEARCH"), ["search"]);
    assert!(find("nobody").is_empty());
    let query = Query { text: "a&b=\"é".to_owned(), page: 3, ordering: Ordering::Name };
    assert_eq!(query.link(), "/?sort=name&q=a%26b%3D%22%C3%A9&page=3");
}

#[test]
fn what_is_asked_and_what_fires_stands_on_top() {
    let mut fleet = fleet(vec![server("mail", Health::Healthy)]);
    let quiet = fleet.body(&Query::default()).into_string();
    assert!(!quiet.contains("What is asked of you</h2>") && !quiet.contains("Alerts that fire</h2>"));
    fleet.asked = (0..25)
        .map(|number| Asked {
            incident: format!("INC-{number}"),
            server: "mail".to_owned(),
            title: "Server <down>".to_owned(),
            what: "a yes to 6.1".to_owned(),
        })
        .collect();
    fleet.alerts = vec![Firing {
        name: "MCPServerDown".to_owned(),
        server: "mail".to_owned(),
        severity: "critical".to_owned(),
        since_ms: 0,
        quiet: Some("silenced".to_owned()),
    }];
    let text = fleet.body(&Query::default()).into_string();
    assert!(text.contains(
        "<a href=\"/incidents/INC-0\">Server &lt;down&gt;</a> of <strong>mail</strong>: a yes to 6.1"
    ));
    assert!(text.contains("and 5 more"), "{text}");
    assert!(text.find("What is asked").unwrap() < text.find("Alerts that fire").unwrap());
    assert!(text.contains("(critical) since <time datetime=\"1970-01-01T00:00:00Z\">"), "{text}");
}

#[test]
fn text_from_outside_is_text() {
    let mut bad = server("x", Health::Unhealthy);
    bad.reason = "<script>alert(1)</script>\"'&".to_owned();
    bad.phase = "<img src=x onerror=y>".to_owned();
    let query = Query { text: "\"><script>".to_owned(), ..Query::default() };
    let text = fleet(vec![bad]).body(&query).into_string();
    let all = [
        text,
        fleet(vec![Server { reason: "<script>".to_owned(), ..server("x", Health::Unknown) }])
            .body(&Query::default())
            .into_string(),
    ];
    for text in all {
        assert!(!text.contains("<script") && !text.contains("<img"), "{text}");
    }
}

#[test]
fn a_thousand_servers_are_pages_of_less_than_100_kb() {
    let samples: Vec<(i64, f64)> = (0..24).map(|step| (step * 150_000, ((step * 7) % 11) as f64)).collect();
    let servers: Vec<Server> = (0..1_000)
        .map(|number| Server {
            reason: "answered in 12 ms".to_owned(),
            latency: Measure { last: Some(0.012), samples: samples.clone() },
            errors: Measure {
                last: Some(0.0),
                samples: samples.iter().map(|(at_ms, _)| (*at_ms, 0.0)).collect(),
            },
            memory: Measure { last: Some(7e7), samples: samples.clone() },
            restarted_ms: Some(1_780_000_000_000),
            ..server(
                &format!("server-{number:04}"),
                if number == 999 { Health::Unhealthy } else { Health::Healthy },
            )
        })
        .collect();
    let fleet = fleet(servers);
    let text = fleet.body(&Query::default()).into_string();
    assert!(text.len() < 95_000, "{} bytes", text.len());
    let first = names(&fleet, &Query::default());
    assert_eq!(
        (first.len(), first[0].as_str(), first[1].as_str()),
        (SERVERS_PER_PAGE, "server-0999", "server-0000")
    );
    assert!(
        text.contains("1000 servers") && text.contains("page 1 of 10") && text.contains("href=\"/?page=2\"")
    );
    let last = names(&fleet, &Query { page: 99, ..Query::default() });
    assert_eq!(last.last().unwrap(), "server-0998");
    // A row is a part, and the same in both.
    let parts = fleet.parts(&Query::default());
    assert_eq!(parts.len(), 3 + SERVERS_PER_PAGE);
    assert!(parts.iter().all(|part| text.contains(&part.html)));
}
