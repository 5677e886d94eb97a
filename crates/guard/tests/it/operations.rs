//! Owns the tests of `/admin` and `/api/test-read`: what an operator lays down holds at once, for everybody, and stays.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};

use process::control::{Message, Request};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::guarded::{DEFAULT, Events, Guarded, block_on, call, initialize};
use super::poll::eventually;
use super::stdio_client::StdioClient;
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("read_only_mode_is_what_the_runbook_says", read_only_mode_is_what_the_runbook_says),
    ("writes_that_run_are_waited_for_and_counted", writes_that_run_are_waited_for_and_counted),
    ("a_ramp_lets_a_part_of_the_sessions_write", a_ramp_lets_a_part_of_the_sessions_write),
    ("what_is_blocked_ends_by_itself", what_is_blocked_ends_by_itself),
    ("only_some_may_use_admin", only_some_may_use_admin),
    ("every_path_of_admin_refuses_whom_it_must", every_path_of_admin_refuses),
    ("a_drained_server_takes_no_new_requests", a_drained_server_takes_no_new_requests),
    ("a_test_read_reads", a_test_read_reads),
    ("what_a_server_lists_is_told_to_evidence", what_a_server_lists_is_told_to_evidence),
    ("the_control_socket_exchanges_what_was_seen", the_control_socket_exchanges_what_was_seen),
    ("controls_that_are_not_understood_are_read_only", controls_that_are_not_understood_are_read_only),
    ("a_client_of_stdio_is_held_to_it_too", a_client_of_stdio_is_held_to_it_too),
];

/// `knock ADDRESS PATH`: sends one POST, and says what comes back.
pub(crate) fn knock(args: &[String]) -> ExitCode {
    let mut stream = TcpStream::connect(&args[0]).unwrap();
    let path = &args[1];
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    print!("{answer}");
    ExitCode::SUCCESS
}

