//! Owns the tests of a machine that has no more to give (a full disk, no more processes), and of streams that are odd.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use process::control::{Message, Outcome, Phase, Request};
use serde_json::{Value, json};

use super::fake_http::FakeHttp;
use super::guarded::{DEFAULT, Guarded, SESSION, block_on, call, initialize};
use super::limits::with;
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("a_full_disk_keeps_nobody_from_the_server", a_full_disk_keeps_nobody_from_the_server),
    ("without_processes_a_start_fails_and_the_guard_goes_on", without_processes),
    ("an_empty_event_and_a_missing_stream_are_no_trouble", an_empty_event_and_a_missing_stream),
];

/// A user that nobody is: how many processes root may have is not limited.
const NOBODY: &str = "64999";

/// Whatever is written to these is refused for want of space.
fn full(folder: &Path) {
    for file in ["logs/mem.log", "controls/mem.json.new", "controls/mem.restarts.new"] {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink("/dev/full", path).unwrap();
    }
}

async fn order(guarded: &Guarded, request: &Request) -> Outcome {
    let (control, mut messages, _) = guarded.control().await;
    control.send(request).await.unwrap();
    loop {
        if let Message::Reply { outcome, .. } = messages.recv().await.unwrap() {
            return outcome;
        }
    }
}

async fn restart(guarded: &Guarded, key: &str) -> Phase {
    let request = Request::Restart { id: 1, key: key.to_owned(), by: "a test".to_owned() };
    match order(guarded, &request).await {
        Outcome::Ok(status) => status.phase,
        Outcome::Error(reason) => panic!("{reason}"),
    }
}

fn a_full_disk_keeps_nobody_from_the_server() {
    block_on(async {
        let exe = std::env::current_exe().unwrap();
        let guarded = with("", &[exe.to_str().unwrap(), "fake", ""], full).await;
        let session = guarded.initialize().await;
        for _ in 0..100 {
            assert!(guarded.call(&session, &json!(1), "echo", json!({"a": 1})).await.contains("result"));
        }
        assert_eq!(guarded.health("/health").await.0, 200);
        // What an operator lays down holds, and the answer says that it will be forgotten.
        let url = guarded.url("/admin/readonly-mode");
        let said: Value = guarded.http.post(url).send().await.unwrap().json().await.unwrap();
        assert_eq!(said["kept"], false, "{said}");
        assert!(guarded.call(&session, &json!(2), "update", json!({"uri": "x"})).await.contains("read-only"));
        // A restart is carried out, and counted.
        assert_eq!(restart(&guarded, "k").await, Phase::Ready);
        assert_eq!(guarded.metric(&["mcp_server_restarts_total"]).await, 1.0);
    });
}

fn without_processes() {
    if ["setpriv", "prlimit"].iter().any(|program| Command::new(program).arg("--version").output().is_err()) {
        println!("SKIPPED: there is no setpriv or prlimit");
        return;
    }
    block_on(async {
        let (folder, exe) = (tempfile::tempdir().unwrap(), std::env::current_exe().unwrap());
        let inner = DEFAULT.command(folder.path(), &[exe.to_str().unwrap(), "fake", ""]);
        let mut guard = match rustix::process::geteuid().is_root() {
            true => {
                // Somebody for whom there is a limit, and who may use the folder and start this program.
                std::os::unix::fs::chown(folder.path(), NOBODY.parse().ok(), None).unwrap();
                let mut guard = Command::new("setpriv");
                guard.args(["--reuid", NOBODY, "--clear-groups"]).arg(inner.get_program());
                guard
            }
            false => Command::new(inner.get_program()),
        };
        let mut started = guard.args(inner.get_args()).stdin(std::process::Stdio::null()).spawn().unwrap();
        if let Some(status) = started.try_wait().unwrap() {
            println!("SKIPPED: user {NOBODY} cannot run this program: {status}");
            return;
        }
        let guarded = Guarded::of(started, folder).await;
        guarded.settled().await;
        let limit = |most: &str| {
            let pid = guarded.process.id().to_string();
            // By the same user: root may lack the right to change another's.
            let mut set = match rustix::process::geteuid().is_root() {
                true => {
                    let mut set = Command::new("setpriv");
                    set.args(["--reuid", NOBODY, "--clear-groups", "prlimit"]);
                    set
                }
                false => Command::new("prlimit"),
            };
            let set = set.args(["--pid", &pid, &format!("--nproc={most}:")]).status();
            assert!(set.unwrap().success());
        };
        limit("1");
        assert_eq!(restart(&guarded, "k1").await, Phase::Failed);
        let (code, health) = guarded.health("/health").await;
        let reason = health["reason"].as_str().unwrap();
        assert_eq!(code, 503);
        assert!(reason.contains("Resource temporarily unavailable"), "{reason}");
        // It answers, and looks at itself.
        for _ in 0..20 {
            assert_eq!(guarded.post(None, initialize("2025-11-25")).send().await.unwrap().status(), 503);
            assert_eq!(guarded.metric(&["mcp_server_up"]).await, 0.0);
        }
        limit("1000");
        assert_eq!(restart(&guarded, "k2").await, Phase::Ready);
        assert_eq!(guarded.health("/health").await.0, 200);
        let session = guarded.initialize().await;
        assert!(guarded.call(&session, &json!(1), "echo", json!({})).await.contains("result"));
    });
}

fn an_empty_event_and_a_missing_stream() {
    block_on(async {
        let server = FakeHttp::start("127.0.0.1:0").await;
        server.seen.lock().unwrap().has_no_stream = true;
        let guarded = DEFAULT.run(&[&server.url()]).await;
        guarded.settled().await;
        let opened = guarded.post(None, initialize("2025-11-25")).send().await.unwrap();
        let session = opened.headers()[SESSION].to_str().unwrap().to_owned();
        // One that has no stream of its own is asked for it as often as its clients ask, and says so itself.
        for _ in 0..3 {
            let get = guarded.http.get(guarded.url("/mcp")).header("accept", "text/event-stream");
            let response = get.header(SESSION, &session).send().await.unwrap();
            assert_eq!(
                (response.status().as_u16(), &response.headers()["allow"]),
                (405, &http::HeaderValue::from_static("POST, DELETE"))
            );
        }
        assert_eq!(server.count("GET"), 3);
        // An event without data comes first, as some servers send for resumption.
        let answered = guarded.post(Some(&session), call(&json!(5), "wait", &json!({}))).send();
        let (response, ()) = tokio::join!(answered, async {
            server.go_on("id: 1\ndata:\n\n").await;
            server.go_on("\n: nothing\n\n").await;
            server.go_on("id: 2\ndata: {\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{\"content\":[]}}\n\n").await;
            server.go_on("").await;
        });
        let text = response.unwrap().text().await.unwrap();
        assert!(text.starts_with("id: 1\ndata:\n\n") && text.contains("\"id\":5,\"result\""), "{text}");
        let labels = ["mcp_request_duration_seconds_count", "tools/call", "success"];
        assert_eq!(guarded.metric(&labels).await, 1.0);
        assert_eq!(guarded.metric(&["mcp_concurrent_operations", "tools/call"]).await, 0.0);
        assert_eq!(guarded.health("/health").await.0, 200);
    });
}
