//! Owns the tests of orders over the control socket.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use process::control::{
    Client, Criticality, DependencyHealth, DependencyStatus, Event, ExitCause, Message, Outcome, Phase,
    Request, Status,
};
use process::{Ending, Signal, send};
use serde_json::json;
use tokio::sync::mpsc::Receiver;

use super::guarded::{DEFAULT, Guarded, Start, block_on, call};
use super::poll::eventually;
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("a_restart_is_done_once_per_key", a_restart_is_done_once_per_key),
    ("what_is_stopped_stays_stopped_until_started", what_is_stopped_stays_stopped_until_started),
    ("a_stop_ends_a_start", a_stop_ends_a_start),
    ("a_stubborn_server_is_killed_step_by_step", a_stubborn_server_is_killed_step_by_step),
    ("a_frozen_server_is_restarted_at_once", a_frozen_server_is_restarted_at_once),
    ("dependencies_make_it_unready", dependencies_make_it_unready),
    ("a_shutdown_ends_both", a_shutdown_ends_both),
];

/// Waits for the reply with this id; events on the way are returned too.
async fn reply(messages: &mut Receiver<Message>, wanted: u64) -> (Status, Vec<Event>) {
    let mut events = Vec::new();
    loop {
        let message = tokio::time::timeout(Duration::from_secs(20), messages.recv()).await.unwrap().unwrap();
        match message {
            Message::Event { event } => events.push(event),
            Message::Reply { id, outcome: Outcome::Ok(status) } if id == wanted => return (*status, events),
            other => panic!("{other:?}"),
        }
    }
}

fn restart(id: u64, key: &str) -> Request {
    Request::Restart { id, key: key.to_owned(), by: "a test".to_owned() }
}

fn a_restart_is_done_once_per_key() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let mode = guarded.folder.path().join("mem.sock").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let session = guarded.initialize().await;
        let (control, mut messages, before) = guarded.control().await;
        assert_eq!((before.phase, before.starts, &*before.name), (Phase::Ready, 1, "mem"));
        assert_eq!(before.guard.pid.unsigned_abs(), guarded.process.id());
        // Twice at once: the second waits for the first, and changes nothing.
        control.send(&restart(1, "k1")).await.unwrap();
        control.send(&restart(2, "k1")).await.unwrap();
        let (after, events) = reply(&mut messages, 1).await;
        assert_eq!((after.phase, after.starts, after.last_key.as_deref()), (Phase::Ready, 2, Some("k1")));
        assert_ne!(after.child, before.child);
        assert!(matches!(
            &events[..],
            [Event::Exited { exit }, Event::Started { child, .. }, Event::Ready { .. }]
                if exit.cause == ExitCause::Requested && Some(*child) == after.child
        ));
        assert_eq!(reply(&mut messages, 2).await, (after.clone(), Vec::new()));
        // A client that has crashed asks again.
        let (control, mut messages, _) = guarded.control().await;
        control.send(&restart(9, "k1")).await.unwrap();
        assert_eq!(reply(&mut messages, 9).await, (after, Vec::new()));

        let old = guarded.post(Some(&session), call(&json!(1), "echo", &json!({}))).send().await.unwrap();
        assert_eq!(old.status(), 404, "the session belonged to the server before");
        let session = guarded.initialize().await;
        assert!(guarded.call(&session, &json!(1), "echo", json!({})).await.contains("result"));
        control.send(&restart(10, "k2")).await.unwrap();
        assert_eq!(reply(&mut messages, 10).await.0.starts, 3);
        assert_eq!(guarded.metric(&["mcp_server_errors_total", "child_exit"]).await, 0.0);
    });
}

async fn stop(control: &Client, messages: &mut Receiver<Message>) -> Status {
    control.send(&Request::Stop { id: 70, by: "olga".to_owned() }).await.unwrap();
    reply(messages, 70).await.0
}

fn what_is_stopped_stays_stopped_until_started() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let (control, mut messages, before) = guarded.control().await;
        let status = stop(&control, &mut messages).await;
        assert_eq!((status.phase, status.stopped_by.as_deref()), (Phase::Stopped, Some("olga")));
        assert!(!before.child.unwrap().is_alive() && status.child.is_none());
        let (code, health) = guarded.health("/health").await;
        assert_eq!((code, &health["status"]), (503, &json!("stopped")));
        assert_eq!(health["reason"], "server `mem` was stopped by olga");
        let start = Request::Start { id: 71, key: "s".to_owned(), by: "olga".to_owned() };
        control.send(&start).await.unwrap();
        let (status, _) = reply(&mut messages, 71).await;
        assert_eq!((status.phase, status.starts, status.stopped_by), (Phase::Ready, 2, None));
        // Started already.
        control.send(&Request::Start { id: 72, key: "t".to_owned(), by: "olga".to_owned() }).await.unwrap();
        assert_eq!(reply(&mut messages, 72).await.0.child, status.child);
        assert_eq!(guarded.health("/health").await.0, 200);
    });
}