async fn admin(guarded: &Guarded, path: &str) -> (StatusCode, Value) {
    let response = guarded.http.post(guarded.url(path)).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

/// The error of an answer as JSON, or nothing.
fn error_in(answer: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(answer).unwrap();
    answer["error"]["message"].as_str().map(str::to_owned)
}

async fn tools(guarded: &Guarded, session: &str) -> Vec<String> {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let answer: Value = guarded.post(Some(session), body).send().await.unwrap().json().await.unwrap();
    let tools = answer["result"]["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

fn what_a_server_lists_is_told_to_evidence() {
    block_on(async {
        let exe = std::env::current_exe().unwrap();
        let guarded = DEFAULT.run(&[exe.to_str().unwrap(), "fixture"]).await;
        guarded.settled().await;
        for (list, key, member, first) in [
            ("resources", "resources", "uri", "test://static-text"),
            ("templates", "resourceTemplates", "uriTemplate", "test://template/{id}/data"),
            ("prompts", "prompts", "name", "test_simple_prompt"),
            ("tools", "tools", "name", "test_simple_text"),
        ] {
            let response = guarded.get(&format!("/admin/{list}")).await;
            let document: Value = response.json().await.unwrap();
            let entries = document["pages"][0][key].as_array().unwrap();
            assert!(entries.iter().any(|entry| entry[member] == first), "{list}: {document}");
        }
    });
}

fn read_only_mode_is_what_the_runbook_says() {
    block_on(async {
        let mut guarded = DEFAULT.fake("").await;
        let session = guarded.initialize().await;
        let all = tools(&guarded, &session).await;
        assert!(all.contains(&"progress".to_owned()), "{all:?}");
        let mut stream = Events::of(guarded.stream(&session).send().await.unwrap());

        let (code, done) = admin(&guarded, "/admin/readonly-mode?reason=corrupt+index&by=ann").await;
        assert_eq!(code, 200);
        assert_eq!(
            (&done["mode"], &done["changed"], &done["kept"]),
            (&json!("read_only"), &json!(true), &json!(true))
        );
        assert_eq!(done["writes_in_flight"], 0);
        assert_eq!(stream.message().await["method"], "notifications/tools/list_changed");
        assert_eq!(tools(&guarded, &session).await, ["echo", "pid"]);
        let echoed = guarded.call(&session, &json!(1), "echo", json!({"a": 1})).await;
        assert_eq!(error_in(&echoed), None, "a read goes through: {echoed}");
        for tool in ["progress", "nobody-has-heard-of-it"] {
            let refused = error_in(&guarded.call(&session, &json!(2), tool, json!({})).await).unwrap();
            assert!(refused.starts_with(&format!("server `mem`: tool `{tool}` is not known to only read, and the server is in read-only mode: set by ann (a process of user ")), "{refused}");
            assert!(refused.ends_with("(corrupt index)"), "{refused}");
        }
        let other = json!({"jsonrpc": "2.0", "id": 3, "method": "records/delete"}).to_string();
        let refused = guarded.post(Some(&session), other).send().await.unwrap().text().await.unwrap();
        assert!(
            error_in(&refused).unwrap().contains("`records/delete` is not known to only read"),
            "{refused}"
        );
        assert_eq!(guarded.metric(&["requests_refused_total", "\"read_only\""]).await, 3.0);
        assert_eq!(guarded.metric(&["mcp_server_errors_total", "error_type=\"authorization\""]).await, 3.0);
        assert_eq!(guarded.metric(&["mcp_server_writes_percent"]).await, 0.0);
        let (code, health) = guarded.health("/health").await;
        assert_eq!((code, health["restriction"].as_str().unwrap().contains("read-only mode")), (200, true));
        // Whoever said it first is who said it.
        let (_, again) = admin(&guarded, "/admin/readonly-mode?by=ben").await;
        assert_eq!(
            (&again["changed"], &again["writes"]["set"]["reason"]),
            (&json!(false), &json!("corrupt index"))
        );

        // The log is written by a thread of its own.
        let audits = |guarded: &Guarded| {
            let log = guarded.log();
            log.into_iter()
                .filter(|line| line["event"] == "audit" && !line["verb"].is_null())
                .collect::<Vec<_>>()
        };
        eventually("both audits", || (audits(&guarded).len() == 2).then_some(()));
        // It survives the guard, and every server behind it.
        let folder = guarded.end();
        let exe = std::env::current_exe().unwrap();
        let process = DEFAULT.command(folder.path(), &[exe.to_str().unwrap(), "fake", ""]).spawn().unwrap();
        let guarded = Guarded::of(process, folder).await;
        guarded.settled().await;
        let session = guarded.initialize().await;
        assert!(error_in(&guarded.call(&session, &json!(4), "progress", json!({})).await).is_some());
        let (code, done) = admin(&guarded, "/admin/enable-writes").await;
        assert_eq!((code, &done["mode"]), (StatusCode::OK, &json!("read_write")));
        assert_eq!(error_in(&guarded.call(&session, &json!(5), "fail", json!({})).await), None);
        assert_eq!(tools(&guarded, &session).await, all);
        assert!(!guarded.folder.path().join("controls/mem.json").exists());
        eventually("all audits", || (audits(&guarded).len() == 3).then_some(()));
        let audits = audits(&guarded);
        assert_eq!(audits[0]["query"], "reason=corrupt+index&by=ann");
        assert_eq!(
            (&audits[0]["verb"], &audits[0]["answer"]["mode"]),
            (&json!("readonly-mode"), &json!("read_only"))
        );
    });
}

fn writes_that_run_are_waited_for_and_counted() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let session = guarded.initialize().await;
        let until = guarded.folder.path().join("go");
        let arguments = json!({"until": until.to_str().unwrap()});
        let write = guarded.post(Some(&session), call(&json!(1), "block", &arguments)).send();
        let write = tokio::spawn(write);
        while guarded.metric(&["mcp_concurrent_operations", "tools/call"]).await < 1.0 {}
        // The server does nothing else meanwhile: what its tools are is not known, and so counts as a write.
        let (code, done) = admin(&guarded, "/admin/readonly-mode?wait=10ms").await;
        assert_eq!(
            (code, &done["writes_in_flight"], &done["writes_left"]),
            (StatusCode::ACCEPTED, &json!(1), &json!(1))
        );
        std::fs::write(&until, "").unwrap();
        let (code, done) = admin(&guarded, "/admin/readonly-mode?wait=20s").await;
        assert_eq!(
            (code, &done["writes_left"], &done["changed"]),
            (StatusCode::OK, &json!(0), &json!(false))
        );
        let answer = write.await.unwrap().unwrap().text().await.unwrap();
        assert!(answer.contains("unblocked"), "what ran is not cut off: {answer}");
    });
}

