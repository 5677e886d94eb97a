//! Owns the tests of other ends that are gone without a word, or are there and say nothing: clients and upstreams.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;

use super::fake_http::FakeHttp;
use super::guarded::{DEFAULT, Start, block_on, call, initialize};
use super::poll::eventually;
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("the_kernel_asks_whether_the_other_ends_are_there", the_kernel_asks),
    ("an_upstream_that_takes_connections_and_says_nothing_is_not_waited_for", a_silent_upstream),
    ("a_client_that_hangs_up_has_its_line_in_the_log", a_client_that_hangs_up),
];

/// Whether the kernel will ask the other end of an idle connection with these ports, within half a minute: the timer is
/// that of keep-alive (2), and its time is in hundredths of a second.
fn is_asked(local: Option<u16>, remote: u16) -> bool {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let port = |address: &str| u16::from_str_radix(address.split_once(':')?.1, 16).ok();
    table.lines().skip(1).any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (timer, when) = fields[5].split_once(':').unwrap();
        let is_it =
            local.is_none_or(|local| port(fields[1]) == Some(local)) && port(fields[2]) == Some(remote);
        is_it && timer == "02" && u64::from_str_radix(when, 16).unwrap() <= 3000
    })
}

fn the_kernel_asks() {
    block_on(async {
        let server = FakeHttp::start("127.0.0.1:0").await;
        let guarded = DEFAULT.run(&[&server.url()]).await;
        guarded.settled().await;
        let address: SocketAddr = guarded.url("").strip_prefix("http://").unwrap().parse().unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"GET /sse HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let port = client.local_addr().unwrap().port();
        eventually("a client is asked", || is_asked(Some(address.port()), port).then_some(()));
        // A stream of an upstream is silent for as long as it has nothing to say.
        let opened = guarded.post(None, initialize("2025-11-25")).send().await.unwrap();
        let session = opened.headers()[super::guarded::SESSION].to_str().unwrap().to_owned();
        let mut stream = guarded.stream(&session).send().await.unwrap();
        stream.chunk().await.unwrap().unwrap();
        eventually("an upstream is asked", || is_asked(None, server.address.port()).then_some(()));
    });
}

fn a_silent_upstream() {
    // The kernel takes its connections, and nobody reads.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    block_on(async {
        let guarded = Start { request_timeout_ms: 300, ..DEFAULT }.run(&[&url]).await;
        let began = Instant::now();
        let posted =
            guarded.post(Some("some-session"), call(&json!(4), "get", &json!({}))).send().await.unwrap();
        let answer = posted.text().await.unwrap();
        assert!(answer.contains("\"id\":4") && answer.contains("has not answered within 0.3 s"), "{answer}");
        for asked in [guarded.stream("some-session"), guarded.delete("some-session")] {
            let response = asked.send().await.unwrap();
            assert_eq!(response.status(), 503);
            assert!(response.text().await.unwrap().contains("has not answered within 0.3 s"));
        }
        let (code, health) = guarded.health("/health").await;
        assert_eq!(code, 503, "{health}");
        // All of it is bounded, and the guard itself answers meanwhile.
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        assert_eq!(guarded.get("/metrics").await.status(), 200);
    });
}

fn a_client_that_hangs_up() {
    block_on(async {
        let server = FakeHttp::start("127.0.0.1:0").await;
        let guarded = DEFAULT.run(&[&server.url()]).await;
        guarded.settled().await;
        let opened = guarded.post(None, initialize("2025-11-25")).send().await.unwrap();
        let session = opened.headers()[super::guarded::SESSION].to_str().unwrap().to_owned();
        let running = tokio::spawn(guarded.post(Some(&session), call(&json!(1), "wait", &json!({}))).send());
        server.go_on(": it works\n\n").await;
        drop(running.await.unwrap().unwrap());
        while guarded.metric(&["mcp_concurrent_operations", "tools/call"]).await > 0.0 {}
        guarded.logged("the call", |log| {
            log.iter().any(|line| {
                line["tool"] == "wait"
                    && line["outcome"] == "error"
                    && line["message"].as_str().is_some_and(|text| text.contains("its client has hung up"))
            })
        });
    });
}
