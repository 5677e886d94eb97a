//! Owns the tests of what goes wrong: killed, frozen, silent, wrong and stubborn servers, and killed guards.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use process::control::{Event, ExitCause, Message, Phase};
use process::{Ending, ProcessId, Signal, descendants, send};
use serde_json::{Value, json};

use super::cold::{cold_npx, work};
use super::guarded::{DEFAULT, Events, Guarded, Start, block_on, call, initialize};
use super::poll::eventually;
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("a_killed_server_is_reported_at_once", a_killed_server_is_reported_at_once),
    ("a_server_that_exits_leaves_its_last_words", a_server_that_exits_leaves_its_last_words),
    ("a_server_that_goes_mute_is_not_waited_for", a_server_that_goes_mute_is_not_waited_for),
    ("garbage_is_dropped_and_counted", garbage_is_dropped_and_counted),
    ("a_frozen_server_is_unhealthy_at_once", a_frozen_server_is_unhealthy_at_once),
    ("a_busy_server_is_not_dead", a_busy_server_is_not_dead),
    ("a_server_that_does_not_start_in_time_is_ended", a_server_that_does_not_start_in_time_is_ended),
    ("installing_is_not_hanging", installing_is_not_hanging),
    ("an_installation_that_hangs_is_ended", an_installation_that_hangs_is_ended),
    ("a_server_that_cannot_start_says_why", a_server_that_cannot_start_says_why),
    ("a_port_in_use_is_named", a_port_in_use_is_named),
    ("two_guards_of_one_name_do_not_run", two_guards_of_one_name_do_not_run),
    ("a_killed_guard_leaves_nothing", a_killed_guard_leaves_nothing),
    ("a_terminated_guard_ends_its_server_and_says_goodbye", a_terminated_guard_ends_its_server),
    ("a_tied_guard_ends_with_its_owner", a_tied_guard_ends_with_its_owner),
];

fn a_killed_server_is_reported_at_once() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let session = guarded.initialize().await;
        let (_control, mut messages, status) = guarded.control().await;
        let child = status.child.unwrap();
        let hanging =
            tokio::spawn(guarded.post(Some(&session), call(&json!("mine"), "hang", &json!({}))).send());
        while guarded.metric(&["mcp_concurrent_operations", "tools/call"]).await < 1.0 {}
        send(child, Signal::KILL).unwrap();
        let answer: Value = hanging.await.unwrap().unwrap().json().await.unwrap();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("mine"), &json!(-32000)));
        assert!(answer["error"]["message"].as_str().unwrap().contains("killed by SIGKILL"), "{answer}");
        let Some(Message::Event { event: Event::Exited { exit } }) = messages.recv().await else {
            panic!("no exit");
        };
        assert_eq!(exit.ending, Some(Ending::Signaled(9)));
        assert_eq!((exit.cause, exit.pid, exit.sequence), (ExitCause::Unexpected, Some(child.pid), 1));

        // The session is gone with its server, and there is none to initialize with.
        let again = guarded.post(Some(&session), call(&json!(1), "echo", &json!({}))).send().await.unwrap();
        assert_eq!(again.status(), 404);
        let response = guarded.post(None, initialize("2025-11-25")).send().await.unwrap();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "1");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["error"]["message"], "server `mem` has exited: killed by SIGKILL");
        let (status, health) = guarded.health("/health").await;
        assert_eq!((status, &health["phase"]), (503, &json!("exited")), "{health}");
        assert_eq!(health["last_exit"]["ending"]["signaled"], 9);
        assert_eq!(guarded.metric(&["mcp_server_up"]).await, 0.0);
        assert_eq!(guarded.metric(&["mcp_server_errors_total", "child_exit"]).await, 1.0);
        assert_eq!(guarded.metric(&["mcp_concurrent_operations", "tools/call"]).await, 0.0);
    });
}

