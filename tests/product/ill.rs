//! Tests of servers that answer and are ill: what they do not do any more is found, and why.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::ask;
use crate::faults::{Said, of_server};
use crate::foreign::Foreign;
use crate::poll::{eventually, pause};
use crate::site::{Server, Site, free_port};

const HELD: &str = include_str!("held.py");
const BUSY_PYTHON: &str = include_str!("busy.py");
const BUSY_NODE: &str = include_str!("busy.js");

/// That server; none where there is no Python, which is said.
fn held(args: &[&str]) -> Option<Server> {
    if std::process::Command::new("python3").arg("-V").output().is_err() {
        println!("SKIPPED: there is no python3");
        return None;
    }
    Some(Server::new("held", &[&["python3", "-c", HELD], args].concat()))
}

#[track_caller]
fn until(site: &Site, what: &str, is: impl Fn(&Said) -> bool) -> Said {
    eventually(what, || Some(of_server(site, "held")).filter(|said| is(said)))
}

/// It answers `ping` and calls, and each of its answers is an error about a connection that is gone: the store is back.
#[test]
fn connections_that_it_holds_on_to() {
    let port = free_port();
    let Some(server) = held(&["127.0.0.1", &port.to_string()]) else { return };
    let dependency = format!("[[server.dependency]]\nname = \"store\"\ntcp = \"127.0.0.1:{port}\"\n");
    let mut site = Site::new(&[server.with(&dependency)]);
    let start = |site: &Site| Foreign::start(site, "store", "sums", &format!("127.0.0.1:{port}"));
    let store = start(&site);
    eventually("the store listens", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    site.serve_until_ready(&["held"]);
    let endpoint = site.endpoint("held");
    let works = until(&site, "it is well", |said| said.text("tool_call").contains("ok"));
    assert_eq!(works.cause(), "none", "{works}");

    drop(store);
    let status = |word: &'static str| move |said: &Said| said.text("dependency").contains(word);
    until(&site, "the store is seen to be gone", |said| said.cause() == "dependency_down");
    // `diagnose` has looked by itself; what was is known of `serve`, which looks from time to time.
    let query = "mcp_server_dependency_status{server_name=\"held\"} == 0";
    eventually("serve has seen it, too", || (site.run(&["query", query]).code == Some(0)).then_some(()));
    let _store = start(&site);
    until(&site, "the store is seen to be back", status("ok"));
    // Errors that come right behind a recovery are about what was before it.
    let said = eventually("what it goes on saying is heard", || {
        let _ = ask(&endpoint, "rows", &json!({}));
        Some(of_server(&site, "held")).filter(|said| said.cause() != "none")
    });
    said.check("stale_connections", "errors_after_recovery", &["query failed"]);
    said.check("stale_connections", "tool_call", &["failed", "rows"]);
    // One restart helps, as the catalogue says.
    site.run(&["server", "restart", "held"]).done();
    until(&site, "it works again", |said| said.text("tool_call").contains("ok"));
}

/// A real call is not answered while `ping` is: that is said at once, and is no cause yet.
#[test]
fn a_call_that_is_not_answered() {
    let Some(server) = held(&["waits"]) else { return };
    let mut site = Site::new(&[server]);
    site.serve_until_ready(&["held"]);
    let said = until(&site, "it was called", |said| said.finding("tool_call").is_some());
    said.check("none", "tool_call", &["timeout", "no answer within"]);
    let hint = |cause: &Value| cause["cause"] == "stuck_requests" && cause["score"].as_u64() == Some(35);
    assert!(said.0["causes"].as_array().unwrap().iter().any(hint), "{said}");
}

/// Takes five minutes: who has waited for so long waits for what never comes.
#[test]
fn a_request_that_never_ends_while_others_do() {
    if std::env::var_os("PARAMEDIC_TEST_ALL").is_none() {
        println!("SKIPPED: it takes five minutes; `--all` runs it");
        return;
    }
    let Some(server) = held(&[]) else { return };
    let mut site = Site::new(&[server]);
    site.serve_until_ready(&["held"]);
    let endpoint = site.endpoint("held");
    let asked = endpoint.clone();
    // A client that waits for longer than a test does.
    thread::spawn(move || {
        drop(crate::client::ask_within(&asked, "wait", &json!({}), Duration::from_secs(900)))
    });
    let end = Instant::now() + Duration::from_secs(400);
    let mut said = of_server(&site, "held");
    while said.cause() == "none" && Instant::now() < end {
        assert!(ask(&endpoint, "rows", &json!({})).is_ok());
        (0..20).for_each(|_| pause());
        said = of_server(&site, "held");
    }
    said.check("stuck_requests", "oldest_operation_seconds", &["30"]);
    said.check("stuck_requests", "tool_call", &["ok", "rows"]);
}

/// One that computes all the time and one that computes often, in each runtime: only who keeps others waiting is ill.
#[test]
fn an_event_loop_that_has_no_time() {
    let programs = [("python3", "-c", BUSY_PYTHON), ("node", "-e", BUSY_NODE)];
    let is_here = |(program, ..): &(&str, &str, &str)| {
        let is = std::process::Command::new(program).arg("--version").output().is_ok();
        if !is {
            println!("SKIPPED: there is no {program}");
        }
        is
    };
    let programs: Vec<_> = programs.into_iter().filter(is_here).collect();
    let name = |program: &str, how: &str| format!("{program}-{how}");
    let servers: Vec<Server> = programs
        .iter()
        .flat_map(|(program, argument, text)| {
            let more: &[&str] = if *program == "node" { &["--"] } else { &[] };
            [("hot", "1.8", "0"), ("well", "0.004", "0.008")].map(|(how, compute, pause)| {
                let argv = [&[*program, *argument, *text], more, &[compute, pause]].concat();
                Server::new(&name(program, how), &argv)
            })
        })
        .collect();
    let mut site = Site::new(&servers);
    site.serve();
    for (program, ..) in &programs {
        // On a machine that gives it less than half a processor it is the machine that has no time.
        let is_starved = |said: &Said| {
            let busy = said.finding("event_loop_busy_percent").and_then(|found| found["value"].as_f64());
            busy.is_some_and(|percent| percent < 50.0)
        };
        let said = eventually("it is late, and why", || {
            Some(of_server(&site, &name(program, "hot")))
                .filter(|said| said.cause() == "event_loop_saturated" || is_starved(said))
        });
        if is_starved(&said) {
            println!("SKIPPED: this machine has no processor to give to {program}");
        } else {
            said.check(
                "event_loop_saturated",
                "event_loop_busy_percent",
                &["thread", program.trim_end_matches('3')],
            );
        }
        site.run(&["server", "stop", &name(program, "hot")]).done();
        let well = of_server(&site, &name(program, "well"));
        assert_eq!(well.cause(), "none", "{well}");
        let busy = well.finding("event_loop_busy_percent").and_then(|found| found["value"].as_f64());
        assert!(busy.is_none_or(|percent| percent < 90.0), "{well}");
    }
}