fn a_ramp_lets_a_part_of_the_sessions_write() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let mut sessions = Vec::new();
        for _ in 0..40 {
            sessions.push(guarded.initialize().await);
        }
        let mut before = vec![false; sessions.len()];
        for percent in [0, 30, 60, 100] {
            let (code, _) = admin(&guarded, &format!("/admin/enable-writes?percent={percent}")).await;
            assert_eq!(code, 200);
            let mut may = Vec::new();
            for session in &sessions {
                may.push(error_in(&guarded.call(session, &json!(1), "fail", json!({})).await).is_none());
                assert_eq!(tools(&guarded, session).await.len() > 2, *may.last().unwrap());
            }
            assert!(before.iter().zip(&may).all(|(before, now)| !before || *now), "nobody loses it");
            before = may;
        }
        assert!(before.iter().all(|may| *may));
        // One client by its name, while the others may not.
        admin(&guarded, "/admin/readonly-mode").await;
        admin(&guarded, "/admin/enable-writes?client=t").await;
        assert!(error_in(&guarded.call(&sessions[0], &json!(1), "fail", json!({})).await).is_none());
        admin(&guarded, "/admin/enable-writes?client=t&percent=0").await;
        assert!(error_in(&guarded.call(&sessions[0], &json!(1), "fail", json!({})).await).is_some());
        let (code, wrong) = admin(&guarded, "/admin/enable-writes?percent=101").await;
        assert_eq!(
            (code, wrong["error"].as_str().unwrap()),
            (StatusCode::BAD_REQUEST, "`101` is no percentage: 0 to 100")
        );
    });
}

fn what_is_blocked_ends_by_itself() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let session = guarded.initialize().await;
        let call =
            async |tool: &'static str| error_in(&guarded.call(&session, &json!(1), tool, json!({})).await);
        let (code, done) = admin(&guarded, "/admin/block?tool=fail&for=1h&reason=loops").await;
        assert_eq!((code, done["blocks"].as_array().unwrap().len()), (StatusCode::OK, 1));
        assert!(call("fail").await.unwrap().contains("tool `fail` is blocked until "));
        assert!(!tools(&guarded, &session).await.contains(&"fail".to_owned()));
        assert_eq!(call("echo").await, None);
        // The same again for a shorter time.
        admin(&guarded, "/admin/block?tool=fail&for=50ms").await;
        while call("fail").await.is_some() {}
        admin(&guarded, "/admin/block?client=t").await;
        assert!(call("echo").await.unwrap().contains("client `t` is blocked"));
        let response = guarded.post(None, initialize("2025-11-25")).send().await.unwrap();
        assert!(response.headers().get(super::guarded::SESSION).is_none());
        assert_eq!(admin(&guarded, "/admin/unblock?client=t").await.0, 200);
        assert_eq!(admin(&guarded, "/admin/unblock?client=t").await.0, 404);
        assert_eq!(call("echo").await, None);
        // Whoever blocks themselves can still look, and let themselves in again.
        admin(&guarded, "/admin/block?address=127.0.0.0/8").await;
        assert_eq!(guarded.post(None, initialize("2025-11-25")).send().await.unwrap().status(), 403);
        assert_eq!(guarded.get("/api/test-read").await.status(), 403);
        assert_eq!(guarded.get("/health").await.status(), 200);
        assert_eq!(admin(&guarded, "/admin/unblock?address=127.0.0.0/8").await.0, 200);
        assert_eq!(call("echo").await, None);
        let (code, wrong) = admin(&guarded, "/admin/block?tool=a&address=::1").await;
        assert_eq!(
            (code, &wrong["error"]),
            (StatusCode::BAD_REQUEST, &json!("name one of `address`, `client` and `tool`"))
        );
    });
}

