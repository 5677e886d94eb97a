//! Owns the tests of a child for each session: apart from one another, bounded, and gone with their sessions.

use std::process::Child;

use process::ProcessId;
use serde_json::{Value, json};

use super::guarded::{DEFAULT, Events, Guarded, block_on, initialize};
use super::poll::eventually;
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("each_session_has_a_child_of_its_own", each_session_has_a_child_of_its_own),
    ("a_child_of_its_own_asks_its_client_whatever_it_asks", a_child_of_its_own_asks_its_client),
    ("what_is_asked_before_the_stream_is_open_waits_for_it", what_is_asked_early_waits),
    ("a_child_of_its_own_ends_alone", a_child_of_its_own_ends_alone),
    ("abandoned_sessions_are_reclaimed_with_their_children", abandoned_sessions_are_reclaimed),
    ("who_is_idle_makes_way_and_who_is_busy_does_not", who_is_idle_makes_way),
    ("no_child_outlives_its_guard", no_child_outlives_its_guard),
    ("read_only_mode_holds_in_every_session", read_only_mode_holds_in_every_session),
    ("sessions_come_and_go_and_memory_stays", sessions_come_and_go_and_memory_stays),
];

/// A guard with these settings of sessions, in front of a fake server.
async fn start(sessions: &str) -> Guarded {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("guard.toml"), format!("[sessions]\nchild = 'each'\n{sessions}"))
        .unwrap();
    let exe = std::env::current_exe().unwrap();
    let process: Child = DEFAULT.command(folder.path(), &[exe.to_str().unwrap(), "fake"]).spawn().unwrap();
    let guarded = Guarded::of(process, folder).await;
    guarded.settled().await;
    guarded
}

async fn text(guarded: &Guarded, session: &str, tool: &str) -> String {
    let answer = guarded.call(session, &json!(1), tool, json!({})).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    answer["result"]["content"][0]["text"].as_str().unwrap().to_owned()
}

/// The process that serves this session.
async fn process_of(guarded: &Guarded, session: &str) -> ProcessId {
    ProcessId::of(text(guarded, session, "pid").await.parse().unwrap()).unwrap()
}

fn gone(process: ProcessId) {
    eventually("the child has ended", || (!process.is_alive()).then_some(()));
}

fn each_session_has_a_child_of_its_own() {
    block_on(async {
        let guarded = start("").await;
        let (one, other) = (guarded.initialize().await, guarded.initialize().await);
        let pids = [process_of(&guarded, &one).await, process_of(&guarded, &other).await];
        assert_ne!(pids[0], pids[1]);
        assert!(!pids.contains(&guarded.child().await), "the guard's own serves nobody");
        // The client speaks for itself, and what one child announces only its session hears.
        let response = guarded.post(None, initialize("2025-06-18")).send().await.unwrap();
        let body: Value = response.json().await.unwrap();
        assert_eq!(
            (&body["result"]["serverInfo"]["client"], &body["result"]["protocolVersion"]),
            (&json!("t"), &json!("2025-06-18"))
        );
        let mut to_one = Events::of(guarded.stream(&one).send().await.unwrap());
        let mut to_other = Events::of(guarded.stream(&other).send().await.unwrap());
        text(&guarded, &other, "announce").await;
        assert_eq!(to_other.message().await["method"], "notifications/tools/list_changed");
        text(&guarded, &one, "announce").await;
        let (id, _) = to_one.next().await.unwrap();
        assert_eq!((id.as_str(), to_one.next().await.unwrap().0.as_str()), ("0-1", "0-2"), "only its own");
        assert_eq!(guarded.metric(&["mcp_server_connections_active"]).await, 3.0);
        assert_eq!(guarded.delete(&one).send().await.unwrap().status(), 204);
        gone(pids[0]);
        assert!(pids[1].is_alive());
        assert_eq!(guarded.post(Some(&one), "{}").send().await.unwrap().status(), 400);
        assert_eq!(guarded.delete(&one).send().await.unwrap().status(), 404);
    });
}

fn a_child_of_its_own_asks_its_client() {
    block_on(async {
        let guarded = start("").await;
        let (one, other) = (guarded.initialize_with(&json!({"roots": {}})).await, guarded.initialize().await);
        // Requests of both run, and still it is known whose question it is.
        let mut asking = Vec::new();
        for session in [&one, &other] {
            let question = json!({"method": "roots/list"});
            let mut events = guarded.call_streamed(session, "question", question).await;
            let asked = events.message().await;
            assert_eq!(asked["method"], "roots/list");
            asking.push((session, events, asked["id"].clone()));
        }
        for (session, mut events, id) in asking {
            let roots = json!({"roots": [{"uri": format!("file:///{session}")}]});
            guarded.tell(session, &json!({"jsonrpc": "2.0", "id": id, "result": roots})).await;
            let answer = events.message().await["result"]["content"][0]["text"].clone();
            assert!(answer.as_str().unwrap().contains(&**session), "{answer}");
        }
        guarded.tell(&one, &json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"})).await;
        assert!(text(&guarded, &one, "heard").await.contains("file:///"));
    });
}

fn what_is_asked_early_waits() {
    block_on(async {
        let guarded = start("").await;
        let one = guarded.initialize_with(&json!({"roots": {}})).await;
        // The call is over when the server asks, and no stream is open yet.
        let later = guarded.call(&one, &json!(1), "question-later", json!({"method": "roots/list"})).await;
        assert!(later.contains("later"), "{later}");
        guarded.logged("the question", |log| {
            log.iter().any(|line| line["message"] == "asked the client: roots/list")
        });
        let mut own = Events::of(guarded.stream(&one).send().await.unwrap());
        let asked = own.message().await;
        assert_eq!(asked["method"], "roots/list");
        guarded.tell(&one, &json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"roots": []}})).await;
        let heard = text(&guarded, &one, "heard").await;
        assert!(heard.contains("\"roots\":[]"), "{heard}");
    });
}

