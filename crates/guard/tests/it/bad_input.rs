//! Owns the tests of clients and servers that want too much: they are bounded, and others are served meanwhile.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::json;

use super::guarded::{DEFAULT, Guarded, Start, block_on};
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("clients_that_dawdle_hold_up_nobody_else", clients_that_dawdle),
    ("a_hundred_megabytes_are_refused_and_not_kept", a_hundred_megabytes),
    ("a_hundred_megabytes_of_a_server_are_dropped_and_not_kept", a_hundred_megabytes_of_a_server),
    ("thousands_of_sessions_are_kept_in_little", thousands_of_sessions),
    ("one_id_twice_in_a_session_has_two_answers", one_id_twice),
    ("without_descriptors_it_goes_on_when_there_are_some", without_descriptors),
];

pub(crate) fn rss_bytes(guarded: &Guarded) -> u64 {
    rss_bytes_of(i32::try_from(guarded.process.id()).unwrap())
}

pub(crate) fn rss_bytes_of(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

fn address(guarded: &Guarded) -> SocketAddr {
    guarded.url("").strip_prefix("http://").unwrap().parse().unwrap()
}

fn connect(guarded: &Guarded, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address(guarded)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

pub(crate) async fn is_served(guarded: &Guarded, session: &str) {
    let answer = guarded.call(session, &json!(1), "echo", json!({"n": 1})).await;
    assert!(answer.contains("\\\"n\\\":1"), "{answer}");
}

fn clients_that_dawdle() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let session = guarded.initialize().await;
        let head = "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
        let dawdling: Vec<TcpStream> = (0..300)
            .map(|number| match number % 3 {
                // A head without an end, a body without an end, and nothing at all.
                0 => connect(&guarded, head),
                1 => connect(&guarded, &format!("{head}content-length: 1000\r\n\r\n{{")),
                _ => connect(&guarded, ""),
            })
            .collect();
        for _ in 0..20 {
            is_served(&guarded, &session).await;
        }
        assert_eq!(guarded.health("/health").await.0, 200);
        drop(dawdling);
        is_served(&guarded, &session).await;
    });
}

fn a_hundred_megabytes() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let session = guarded.initialize().await;
        let before = rss_bytes(&guarded);
        let announced = "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                         content-length: 104857600\r\n\r\n";
        let mut stream = connect(&guarded, announced);
        let mut said = [0; 12];
        stream.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"HTTP/1.1 413");
        // Whoever does not announce it is cut off on the way.
        let chunked = "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                       transfer-encoding: chunked\r\n\r\n";
        let mut stream = connect(&guarded, chunked);
        let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 1 << 20], b"\r\n"].concat();
        let taken = (0..100).take_while(|_| stream.write_all(&chunk).is_ok()).count();
        assert!(taken < 100, "all of it was taken");
        is_served(&guarded, &session).await;
        let grown = rss_bytes(&guarded).saturating_sub(before);
        assert!(grown < 32 << 20, "{grown} bytes more");
    });
}

fn a_hundred_megabytes_of_a_server() {
    block_on(async {
        let guarded = Start { request_timeout_ms: 2000, ..DEFAULT }.fake("").await;
        let session = guarded.initialize().await;
        let before = rss_bytes(&guarded);
        let big = guarded.call(&session, &json!(1), "big", json!({"bytes": 100 << 20})).await;
        assert!(big.contains("-32000"), "{}", &big[..big.len().min(200)]);
        while guarded.metric(&["mcp_server_errors_total", "\"protocol\""]).await < 1.0 {}
        is_served(&guarded, &session).await;
        let grown = rss_bytes(&guarded).saturating_sub(before);
        assert!(grown < 64 << 20, "{grown} bytes more");
    });
}

fn thousands_of_sessions() {
    let sessions = if std::env::var_os("PARAMEDIC_TEST_ALL").is_some() { 10_000 } else { 1000 };
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let first = guarded.initialize().await;
        let before = rss_bytes(&guarded);
        for _ in 1..sessions {
            let response = guarded.post(None, super::guarded::initialize("2025-11-25")).send().await.unwrap();
            assert_eq!(response.status(), 200);
            drop(response.bytes().await.unwrap());
        }
        assert_eq!(guarded.metric(&["mcp_server_connections_active"]).await, f64::from(sessions));
        let each = rss_bytes(&guarded).saturating_sub(before) / u64::try_from(sessions).unwrap();
        println!("{sessions} sessions of {each} bytes each");
        assert!(each < 8 << 10, "{each} bytes for each session");
        is_served(&guarded, &first).await;
    });
}

fn one_id_twice() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let session = guarded.initialize().await;
        let id = json!(1);
        let (one, two) = tokio::join!(
            guarded.call(&session, &id, "pair", json!({"n": 1})),
            guarded.call(&session, &id, "pair", json!({"n": 2})),
        );
        assert!(one.contains("\\\"n\\\":1") && two.contains("\\\"n\\\":2"), "{one} {two}");
    });
}

fn without_descriptors() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let exe = std::env::current_exe().unwrap();
        let inner = DEFAULT.command(folder.path(), &[exe.to_str().unwrap(), "fake"]);
        let mut limited = std::process::Command::new("sh");
        limited
            .args(["-c", "ulimit -n 48; exec \"$@\"", "sh"])
            .arg(inner.get_program())
            .args(inner.get_args());
        let guarded = Guarded::of(limited.spawn().unwrap(), folder).await;
        guarded.settled().await;
        let session = guarded.initialize().await;
        let many: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(address(&guarded)).unwrap()).collect();
        // Who is connected already is served.
        is_served(&guarded, &session).await;
        drop(many);
        // And so is who comes.
        let mut stream =
            connect(&guarded, "GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
        let child = guarded.child().await;
        assert!(child.is_alive());
    });
}