fn only_some_may_use_admin() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, "0123456789abcdef\n").unwrap();
        std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::write(folder.path().join("guard.toml"), "[admin]\ntoken_file = 'token'").unwrap();
        let exe = std::env::current_exe().unwrap();
        let process = DEFAULT.command(folder.path(), &[exe.to_str().unwrap(), "fake", ""]).spawn().unwrap();
        let guarded = Guarded::of(process, folder).await;
        guarded.settled().await;
        let ask = |name: &'static str, value: &'static str| {
            guarded.http.post(guarded.url("/admin/clear-cache")).header(name, value).send()
        };
        for (name, value, expect) in [
            ("x-nothing", "", 200),
            ("authorization", "Bearer 0123456789abcdef", 200),
            ("authorization", "Bearer 0123456789abcdeg", 401),
            ("origin", "http://localhost", 403),
            ("x-forwarded-for", "127.0.0.1", 403),
        ] {
            assert_eq!(ask(name, value).await.unwrap().status(), expect, "{name}: {value}");
        }
        assert_eq!(guarded.metric(&["mcp_server_errors_total", "error_type=\"authentication\""]).await, 1.0);
        let status: Value = guarded.get("/admin/status").await.json().await.unwrap();
        assert_eq!((&status["phase"], &status["writes"]["percent"]), (&json!("ready"), &json!(100)));
        assert_eq!(guarded.get("/admin/readonly-mode").await.status(), 405, "looking changes nothing");
        assert_eq!(admin(&guarded, "/admin/nothing").await.0, 404);

        if !rustix::process::geteuid().is_root() {
            return eprintln!("SKIPPED another user's process: only root can start one");
        }
        let address = guarded.url("").replace("http://", "");
        let shared = std::env::temp_dir().join(format!("paramedic-knock-{}", std::process::id()));
        std::fs::copy(&exe, &shared).unwrap();
        let mut knock = Command::new(&shared);
        knock.args(["knock", &address, "/admin/readonly-mode"]).uid(65_534).stdout(Stdio::piped());
        let answer = knock.output();
        std::fs::remove_file(&shared).unwrap();
        let answer = String::from_utf8(answer.unwrap().stdout).unwrap();
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("not for user 65534"), "{answer}");
        assert_eq!(guarded.metric(&["mcp_server_writes_percent"]).await, 100.0);
    });
}

fn a_drained_server_takes_no_new_requests() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let session = guarded.initialize().await;
        let until = guarded.folder.path().join("go");
        let arguments = json!({"until": until.to_str().unwrap()});
        let running = tokio::spawn(guarded.post(Some(&session), call(&json!(1), "block", &arguments)).send());
        while guarded.metric(&["mcp_concurrent_operations", "tools/call"]).await < 1.0 {}
        let (code, done) = admin(&guarded, "/admin/drain?wait=0s").await;
        assert_eq!((code, &done["requests_left"]), (StatusCode::ACCEPTED, &json!(1)));
        let refused = guarded.post(Some(&session), call(&json!(2), "echo", &json!({}))).send().await.unwrap();
        assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (503, true));
        assert_eq!(guarded.post(None, initialize("2025-11-25")).send().await.unwrap().status(), 503);
        std::fs::write(&until, "").unwrap();
        assert_eq!(admin(&guarded, "/admin/drain").await.0, 200);
        assert!(running.await.unwrap().unwrap().text().await.unwrap().contains("unblocked"));
        assert_eq!(admin(&guarded, "/admin/drain?off").await.1["draining"], false);
        assert!(error_in(&guarded.call(&session, &json!(3), "echo", json!({})).await).is_none());
    });
}

