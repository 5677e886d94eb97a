//! Tests read-only mode, blocks and caches by the commands of the product, with real clients and servers.

use std::fs;
use std::process::Stdio;

use incident::Record;
use rmcp::ServiceExt;
use rmcp::model::CallToolRequestParams;
use serde_json::json;

use crate::client::{ask, transport};
use crate::poll::eventually;
use crate::site::{EXE, Server, Setup, Site, block_on};
use crate::stdio::guard_command;

/// A runbook that stops writes, and says so.
const RUNBOOK: &str = r#"
## Corrupt

### Alert: Corrupt

**Severity**: Warning
**Alert Query**: `mcp_data_integrity_status == 0`

### Response (0-5 minutes)

1. **Stop writes**

   ```bash {verify="ready"}
   paramedic server readonly "$SERVER_NAME" --reason "looking at its data"
   ```

2. **What is cached may be wrong**

   ```bash
   paramedic server clear-cache "$SERVER_NAME"
   ```
"#;

/// Keeps a note, without asking first whether the server has such a tool.
fn add_note(site: &Site) -> Result<(), String> {
    block_on(async {
        let client = ().serve(transport(&site.endpoint("notes"))).await.map_err(|error| error.to_string())?;
        let mut call = CallToolRequestParams::new("add_note");
        call.arguments = json!({"text": "buy milk"}).as_object().cloned();
        let called = client.call_tool(call).await.map(|_| ()).map_err(|error| error.to_string());
        let _ = client.cancel().await;
        called
    })
}

fn notes(site: &Site) -> String {
    ask(&site.endpoint("notes"), "list_notes", &json!({})).unwrap()
}

#[test]
fn writes_are_stopped_and_let_through_again() {
    let mut site = Site::new(&[Server::notes("notes")]);
    // Before anything runs it is written down for whoever starts.
    let early = site.run(&["server", "readonly", "notes", "--reason", "corrupt index"]);
    assert!(early.stderr.contains("it holds from its next start on"), "{early:?}");
    early.done();
    site.serve_until_ready(&["notes"]);
    let refused = add_note(&site).unwrap_err();
    assert!(refused.contains("set by tester at") && refused.contains("(corrupt index)"), "{refused}");
    assert_eq!(notes(&site), "");
    let shown = site.run(&["server", "status", "notes"]).done();
    assert!(shown.contains("restricted  the server is in read-only mode: set by tester"), "{shown}");

    let said = site.run(&["server", "writes", "notes"]).done();
    assert!(said.ends_with("notes: clients may write\n"), "{said}");
    assert!(said.contains("-    \"percent\": 0"), "{said}");
    add_note(&site).unwrap();
    assert_eq!(site.run(&["server", "writes", "notes"]).done(), "notes: nothing to do, it is so already\n");
    let said = site.run(&["server", "readonly", "notes"]).done();
    assert!(said.ends_with("notes: read-only; 0 writes were running, 0 still are\n"), "{said}");
    // A server that is started anew is held to it, and so is a guard.
    site.run(&["server", "restart", "notes"]).done();
    assert!(add_note(&site).is_err());
    site.run(&["server", "readonly", "notes", "--undo"]).done();
    add_note(&site).unwrap();
    site.run(&["server", "readonly", "notes", "--undo"]).failed(1, &["nothing was tuned"]);
    assert!(!site.path("data/controls/notes.json").exists());

    site.run(&["server", "block", "notes", "--tool", "add_note", "--for", "1h", "--reason", "loops"]).done();
    assert!(add_note(&site).unwrap_err().contains("tool `add_note` is blocked until"));
    assert_eq!(notes(&site), "buy milk");
    site.run(&["server", "unblock", "notes", "--tool", "add_note"]).done();
    add_note(&site).unwrap();
    let cleared = site.run(&["server", "clear-cache", "notes"]).done();
    assert!(cleared.starts_with("notes: cache `tools`: "), "{cleared}");

    for (words, code, why) in [
        (&["block", "notes"][..], 2, "required"),
        (&["block", "notes", "--address", "here"], 2, "`here` is no address"),
        (&["writes", "notes", "--percent", "101"], 2, "101"),
        (&["readonly", "nobody"], 2, "`nobody` is no server"),
    ] {
        site.run(&[&["server"], words].concat()).failed(code, &[why]);
    }
    site.run(&["kill-switch", "on"]).done();
    for words in [&["readonly", "notes"][..], &["clear-cache", "notes"]] {
        site.run(&[&["server"], words].concat()).failed(4, &["the kill switch is on"]);
    }
    add_note(&site).unwrap();
}

#[test]
fn a_runbook_stops_writes_and_that_is_taken_back_once() {
    let keys = "runbooks = [\"corrupt.md\"]";
    let mut site = Site::of(&Setup { keys, servers: &[Server::notes("notes")], ..Setup::default() });
    fs::write(site.path("corrupt.md"), RUNBOOK).unwrap();
    site.serve_until_ready(&["notes"]);
    let open = ["incident", "open", "--server", "notes", "--procedure", "Corrupt", "--reason", "odd"];
    let id = site.run(&open).done().trim().to_owned();
    let story = site.resolved("notes");
    assert!(story.has(|record| matches!(record, Record::Changed { change, .. } if change.target == "notes")));
    let refused = add_note(&site).unwrap_err();
    assert!(refused.contains("the runbook (unit 1.1)"), "{refused}");
    let shown = site.run(&["incident", "show", &id]).done();
    assert!(
        shown.contains("change c1: controls of server `notes` changed by the runbook (unit 1.1)"),
        "{shown}"
    );
    let undone = site.run(&["incident", "undo", &id, "c1"]).done();
    assert!(undone.contains("-    \"percent\": 0"), "{undone}");
    add_note(&site).unwrap();
    site.run(&["incident", "undo", &id, "c1"]).failed(1, &["took it back"]);
}

#[test]
fn what_somebody_said_since_is_left_alone() {
    let mut site = Site::new(&[Server::notes("notes")]);
    site.serve_until_ready(&["notes"]);
    site.run(&["server", "readonly", "notes"]).done();
    // Somebody else, by the guard's own port.
    block_on(async {
        let url = site.endpoint("notes").replace("/mcp", "/admin/block?tool=add_note");
        let response = crate::client::http().post(url).send().await.unwrap();
        assert_eq!(response.status(), 200);
    });
    site.run(&["server", "readonly", "notes", "--undo"]).failed(4, &["the controls were changed meanwhile"]);
    assert!(add_note(&site).is_err());
}

#[test]
fn a_server_of_a_client_is_held_to_it() {
    let site = Site::new(&[]);
    let mut command = guard_command(&site, &["guard", "--stdio", "--", EXE, "demo-server", "notes"]);
    let mut guard = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let socket = site.path("data/run/clients/paramedic.sock");
    eventually("its socket", || socket.exists().then_some(()));
    let said = site.run(&["server", "readonly", "paramedic"]).done();
    assert!(said.ends_with("paramedic: read-only; 0 writes were running, 0 still are\n"), "{said}");
    assert!(site.path("data/controls/paramedic.json").exists());
    assert_eq!(
        site.run(&["server", "clear-cache", "paramedic"]).done(),
        "paramedic: its guard keeps no cache\n"
    );
    site.run(&["server", "writes", "paramedic"]).done();
    drop(guard.stdin.take());
    guard.wait().unwrap();
}