fn a_stop_ends_a_start() {
    block_on(async {
        let exe = std::env::current_exe().unwrap();
        let guarded: Guarded = DEFAULT.run(&[exe.to_str().unwrap(), "fake", "mute"]).await;
        let (control, mut messages, before) = guarded.control().await;
        assert_eq!(before.phase, Phase::Starting);
        let (other, mut others, _) = guarded.control().await;
        other.send(&restart(1, "r")).await.unwrap();
        // The restart is waited for until the stop has made it pointless.
        eventually("the restart", || guarded.log().iter().any(|line| line["key"] == "r").then_some(()));
        let status = stop(&control, &mut messages).await;
        assert_eq!(status.phase, Phase::Stopped);
        assert_eq!(reply(&mut others, 1).await.0.phase, Phase::Stopped);
    });
}

fn a_stubborn_server_is_killed_step_by_step() {
    block_on(async {
        let exe = std::env::current_exe().unwrap();
        let script = "trap '' TERM; exec \"$0\" fake stubborn";
        let guarded = DEFAULT.run(&["sh", "-c", script, exe.to_str().unwrap()]).await;
        assert_eq!(guarded.settled().await.phase, Phase::Ready);
        let (control, mut messages, _) = guarded.control().await;
        let asked = Instant::now();
        let status = stop(&control, &mut messages).await;
        let took = asked.elapsed();
        assert_eq!(status.last_exit.unwrap().ending, Some(Ending::Signaled(9)));
        assert!(took > Duration::from_secs(4) && took < Duration::from_secs(8), "{took:?}");
    });
}

fn a_frozen_server_is_restarted_at_once() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let (control, mut messages, before) = guarded.control().await;
        let child = before.child.unwrap();
        send(child, Signal::STOP).unwrap();
        eventually("it stops", || child.is_stopped().then_some(()));
        let asked = Instant::now();
        control.send(&restart(1, "k")).await.unwrap();
        let (after, _) = reply(&mut messages, 1).await;
        assert!(asked.elapsed() < Duration::from_secs(2), "no step of the ladder is waited for");
        assert_eq!((after.phase, after.last_exit.unwrap().ending), (Phase::Ready, Some(Ending::Signaled(9))));
    });
}

fn dependencies_make_it_unready() {
    block_on(async {
        let guarded = Start { ..DEFAULT }.fake("").await;
        let (control, mut messages, _) = guarded.control().await;
        let dependency = |name: &str, health, critical| DependencyStatus {
            name: name.to_owned(),
            health,
            critical,
            reason: "refused".to_owned(),
        };
        let optional = dependency("cache", DependencyHealth::Unhealthy, Criticality::Optional);
        let critical = dependency("db", DependencyHealth::Unhealthy, Criticality::Critical);
        for (dependencies, expect) in [(vec![optional.clone()], 200), (vec![optional, critical], 503)] {
            control.send(&Request::Dependencies { dependencies }).await.unwrap();
            // It has no reply; the next request is heard after it.
            control.send(&Request::Start { id: 5, key: "x".to_owned(), by: "t".to_owned() }).await.unwrap();
            reply(&mut messages, 5).await;
            let (code, report) = guarded.health("/ready").await;
            assert_eq!(code, expect, "{report}");
            assert_eq!(guarded.health("/health").await.0, 200, "the server itself is healthy");
        }
        let (_, report) = guarded.health("/ready").await;
        assert_eq!(report["reason"], "dependency `db` is not healthy: refused");
        assert_eq!(report["dependencies"][1]["name"], "db");
    });
}

fn a_shutdown_ends_both() {
    block_on(async {
        let mut guarded = DEFAULT.fake("").await;
        let (control, mut messages, before) = guarded.control().await;
        control.send(&Request::Shutdown { id: 3 }).await.unwrap();
        let (status, events) = reply(&mut messages, 3).await;
        assert_eq!(status.phase, Phase::Stopped);
        assert_eq!(events.len(), 1);
        assert_eq!(guarded.wait().0.code(), Some(0));
        assert!(!before.child.unwrap().is_alive());
    });
}
