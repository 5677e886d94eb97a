//! Owns the tests of one guard taking the port of another over: nothing is refused, and nothing that runs is lost.

use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use process::control::{Client as Control, Message, Phase};
use serde_json::{Value, json};

use super::fake_http::FakeHttp;
use super::guarded::{DEFAULT, Guarded, SESSION, block_on, call, initialize};
use super::http_sse::Old;
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("calls_that_run_end_where_they_began", calls_that_run_end_where_they_began),
    ("sessions_of_an_upstream_go_on", sessions_of_an_upstream_go_on),
    ("old_clients_are_sent_to_the_successor", old_clients_are_sent_to_the_successor),
    ("a_successor_without_a_server_changes_nothing", a_successor_without_a_server_changes_nothing),
    ("a_successor_that_dies_half_way_is_none", a_successor_that_dies_half_way_is_none),
    ("systemd_hands_the_port_over", systemd_hands_the_port_over),
];

/// Starts another guard of the same name.
fn successor(guarded: &Guarded, server: &[&str]) -> Child {
    DEFAULT.command(guarded.folder.path(), server).env("TAKE_OVER", "1").spawn().unwrap()
}

/// Waits until this process is the guard.
async fn in_charge(guarded: &Guarded, process: &Child) {
    let socket = guarded.folder.path().join("mem.sock");
    let wait = async {
        loop {
            if let Ok((_control, mut messages)) = Control::connect(&socket).await
                && let Some(Message::Hello { status }) = messages.recv().await
                && status.guard.pid == i32::try_from(process.id()).unwrap()
            {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the successor is in charge");
}

/// Clients that come, call and go, for as long as they may. Returns how many calls were answered, and what was not.
fn clients(guarded: &Guarded, go_on: &Arc<AtomicBool>) -> tokio::task::JoinHandle<(usize, Vec<String>)> {
    let (url, go_on) = (guarded.url("/mcp"), Arc::clone(go_on));
    tokio::spawn(async move {
        let (mut answered, mut lost) = (0, Vec::new());
        while go_on.load(Ordering::Relaxed) {
            // Each has a connection of its own.
            let client =
                reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
            let post = |session: Option<&str>, body: String| {
                let request = client.post(&url).header("content-type", "application/json").body(body);
                let request = request.header("accept", "application/json, text/event-stream");
                session
                    .map_or(request.try_clone().unwrap(), |session| request.header(SESSION, session))
                    .send()
            };
            let opened = match post(None, initialize("2025-11-25")).await {
                Ok(opened) => opened,
                Err(error) => {
                    lost.push(format!("{error:?}"));
                    continue;
                }
            };
            let session = opened.headers()[SESSION].to_str().unwrap().to_owned();
            for _ in 0..3 {
                match post(Some(&session), call(&json!(1), "put", &json!({}))).await {
                    // A session of the one before is over, and its client comes again.
                    Ok(response) if response.status() == 404 => break,
                    Ok(response) if response.status() == 200 => answered += 1,
                    Ok(response) => lost.push(response.status().to_string()),
                    Err(error) => lost.push(format!("{error:?}")),
                }
            }
        }
        (answered, lost)
    })
}

fn calls_that_run_end_where_they_began() {
    block_on(async {
        let mut guarded = DEFAULT.fake("").await;
        let exe = std::env::current_exe().unwrap();
        let server = [exe.to_str().unwrap(), "fake", ""];
        let session = guarded.initialize().await;
        let until = guarded.folder.path().join("go");
        let block = call(&json!(1), "block", &json!({"until": until.to_str().unwrap()}));
        let running = tokio::spawn(guarded.post(Some(&session), block).send());
        while guarded.metric(&["mcp_concurrent_operations", "tools/call"]).await < 1.0 {}
        let old_child = guarded.child().await;
        let mut next = successor(&guarded, &server);
        in_charge(&guarded, &next).await;
        // A client from before comes over a new connection: it is told to begin anew.
        let fresh = reqwest::Client::builder().no_proxy().build().unwrap();
        let old = guarded.post(Some(&session), call(&json!(2), "pid", &json!({}))).build().unwrap();
        assert_eq!(fresh.execute(old).await.unwrap().status(), 404);
        let opened =
            fresh.execute(guarded.post(None, initialize("2025-11-25")).build().unwrap()).await.unwrap();
        let session = opened.headers()[SESSION].to_str().unwrap().to_owned();
        let pid =
            fresh.execute(guarded.post(Some(&session), call(&json!(3), "pid", &json!({}))).build().unwrap());
        let pid: Value = pid.await.unwrap().json().await.unwrap();
        assert_ne!(pid["result"]["content"][0]["text"], old_child.pid.to_string());
        assert!(guarded.process.try_wait().unwrap().is_none(), "it has something to do");
        std::fs::write(&until, "").unwrap();
        let answer: Value = running.await.unwrap().unwrap().json().await.unwrap();
        assert_eq!(answer["result"]["content"][0]["text"], "unblocked");
        let (status, _) = guarded.wait();
        assert!(status.success(), "{status}");
        assert!(guarded.folder.path().join("mem.sock").exists(), "the socket is its successor's");
        in_charge(&guarded, &next).await;
        let (code, _) = guarded.health("/health").await;
        assert_eq!(code, 200);
        let _ = next.kill();
        let _ = next.wait();
    });
}

fn sessions_of_an_upstream_go_on() {
    block_on(async {
        let server = FakeHttp::start("127.0.0.1:0").await;
        let mut guarded = DEFAULT.run(&[&server.url()]).await;
        let ready = async { while guarded.status().await.phase != Phase::Ready {} };
        tokio::time::timeout(Duration::from_secs(20), ready).await.unwrap();
        let go_on = Arc::new(AtomicBool::new(true));
        let load = [clients(&guarded, &go_on), clients(&guarded, &go_on)];
        let opened = guarded.post(None, initialize("2025-11-25")).send().await.unwrap();
        let session = opened.headers()[SESSION].to_str().unwrap().to_owned();
        {
            let next = successor(&guarded, &[&server.url()]);
            in_charge(&guarded, &next).await;
            // One and the same session, whichever guard it goes through.
            for _ in 0..3 {
                let got =
                    guarded.post(Some(&session), call(&json!(1), "get", &json!({}))).send().await.unwrap();
                assert_eq!(got.status(), 200);
            }
            let mut before = std::mem::replace(&mut guarded.process, next);
            // Clients go on meanwhile.
            let end = tokio::task::spawn_blocking(move || before.wait());
            let end = tokio::time::timeout(Duration::from_secs(20), end).await.expect("it ends");
            assert!(end.unwrap().unwrap().success());
        }
        go_on.store(false, Ordering::Relaxed);
        let mut all = 0;
        for load in load {
            let (answered, lost) = load.await.unwrap();
            assert!(lost.is_empty() && answered > 3, "{answered} {lost:?}");
            all += answered;
        }
        assert_eq!(server.count("put"), all, "nothing was lost or sent twice");
        assert_eq!(server.count("get"), 3);
    });
}

fn a_successor_without_a_server_changes_nothing() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let exe = std::env::current_exe().unwrap();
        let session = guarded.initialize().await;
        let mut next = successor(&guarded, &[exe.to_str().unwrap(), "fake", "crash"]);
        let end = super::poll::eventually("the successor gives up", || next.try_wait().unwrap());
        assert_eq!(end.code(), Some(1));
        assert!(guarded.call(&session, &json!(1), "echo", json!({})).await.contains("result"));
        assert_eq!(guarded.status().await.phase, Phase::Ready);
    });
}