fn a_test_read_reads() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let read = async |guarded: &Guarded| {
            let response = guarded.get("/api/test-read").await;
            (response.status().as_u16(), response.json::<Value>().await.unwrap())
        };
        let (code, report) = read(&guarded).await;
        assert_eq!((code, &report["read"]), (200, &json!({"tool": "echo", "arguments": {}})), "{report}");
        admin(&guarded, "/admin/readonly-mode").await;
        assert_eq!(read(&guarded).await.0, 200, "it is a read");
        let (_, cleared) = admin(&guarded, "/admin/clear-cache").await;
        let hints = cleared["caches"].as_array().unwrap().last().unwrap();
        assert_eq!((&hints["cache"], &hints["entries"]), (&json!("hints"), &json!(24)), "{cleared}");
        assert!(cleared["freed_bytes"].as_u64().unwrap() > 100);
        let child = guarded.child().await;
        process::send(child, process::Signal::KILL).unwrap();
        let down = async {
            loop {
                let (code, report) = read(&guarded).await;
                if code != 200 {
                    return report;
                }
            }
        };
        let report = tokio::time::timeout(std::time::Duration::from_secs(20), down).await.unwrap();
        assert!(report["reason"].as_str().unwrap().contains("SIGKILL"), "{report}");

        // What is declared is read, and only if it is a read.
        for (tool, expect, reason) in
            [("pid", 200, "has read"), ("fail", 503, "does not say that it only reads")]
        {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("guard.toml"), format!("[test_read]\ntool = '{tool}'"))
                .unwrap();
            let exe = std::env::current_exe().unwrap();
            let process =
                DEFAULT.command(folder.path(), &[exe.to_str().unwrap(), "fake", ""]).spawn().unwrap();
            let guarded = Guarded::of(process, folder).await;
            guarded.settled().await;
            let (code, report) = read(&guarded).await;
            assert_eq!(code, expect, "{report}");
            assert!(report["reason"].as_str().unwrap().contains(reason), "{report}");
        }
    });
}

fn the_control_socket_exchanges_what_was_seen() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let (control, mut messages, _) = guarded.control().await;
        let mut controls = guard::Controls::default();
        controls.read_only(guard::Set::new("ann", 7, None));
        let text = controls.to_text();
        let mut exchange = async |old: &Option<String>, new: &Option<String>| {
            let body = json!({"old": old, "new": new, "wait_ms": 0}).to_string();
            let (by, verb) = ("a test".to_owned(), "controls".to_owned());
            control.send(&Request::Admin { id: 9, by, verb, query: String::new(), body }).await.unwrap();
            loop {
                if let Message::Answered { id: 9, code, document } = messages.recv().await.unwrap() {
                    return (code, serde_json::from_str::<Value>(&document).unwrap());
                }
            }
        };
        let (code, done) = exchange(&None, &text).await;
        assert_eq!((code, &done["mode"]), (200, &json!("read_only")));
        let path = guarded.folder.path().join("controls/mem.json");
        assert_eq!(std::fs::read_to_string(&path).ok(), text);
        let (code, moved) = exchange(&None, &None).await;
        assert_eq!((code, moved["found"].as_str()), (409, text.as_deref()));
        let (code, _) = exchange(&text, &Some("{}".to_owned())).await;
        assert_eq!(code, 400);
        assert_eq!(
            *guarded.status().await.restriction.unwrap(),
            "the server is in read-only mode: set by ann at 1970-01-01T00:00:00.007Z"
        );
        let (code, done) = exchange(&text, &None).await;
        assert_eq!((code, &done["mode"], path.exists()), (200, &json!("read_write"), false));
        assert_eq!(guarded.status().await.restriction, None);
    });
}

fn controls_that_are_not_understood_are_read_only() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("controls")).unwrap();
        std::fs::write(folder.path().join("controls/mem.json"), "{\"version\": 2}").unwrap();
        let exe = std::env::current_exe().unwrap();
        let process = DEFAULT.command(folder.path(), &[exe.to_str().unwrap(), "fake", ""]).spawn().unwrap();
        let guarded = Guarded::of(process, folder).await;
        guarded.settled().await;
        let session = guarded.initialize().await;
        let refused = error_in(&guarded.call(&session, &json!(1), "fail", json!({})).await).unwrap();
        assert!(refused.contains("controls are of version 2"), "{refused}");
        assert_eq!(admin(&guarded, "/admin/enable-writes").await.0, 200);
        assert_eq!(error_in(&guarded.call(&session, &json!(1), "fail", json!({})).await), None);
    });
}