fn a_child_of_its_own_ends_alone() {
    block_on(async {
        let guarded = start("").await;
        let (one, other) = (guarded.initialize().await, guarded.initialize().await);
        let (dies, lives) = (process_of(&guarded, &one).await, process_of(&guarded, &other).await);
        let answer = guarded.call(&one, &json!(7), "exit", json!({})).await;
        assert!(answer.contains("-32000") && answer.contains("exited with code 7"), "{answer}");
        gone(dies);
        while guarded.delete(&one).send().await.unwrap().status() != 404 {}
        assert_eq!(process_of(&guarded, &other).await, lives);
        assert_eq!(guarded.health("/health").await.0, 200);
        assert_eq!(guarded.metric(&["mcp_server_errors_total", "\"child_exit\""]).await, 1.0);
        // Whoever comes back gets another.
        let again = guarded.initialize().await;
        assert_ne!(process_of(&guarded, &again).await, dies);
    });
}

fn abandoned_sessions_are_reclaimed() {
    block_on(async {
        let guarded = start("idle_seconds = 1").await;
        let abandoned = guarded.initialize().await;
        let process = process_of(&guarded, &abandoned).await;
        let kept = guarded.initialize().await;
        let stays = process_of(&guarded, &kept).await;
        let _open = guarded.stream(&kept).send().await.unwrap();
        // Nobody comes who would make the guard look.
        while process.is_alive() {
            tokio::task::yield_now().await;
        }
        assert!(stays.is_alive(), "a session with an open stream is not idle");
        assert_eq!(guarded.delete(&abandoned).send().await.unwrap().status(), 404);
    });
}

fn who_is_idle_makes_way() {
    block_on(async {
        let guarded = start("most = 2").await;
        let (one, two) = (guarded.initialize().await, guarded.initialize().await);
        let first = process_of(&guarded, &one).await;
        let _open = guarded.stream(&two).send().await.unwrap();
        let three = guarded.initialize().await;
        gone(first);
        assert_eq!(guarded.delete(&one).send().await.unwrap().status(), 404);
        let _also_open = guarded.stream(&three).send().await.unwrap();
        let refused = guarded.post(None, initialize("2025-11-25")).send().await.unwrap();
        assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"] == "1"), (503, true));
        assert!(refused.text().await.unwrap().contains("all 2 sessions"));
    });
}

fn no_child_outlives_its_guard() {
    block_on(async {
        for signal in ["TERM", "KILL"] {
            let mut guarded = start("").await;
            let mut processes = vec![guarded.child().await];
            for _ in 0..3 {
                let session = guarded.initialize().await;
                processes.push(process_of(&guarded, &session).await);
            }
            let pid = guarded.process.id().to_string();
            let killed = std::process::Command::new("kill").args([&format!("-{signal}"), &pid]).status();
            assert!(killed.unwrap().success());
            guarded.wait();
            processes.into_iter().for_each(gone);
        }
    });
}

fn read_only_mode_holds_in_every_session() {
    block_on(async {
        let guarded = start("").await;
        let session = guarded.initialize().await;
        let mut own = Events::of(guarded.stream(&session).send().await.unwrap());
        let done = guarded.http.post(guarded.url("/admin/readonly-mode")).send().await.unwrap();
        assert_eq!(done.status(), 200);
        assert_eq!(own.message().await["method"], "notifications/tools/list_changed");
        let refused = guarded.call(&session, &json!(1), "update", json!({"uri": "x"})).await;
        assert!(refused.contains("read-only"), "{refused}");
        assert!(text(&guarded, &session, "echo").await.contains("{}"));
    });
}

/// An hour of it when everything is tested, or as many seconds as `PARAMEDIC_CHURN_SECONDS` says; some otherwise.
fn sessions_come_and_go_and_memory_stays() {
    let all = std::env::var_os("PARAMEDIC_TEST_ALL").is_some();
    let said = std::env::var("PARAMEDIC_CHURN_SECONDS").ok().map(|text| text.parse().unwrap());
    let (warm, seconds) = match said {
        Some(seconds) => (500, seconds),
        None if all => (500, 3600),
        None => (60, 4),
    };
    let measured = std::time::Duration::from_secs(seconds);
    block_on(async {
        let guarded = start("most = 8\nidle_seconds = 1").await;
        let rss_bytes = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", guarded.process.id())).unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
        };
        let turn = async |number: u64| {
            let session = guarded.initialize().await;
            text(&guarded, &session, "echo").await;
            // Of three clients two say goodbye.
            if !number.is_multiple_of(3) {
                assert_eq!(guarded.delete(&session).send().await.unwrap().status(), 204);
            }
        };
        for number in 0..warm {
            turn(number).await;
        }
        let (before, began) = (rss_bytes(), std::time::Instant::now());
        let mut turns = 0;
        while began.elapsed() < measured {
            turn(turns).await;
            turns += 1;
        }
        let after = rss_bytes();
        println!("{turns} sessions in {measured:?}: {before} bytes before, {after} bytes after");
        // A leak of a kilobyte for each session would be seen in an hour.
        assert!(after < before + (2 << 20), "{before} bytes before {turns} sessions, {after} after");
        while guarded.metric(&["mcp_server_connections_active"]).await > 0.0 {}
        eventually("only the guard's own child is left", || {
            let left = process::descendants(
                std::path::Path::new("/proc"),
                i32::try_from(guarded.process.id()).unwrap(),
            );
            // With its lifeline.
            (left.len() == 2).then_some(())
        });
    });
}