fn a_server_that_exits_leaves_its_last_words() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let session = guarded.initialize().await;
        let answer = guarded.call(&session, &json!(1), "exit", json!({})).await;
        assert!(answer.contains("exited with code 7"), "{answer}");
        let exit = guarded.status().await.last_exit.unwrap();
        assert_eq!(exit.reason, "exited with code 7");
        assert_eq!(exit.stderr, ["Traceback: the end"]);
        let (_, health) = guarded.health("/health").await;
        assert_eq!(health["stderr"], json!(["Traceback: the end"]));
        let is_said = |line: &Value| line["source"] == "stderr" && line["level"] == "error";
        guarded.logged("its last words", |log| log.iter().any(is_said));
    });
}

fn a_server_that_goes_mute_is_not_waited_for() {
    block_on(async {
        // The server behind the wrapper ends, and the wrapper lives on with its output closed.
        let exe = std::env::current_exe().unwrap();
        let script = "\"$0\" fake; exec >&-; exec sleep 300";
        let guarded = DEFAULT.run(&["sh", "-c", script, exe.to_str().unwrap()]).await;
        guarded.settled().await;
        let session = guarded.initialize().await;
        let answer = guarded.call(&session, &json!(1), "exit", json!({})).await;
        assert!(answer.contains("the server has closed its standard output"), "{answer}");
        assert_eq!(guarded.status().await.phase, Phase::Ready);
        let (status, health) = guarded.health("/health").await;
        assert_eq!((status, &health["status"]), (503, &json!("unhealthy")), "{health}");
        assert_eq!(health["reason"], "the server has closed its standard output");
    });
}

fn garbage_is_dropped_and_counted() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let session = guarded.initialize().await;
        let answer = guarded.call(&session, &json!(1), "garbage", json!({})).await;
        assert!(answer.contains("after garbage"), "{answer}");
        assert_eq!(guarded.metric(&["mcp_server_errors_total", "\"protocol\""]).await, 3.0);
        let is_dropped = |line: &&Value| line["message"].as_str().unwrap().starts_with("dropped");
        guarded.logged("three dropped lines", |log| log.iter().filter(is_dropped).count() == 3);
    });
}

fn a_frozen_server_is_unhealthy_at_once() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let child = guarded.child().await;
        send(child, Signal::STOP).unwrap();
        eventually("it stops", || child.is_stopped().then_some(()));
        let asked = Instant::now();
        let (status, health) = guarded.health("/health").await;
        assert!(asked.elapsed() < Duration::from_secs(1), "no ping is waited for");
        assert_eq!((status, &health["status"]), (503, &json!("unhealthy")));
        let reason = format!("process {child} is stopped (SIGSTOP): alive, and answering nothing");
        assert_eq!(health["reason"], reason);
        assert_eq!(guarded.metric(&["mcp_server_up"]).await, 0.0);
        send(child, Signal::CONT).unwrap();
        eventually("it goes on", || (!child.is_stopped()).then_some(()));
        assert_eq!(guarded.health("/health").await.0, 200);
    });
}

fn a_busy_server_is_not_dead() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let session = guarded.initialize().await;
        let file = guarded.folder.path().join("go on");
        let blocked = call(&json!(1), "block", &json!({"until": file}));
        let blocked = tokio::spawn(guarded.post(Some(&session), blocked).send());
        while guarded.metric(&["mcp_concurrent_operations", "tools/call"]).await < 1.0 {}
        // Both questions are one ping.
        let asked = Instant::now();
        let (one, two) = tokio::join!(guarded.health("/health"), guarded.health("/ready"));
        assert!(asked.elapsed() < Duration::from_millis(3500));
        for (status, health) in [one, two] {
            assert_eq!((status, &health["status"]), (200, &json!("busy")), "{health}");
        }
        fs::write(file, "").unwrap();
        let answer = blocked.await.unwrap().unwrap().text().await.unwrap();
        assert!(answer.contains("unblocked"), "{answer}");
        assert_eq!(guarded.health("/health").await.1["status"], "healthy");
    });
}