fn a_client_of_stdio_is_held_to_it_too() {
    let mut client = StdioClient::met("");
    let list = |client: &mut StdioClient| {
        client.ask("tools/list", &json!({}))["result"]["tools"].as_array().unwrap().len()
    };
    let all = list(&mut client);
    let (code, done) = client.post("/admin/readonly-mode?reason=corrupt");
    assert_eq!((code, &done["mode"]), (200, &json!("read_only")));
    let told = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
    eventually("the announcement", || {
        client.ask("ping", &json!({}));
        client.others.contains(&told).then_some(())
    });
    assert_eq!(list(&mut client), 2);
    let echoed = client.ask("tools/call", &json!({"name": "echo", "arguments": {}}));
    assert!(echoed["result"].is_object(), "{echoed}");
    let refused = client.ask("tools/call", &json!({"name": "fail", "arguments": {}}));
    let reason = refused["error"]["message"].as_str().unwrap();
    assert!(
        reason.starts_with("server `fake` refuses it: tool `fail` is not known to only read"),
        "{reason}"
    );
    assert!(
        client
            .metrics()
            .contains("mcp_server_requests_refused_total{server_name=\"fake\",reason=\"read_only\"} 1")
    );
    let (code, _) = client.post("/admin/drain");
    assert_eq!(code, 409, "its one client cannot be sent elsewhere");
    assert_eq!(client.post("/admin/enable-writes").0, 200);
    assert!(client.ask("tools/call", &json!({"name": "fail", "arguments": {}}))["result"].is_object());
    assert_eq!(list(&mut client), all);
}

/// All paths of `/admin`, how each is called, and a parameter that it knows and does not understand.
const PATHS: [(&str, &str, &str); 9] = [
    ("readonly-mode", "POST", "wait=soon"),
    ("enable-writes", "POST", "percent=101"),
    ("clear-cache", "POST", "wait=1s"),
    ("drain", "POST", "wait=-1s"),
    ("block", "POST", "tool=a&for=never"),
    ("unblock", "POST", "tool=a&client=b"),
    ("status", "GET", "wait=1s"),
    ("tools", "GET", "tool=a"),
    ("controls", "POST", "old=a"),
];

fn every_path_of_admin_refuses() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let session = guarded.initialize().await;
        let before: Value = guarded.get("/admin/status").await.json().await.unwrap();
        for (path, method, wrong) in PATHS {
            let url = guarded.url(&format!("/admin/{path}"));
            let ask = |method: &str, url: &str| {
                guarded.http.request(reqwest::Method::from_bytes(method.as_bytes()).unwrap(), url)
            };
            let other = if method == "GET" { "POST" } else { "GET" };
            for (request, expect) in [
                (ask(other, &url), 405),
                (ask("DELETE", &url), 405),
                (ask(method, &url).header("origin", "http://localhost"), 403),
                (ask(method, &url).header("origin", "http://evil.example"), 403),
                (ask(method, &url).header("forwarded", "for=127.0.0.1"), 403),
                (ask(method, &url).header("via", "1.1 proxy"), 403),
                (ask(method, &url).header("authorization", "Bearer 0123456789abcdef"), 401),
                (ask(method, &url).header("host", "evil.example"), 403),
                (ask(method, &format!("{url}?nothing=1")), 400),
                (ask(method, &format!("{url}?{wrong}")), 400),
                (ask(method, &url).body("x".repeat(100_000)), 400),
            ] {
                let shown = format!("{request:?}");
                let response = request.send().await.unwrap();
                assert_eq!(response.status(), expect, "{path}: {shown}");
            }
        }
        let after: Value = guarded.get("/admin/status").await.json().await.unwrap();
        for member in ["writes", "blocks", "draining", "phase", "starts"] {
            assert_eq!(after[member], before[member], "nothing of it was carried out");
        }
        assert!(guarded.call(&session, &json!(1), "update", json!({"uri": "x"})).await.contains("result"));
    });
}
