//! Tests of a guard that `serve` starts in front of a server which somebody else has started, and which speaks HTTP.

use process::Signal;
use serde_json::json;

use crate::client::ask;
use crate::processes;
use crate::site::{Server, Site, free_port};

#[test]
fn an_upstream_gets_a_guard_that_is_started_again_and_taken_over() {
    // The upstream is the guard of another server: it speaks HTTP, and has sessions of its own.
    let mut site = Site::new(&[Server::notes("notes")]);
    let (port, inner) = (free_port(), site.port("notes"));
    let mut config = std::fs::read_to_string(site.config()).unwrap();
    config.push_str(&format!(
        "[[server]]\nname = \"front\"\nport = {port}\nupstream = \"http://127.0.0.1:{inner}/mcp\"\nguarded = true\n"
    ));
    site.write_config(&config);
    site.serve_until_ready(&["notes", "front"]);
    let before = site.until("front", "healthy", |status| status.health == "healthy");
    assert_eq!((before.source.as_str(), before.restart_owner.as_str()), ("upstream", "upstream"));
    assert_eq!(before.endpoint, format!("http://127.0.0.1:{port}/mcp"));
    let note = |port: u16| ask(&format!("http://127.0.0.1:{port}/mcp"), "add_note", &json!({"text": "x"}));
    assert_eq!(note(port).as_deref(), Ok("1"));

    // The whole surface, by the commands of the product; the upstream itself is not touched.
    let said = site.run(&["server", "readonly", "front"]).done();
    assert!(said.contains("front: read-only"), "{said}");
    let page = || site.run(&["metrics", "front", "-o", "prometheus"]).done();
    assert!(page().contains("mcp_server_writes_percent{server_name=\"front\"} 0"), "{}", page());
    assert_eq!(note(inner).as_deref(), Ok("2"));
    site.run(&["server", "writes", "front"]).done();
    assert!(page().contains("mcp_server_writes_percent{server_name=\"front\"} 100"), "{}", page());
    assert_eq!(note(port).as_deref(), Ok("3"));
    let ran = site.run(&["server", "restart", "front"]);
    assert!(ran.stderr.contains("whoever started it restarts it"), "{ran:?}");

    // It is gone, and another one is there without anybody's order; nothing has happened to the server.
    let guard = before.guard_pid.unwrap();
    processes::signal(guard, Signal::KILL);
    let after = site.until("front", "behind another guard", |status| {
        status.guard_pid.is_some_and(|pid| pid != guard) && status.phase == "ready"
    });
    assert_eq!(note(port).as_deref(), Ok("4"));

    // It outlives `serve`, and is taken over.
    site.end_serve(Signal::KILL);
    assert_eq!(note(port).as_deref(), Ok("5"));
    site.serve_until_ready(&["notes", "front"]);
    assert_eq!(note(port).as_deref(), Ok("6"));
    let taken_over = site.status("front");
    assert_eq!((taken_over.guard_pid, taken_over.outdated), (after.guard_pid, false));

    // One that goes on with what it was started with is told of.
    site.end_serve(Signal::KILL);
    site.write_config(&config.replace("guarded = true", "guarded = true\nstart_timeout = \"77s\""));
    site.serve_until_ready(&["notes", "front"]);
    let outdated = ["notes", "front"].map(|name| site.status(name).outdated);
    assert_eq!(outdated, [false, true]);
    let shown = site.run(&["server", "status", "front"]).stdout;
    assert!(shown.contains("`paramedic guard --take-over` replaces it"), "{shown}");
    assert!(site.incidents().is_empty(), "{:?}", site.incidents());
}