fn a_server_that_does_not_start_in_time_is_ended() {
    block_on(async {
        let exe = std::env::current_exe().unwrap();
        let start = Start { start_timeout_ms: 400, ..DEFAULT };
        let guarded = start.run(&[exe.to_str().unwrap(), "fake", "mute"]).await;
        let child = guarded.child().await;
        let (status, health) = guarded.health("/health").await;
        assert_eq!((status, &health["status"]), (503, &json!("starting")), "{health}");
        let response = guarded.post(None, initialize("2025-11-25")).send().await.unwrap();
        assert!(response.text().await.unwrap().contains("is starting"));
        let status = guarded.settled().await;
        assert_eq!(status.phase, Phase::Failed);
        let exit = status.last_exit.unwrap();
        assert_eq!(exit.cause, ExitCause::StartTimedOut);
        assert_eq!(exit.reason, "did not answer `initialize` within 0.4 s");
        assert!(!child.is_alive());
    });
}

fn installing_is_not_hanging() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        // Four seconds of work, with a start time-out of one.
        let npx = cold_npx(folder.path(), &work(folder.path(), 4));
        let start = Start { start_timeout_ms: 1_000, ..DEFAULT };
        let guarded = start.run(&[&npx, "-y", "fake"]).await;
        let (_control, mut messages, _) = guarded.control().await;
        // Whoever listens is told.
        let status = loop {
            let message =
                tokio::time::timeout(Duration::from_secs(20), messages.recv()).await.unwrap().unwrap();
            match message {
                Message::Hello { status } if status.phase == Phase::Installing => break status,
                Message::Event { event: Event::Ready { .. } } => panic!("it was never said to be installing"),
                _ => {}
            }
        };
        assert_eq!(status.starts, 1);
        let (code, health) = guarded.health("/health").await;
        assert_eq!((code, &health["status"]), (503, &json!("installing")), "{health}");
        let reason = health["reason"].as_str().unwrap();
        assert!(reason.contains("server `mem` is being installed: `npm install` has worked for"), "{reason}");
        let response = guarded.post(None, initialize("2025-11-25")).send().await.unwrap();
        assert!(response.text().await.unwrap().contains("is being installed"));
        let status = guarded.settled().await;
        assert_eq!((status.phase, status.starts, status.last_exit), (Phase::Ready, 1, None));
        assert_eq!(guarded.health("/health").await.0, 200);
    });
}

fn an_installation_that_hangs_is_ended() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let npx = cold_npx(folder.path(), "sleep 996; false");
        let start = Start { start_timeout_ms: 1_000, ..DEFAULT };
        let guarded = start.run(&[&npx, "-y", "fake"]).await;
        let child = guarded.child().await;
        let status = guarded.settled().await;
        let exit = status.last_exit.unwrap();
        assert_eq!((status.phase, exit.cause), (Phase::Failed, ExitCause::StartTimedOut));
        assert_eq!(exit.reason, "did not answer `initialize`: `npm install` has not got on for 1 s");
        assert!(!child.is_alive());
    });
}

fn a_server_that_cannot_start_says_why() {
    block_on(async {
        let guarded = DEFAULT.run(&["/no/such/server"]).await;
        let status = guarded.settled().await;
        let exit = status.last_exit.unwrap();
        assert_eq!((status.phase, exit.cause, exit.pid), (Phase::Failed, ExitCause::StartFailed, None));
        assert_eq!(exit.reason, "cannot run `/no/such/server`: No such file or directory (os error 2)");
        let (code, health) = guarded.health("/health").await;
        assert_eq!(code, 503);
        assert!(health["reason"].as_str().unwrap().contains("No such file"), "{health}");

        for (mode, reason) in [
            ("crash", "exited with code 3 before it answered `initialize`"),
            ("refuse", "answered `initialize` with the error {\"code\":-32603,\"message\":\"no licence\"}"),
        ] {
            let guarded = DEFAULT.fake(mode).await;
            let status = guarded.status().await;
            let exit = status.last_exit.unwrap();
            assert_eq!((status.phase, exit.reason.as_str()), (Phase::Failed, reason));
            assert_eq!(exit.stderr.is_empty(), mode == "refuse");
        }
    });
}

fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let start = Start { listen: Box::leak(address.clone().into_boxed_str()), ..DEFAULT };
    let marker = folder.path().join("started");
    let output = start.command(folder.path(), &["touch", marker.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with(&format!("cannot listen on `{address}`")), "{said}");
    assert!(!marker.exists() && fs::read_dir(folder.path()).unwrap().count() == 0);
}

fn two_guards_of_one_name_do_not_run() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let output = DEFAULT.command(guarded.folder.path(), &["true"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(&format!("is held by process {}", guarded.process.id())), "{said}");
        assert_eq!(guarded.status().await.phase, Phase::Ready, "the first is not disturbed");
    });
}

fn a_killed_guard_leaves_nothing() {
    block_on(async {
        let script = "setsid sleep 300 & sleep 301 & exec \"$0\" fake";
        let exe = std::env::current_exe().unwrap();
        let mut guarded = DEFAULT.run(&["sh", "-c", script, exe.to_str().unwrap()]).await;
        guarded.settled().await;
        let guard = i32::try_from(guarded.process.id()).unwrap();
        let below = descendants(std::path::Path::new("/proc"), guard);
        assert_eq!(below.len(), 4, "the lifeline, the server, and what it has started");
        guarded.process.kill().unwrap();
        guarded.process.wait().unwrap();
        eventually("all end", || below.iter().all(|process| !process.is_alive()).then_some(()));
        // The next guard takes the place of the dead one.
        let again = DEFAULT.command(guarded.folder.path(), &[exe.to_str().unwrap(), "fake"]).spawn().unwrap();
        guarded.process = again;
        let wanted = i32::try_from(guarded.process.id()).unwrap();
        let socket = guarded.folder.path().join("mem.sock");
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Ok((_client, mut messages)) = process::control::Client::connect(&socket).await
                && let Some(Message::Hello { status }) = messages.recv().await
            {
                assert_eq!(status.guard.pid, wanted);
                break;
            }
            assert!(Instant::now() < deadline, "no new guard");
        }
    });
}

fn ends(guarded: &mut Guarded, child: ProcessId) {
    let (status, _) = guarded.wait();
    assert_eq!(status.code(), Some(0));
    assert!(!child.is_alive());
    assert!(!guarded.folder.path().join("mem.sock").exists());
}

fn a_terminated_guard_ends_its_server() {
    block_on(async {
        let mut guarded = DEFAULT.fake("").await;
        let (_control, mut messages, status) = guarded.control().await;
        let session = guarded.initialize().await;
        let mut stream = Events::of(guarded.stream(&session).send().await.unwrap());
        let hanging = tokio::spawn(guarded.post(Some(&session), call(&json!(1), "hang", &json!({}))).send());
        while guarded.metric(&["mcp_concurrent_operations", "tools/call"]).await < 1.0 {}
        let guard = ProcessId::of(i32::try_from(guarded.process.id()).unwrap()).unwrap();
        send(guard, Signal::TERM).unwrap();
        let answer = hanging.await.unwrap().unwrap().text().await.unwrap();
        assert!(answer.contains("shut down by SIGTERM, exited with code 0"), "{answer}");
        assert_eq!(stream.next().await.map(|(_, message)| message), Some(Value::Null));
        assert_eq!(stream.next().await, None);
        let Some(Message::Event { event: Event::Exited { exit } }) = messages.recv().await else {
            panic!("no exit");
        };
        assert_eq!(exit.cause, ExitCause::Requested);
        ends(&mut guarded, status.child.unwrap());
    });
}

fn a_tied_guard_ends_with_its_owner() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let exe = std::env::current_exe().unwrap();
        let mut owner = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let mut guard = DEFAULT.command(folder.path(), &[exe.to_str().unwrap(), "fake"]);
        let process = guard.env("TIE", owner.id().to_string()).spawn().unwrap();
        let mut guarded = Guarded::of(process, folder).await;
        let status = guarded.settled().await;
        owner.kill().unwrap();
        owner.wait().unwrap();
        ends(&mut guarded, status.child.unwrap());
    });
}