fn a_successor_that_dies_half_way_is_none() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let session = guarded.initialize().await;
        {
            let (control, mut messages, _) = guarded.control().await;
            control.send(&process::control::Request::Retire { id: 1 }).await.unwrap();
            while !matches!(messages.recv().await.unwrap(), Message::Reply { id: 1, .. }) {}
        }
        guarded.logged("it goes on", |log| {
            log.iter().any(|line| line["message"].as_str().unwrap().contains("this one goes on"))
        });
        let fresh = reqwest::Client::builder().no_proxy().build().unwrap();
        let call = guarded.post(Some(&session), call(&json!(1), "echo", &json!({}))).build().unwrap();
        assert_eq!(fresh.execute(call).await.unwrap().status(), 200);
        // Another one with its name still finds it taken.
        let exe = std::env::current_exe().unwrap();
        let server = [exe.to_str().unwrap(), "fake", ""];
        let mut other = DEFAULT.command(guarded.folder.path(), &server).spawn().unwrap();
        let end = super::poll::eventually("it does not start", || other.try_wait().unwrap());
        assert_eq!(end.code(), Some(2));
    });
}

fn old_clients_are_sent_to_the_successor() {
    block_on(async {
        let mut guarded = DEFAULT.fake("").await;
        let exe = std::env::current_exe().unwrap();
        let before = guarded.http.clone();
        let process = {
            let mut old = Old::initialized(&guarded, &json!({})).await;
            let process = successor(&guarded, &[exe.to_str().unwrap(), "fake"]);
            let process = Ends(Some(process));
            in_charge(&guarded, process.0.as_ref().unwrap()).await;
            assert_eq!(old.next().await, None, "its messages would go to the other guard");
            process
        };
        // Whoever comes by a connection of before, while it lasts, is sent on as well.
        if let Ok(opened) = before.get(guarded.url("/sse")).send().await {
            assert!(opened.status() == 503 || opened.status() == 200, "{opened:?}");
        }
        guarded.http =
            reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        let mut old = Old::initialized(&guarded, &json!({})).await;
        let answer = old.call(&json!(1), "echo", &json!({})).await;
        assert_eq!(answer["result"]["content"][0]["text"], "{}");
        drop(process);
    });
}

/// A process that ends with its test, unless it is taken out.
struct Ends(Option<Child>);

impl Drop for Ends {
    fn drop(&mut self) {
        if let Some(mut process) = self.0.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn systemd_hands_the_port_over() {
    let program = "/usr/bin/systemd-socket-activate";
    if !std::path::Path::new(program).exists() {
        println!("SKIPPED: there is no {program}");
        return;
    }
    block_on(async {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (folder, exe) = (tempfile::tempdir().unwrap(), std::env::current_exe().unwrap());
        let guard = DEFAULT.command(folder.path(), &[exe.to_str().unwrap(), "fake", ""]);
        let mut command = std::process::Command::new(program);
        command.arg("-l").arg(address.to_string()).arg(guard.get_program()).args(guard.get_args());
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut process = Ends(Some(command.stdin(std::process::Stdio::null()).spawn().unwrap()));
        // It is started by the first who comes; what was sent before is answered.
        let url = format!("http://{address}/health");
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        let asking = async {
            loop {
                match http.get(&url).send().await {
                    Ok(response) => break response,
                    Err(error) => assert!(error.is_connect(), "{error:?}"),
                }
                tokio::task::yield_now().await;
            }
        };
        let first = tokio::time::timeout(Duration::from_secs(30), asking).await.expect("the port");
        assert!([200, 503].contains(&first.status().as_u16()), "{first:?}");
        let guarded = Guarded::of(process.0.take().unwrap(), folder).await;
        assert_eq!(guarded.settled().await.listen, address.to_string());
        let session = guarded.initialize().await;
        assert!(guarded.call(&session, &json!(1), "echo", json!({"x": 1})).await.contains("\\\"x\\\":1"));
    });
}
