//! Owns the tests of the way to an upstream.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::whole::{Whole, read};
use super::{Flow, IDLE_MAX, JUST_NOW, Unsent, Wire};

#[track_caller]
fn check(text: &str, expect: Result<(u16, &str, bool), &str>) {
    for bytes in [1, 3, 10_000] {
        let found = read(text.as_bytes().chunks(bytes));
        let found = found
            .as_ref()
            .map_err(|error| *error)
            .map(|whole| (whole.status.as_u16(), std::str::from_utf8(&whole.body).unwrap(), whole.stays));
        assert_eq!(found, expect, "{text:?} in parts of {bytes}");
    }
}

#[test]
fn bodies_end_where_they_say() {
    let head = |rest: &str| format!("HTTP/1.1 200 OK\r\n{rest}");
    check(&head("content-length: 2\r\n\r\nab"), Ok((200, "ab", true)));
    check(&head("content-length: 0\r\n\r\n"), Ok((200, "", true)));
    check(&head("Connection: x, Close\r\ncontent-length: 2\r\n\r\nab"), Ok((200, "ab", false)));
    check(&head("content-length: 3\r\n\r\nab"), Err("closed in its body"));
    check(&head("\r\nall of it"), Ok((200, "all of it", false)));
    let chunked = |rest: &str| head(&format!("Transfer-Encoding: Chunked\r\n\r\n{rest}"));
    check(&chunked("1\r\na\r\n00A;x=y\r\n0123456789\r\n0\r\nt: 1\r\n\r\n"), Ok((200, "a0123456789", true)));
    check(&chunked("1\r\na\r\n0\r\n"), Err("closed in its body"));
    check("HTTP/1.1 204 No Content\r\n\r\n", Ok((204, "", true)));
    check("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na", Ok((200, "a", false)));
    check(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\na: b\r\n\r\nHTTP/1.1 202 A\r\ncontent-length: 0\r\n\r\n",
        Ok((202, "", true)),
    );
    // Nobody has asked for what comes behind it.
    let two = head("content-length: 1\r\n\r\naHTTP/1.1 200 OK\r\n\r\n");
    assert!(!read([two.as_bytes()].into_iter()).unwrap().stays);
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let head = |rest: &str| format!("HTTP/1.1 200 OK\r\n{rest}\r\n\r\n");
    for (rest, reason) in [
        ("content-length: 1\r\ntransfer-encoding: chunked", "it says a transfer coding where it may not"),
        ("content-length: 1\r\ncontent-length: 1", "it says its length twice"),
        ("content-length: 1, 1", "its length is no number"),
        ("content-length: +1", "its length is no number"),
        ("content-length: 0x1", "its length is no number"),
        ("content-length:", "its length is no number"),
        ("content-length: 99999999999999999999", "its length is no number"),
        ("transfer-encoding: gzip, chunked", "its transfer coding is not `chunked` alone"),
        ("transfer-encoding: identity", "its transfer coding is not `chunked` alone"),
        (
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
            "its transfer coding is not `chunked` alone",
        ),
        ("a: b\r\n c", "its head is not HTTP"),
        ("a : b", "its head is not HTTP"),
    ] {
        check(&head(rest), Err(reason));
    }
    check(
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        Err("it says a transfer coding where it may not"),
    );
    check("HTTP/1.1 101 X\r\n\r\n", Err("it changes the protocol, which nobody has asked for"));
    let chunked = |rest: &str| format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{rest}");
    for (rest, reason) in [
        ("x\r\n", "the size of a chunk is none"),
        ("\r\n", "the size of a chunk is none"),
        ("-1\r\n", "the size of a chunk is none"),
        ("1 2\r\n", "the size of a chunk is none"),
        ("1\u{c}\r\n", "the size of a chunk is none"),
        ("11111111111111111\r\n", "the size of a chunk is none"),
        ("1\na\n0\n\n", "a line between its chunks does not end as it has to"),
        ("1\r\nab\r\n0\r\n\r\n", "a chunk is longer than it says"),
        ("0\r\na\r\n\r\n", "one of its trailers is none"),
        ("0\r\n: a\r\n\r\n", "one of its trailers is none"),
        ("0\r\na : b\r\n\r\n", "one of its trailers is none"),
    ] {
        check(&chunked(rest), Err(reason));
    }
    let long = "x".repeat(70_000);
    check(&head(&format!("a: {long}")), Err("its head is longer than 64 KiB"));
    check(&head(&"a: b\r\n".repeat(101)), Err("its head has more than 100 headers"));
    check(&chunked(&format!("1;{long}")), Err("a line between its chunks is too long"));
    check(&chunked(&format!("0\r\n{}", "a: b\r\n".repeat(5000))), Err("its trailers are longer than 16 KiB"));
}

#[test]
fn what_belongs_to_the_connection_stays_there() {
    let text = b"HTTP/1.1 200 OK\r\nA: 1\r\na: 2\r\nKeep-Alive: x\r\nconnection: b, c\r\nB: 3\r\nc: 4\r\ncontent-length: 0\r\n\r\n";
    let whole = read([text.as_slice()].into_iter()).unwrap();
    let headers: Vec<_> = whole.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    assert_eq!(headers, ["a: \"1\"", "a: \"2\"", "content-length: \"0\""]);
}

/// What hyper reads in an answer, when the connection is closed after it.
async fn of_hyper(text: &[u8]) -> Result<(u16, HeaderMap, Vec<u8>), String> {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (mut read, mut write) = tokio::io::split(theirs);
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(ours)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let connected = tokio::spawn(connection);
    let request = http::Request::get("/").body(http_body_util::Empty::<Bytes>::new()).unwrap();
    let answered = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?;
        Ok((head.status.as_u16(), head.headers, body.to_bytes().to_vec()))
    };
    let said = async {
        let mut request = [0; 1024];
        let _ = read.read(&mut request).await;
        let _ = write.write_all(text).await;
        let _ = write.shutdown().await;
        // Kept open until then.
        read
    };
    let (answered, read) = tokio::join!(answered, said);
    drop((read, connected));
    answered
}

fn header() -> impl Strategy<Value = String> {
    let value = "[ -~]{0,6}";
    prop_oneof![
        3 => ("[a-cA-C]{1,2}", value).prop_map(|(name, value)| format!("{name}: {value}\r\n")),
        3 => "[0-9]{1,2}".prop_map(|length| format!("Content-Length: {length}\r\n")),
        1 => "[-+0-9a, ]{0,4}".prop_map(|length| format!("content-length:{length}\r\n")),
        3 => Just("transfer-encoding: chunked\r\n".to_owned()),
        1 => "(chunked|gzip|, |identity){0,3}".prop_map(|coding| format!("Transfer-Encoding: {coding}\r\n")),
        1 => "(close|keep-alive|a|, ){0,3}".prop_map(|word| format!("connection: {word}\r\n")),
        1 => Just("x y: z\r\n".to_owned()),
        1 => Just(" folded\r\n".to_owned()),
        1 => Just("lf: only\n".to_owned()),
    ]
}

fn body() -> impl Strategy<Value = String> {
    let chunk = prop_oneof![
        6 => "[a-z]{1,17}".prop_map(|data| format!("{:x}\r\n{data}\r\n", data.len())),
        1 => "[0-9a-f]{1,2}(;[a-z=]{0,4})?\r\n[a-z]{0,20}\r\n",
        1 => "[0-9A-Fx +-]{0,3}\r?\n[a-z]{0,4}\r?\n",
    ];
    let chunks = (proptest::collection::vec(chunk, 0..4), "(0{1,2}\r\n)?([a-c]: [a-z]\r\n)?(\r\n)?.{0,3}");
    prop_oneof![
        chunks.prop_map(|(chunks, end)| format!("{}{end}", chunks.concat())),
        "[a-z\r\n]{0,40}".prop_map(|text| text),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is taken for an answer is the same one to hyper, and to whoever gets it in other parts.
    #[test]
    fn an_answer_is_what_hyper_reads(
        status in prop_oneof![Just(200_u16), Just(204), Just(304), Just(404), Just(100), 100..600_u16],
        version in "1\\.[01]",
        headers in proptest::collection::vec(header(), 0..4),
        body in body(),
        bytes in 1..50_usize,
    ) {
        let text = format!("HTTP/{version} {status} X\r\n{}\r\n{body}", headers.concat());
        // What is wrong with it may be seen by another sign when less of it is there.
        let whole = read([text.as_bytes()].into_iter()).ok();
        prop_assert_eq!(&read(text.as_bytes().chunks(bytes)).ok(), &whole, "{:?}", text);
        if let Some(Whole { status, headers, body, .. }) = whole {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let theirs = runtime.block_on(of_hyper(text.as_bytes()));
            let (their_status, their_headers, their_body) = theirs.map_err(|error| {
                TestCaseError::fail(format!("hyper refuses {text:?}: {error}"))
            })?;
            prop_assert_eq!((status.as_u16(), body), (their_status, their_body), "{:?}", text);
            for (name, value) in &headers {
                prop_assert!(their_headers.get_all(name).iter().any(|their| their == value), "{:?}", text);
            }
        }
    }
}

/// What an upstream does on one connection.
#[derive(Clone, Copy)]
enum Act {
    /// Reads a request, as far as its head and this many bytes more.
    Hear(usize),
    Say(&'static str),
    /// Waits until the test has seen what was said.
    Pause,
}

/// Serves connections, one after the other, each as its script says, and counts the requests.
struct Script {
    wire: Wire,
    heard: Arc<AtomicUsize>,
    go_on: Arc<tokio::sync::Semaphore>,
    connections: Arc<AtomicUsize>,
}

impl Script {
    async fn play(scripts: &'static [&'static [Act]]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let (heard, connections) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let go_on = Arc::new(tokio::sync::Semaphore::new(0));
        let shared = (heard.clone(), connections.clone(), go_on.clone());
        tokio::spawn(async move {
            let (heard, connections, go_on) = shared;
            for script in scripts {
                let (mut stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                for act in *script {
                    match act {
                        Act::Hear(bytes) => {
                            let mut request = Vec::new();
                            let whole = |request: &[u8]| {
                                let end = memchr::memmem::find(request, b"\r\n\r\n");
                                end.is_some_and(|end| request.len() >= end + 4 + bytes)
                            };
                            while !whole(&request) && stream.read_buf(&mut request).await.unwrap() > 0 {}
                            heard.fetch_add(1, Ordering::SeqCst);
                        }
                        Act::Say(text) => stream.write_all(text.as_bytes()).await.unwrap(),
                        Act::Pause => go_on.acquire().await.unwrap().forget(),
                    }
                }
            }
        });
        Self { wire: Wire::new(&url.parse().unwrap()), heard, go_on, connections }
    }

    async fn ask(&self, body: Bytes) -> Result<Response<Flow>, Unsent> {
        self.wire.send(&Method::POST, HeaderMap::new().iter(), body).await
    }

    async fn answer(&self) -> Result<(u16, String), String> {
        let response = match self.ask(Bytes::from_static(b"{}")).await {
            Ok(response) => response,
            Err(Unsent::Unreachable(words)) => return Err(format!("unreachable: {words}")),
            Err(Unsent::Broken(words)) => return Err(format!("broken: {words}")),
        };
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(|error| format!("body: {error}"))?;
        Ok((status, String::from_utf8(body.to_bytes().to_vec()).unwrap()))
    }

    fn seen(&self) -> (usize, usize) {
        (self.connections.load(Ordering::SeqCst), self.heard.load(Ordering::SeqCst))
    }

    /// Waits until there is no idle connection any more that could be used.
    async fn until_stale(&self) {
        let is_quiet = || self.wire.idle.lock().iter().any(|(connection, _)| connection.is_quiet(false));
        while is_quiet() {
            tokio::task::yield_now().await;
        }
        self.wire.idle.lock().iter_mut().for_each(|(_, since)| *since -= JUST_NOW);
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), test).await.expect("an end") });
}

const A: &str = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na";
const B: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n";

#[test]
fn a_connection_is_used_again_while_it_can_be() {
    use Act::{Hear, Pause, Say};
    run(async {
        let said = |body: &str| Ok((200, body.to_owned()));
        let script = Script::play(&[
            &[Hear(2), Say(A), Hear(2), Say(B), Hear(2), Say("HTTP/1.1 100 C\r\n\r\n"), Say(A), Pause],
            &[Hear(2), Say("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\nc"), Pause],
            &[Hear(2), Say(A), Say("HTTP/1.1 200 OK\r\n\r\nfor nobody"), Pause],
            &[Hear(2), Say(B), Pause],
        ])
        .await;
        for (body, connections) in [("a", 1), ("b", 1), ("a", 1)] {
            assert_eq!((script.answer().await, script.seen().0), (said(body), connections));
        }
        // It is closed while nobody uses it: nothing was sent, so the next one gets it.
        script.go_on.add_permits(1);
        script.until_stale().await;
        assert_eq!((script.answer().await, script.seen()), (said("c"), (2, 4)));
        script.go_on.add_permits(1);
        assert_eq!((script.answer().await, script.seen()), (said("a"), (3, 5)));
        // What comes unasked is nobody's answer, whether it comes with one or later.
        script.go_on.add_permits(1);
        script.until_stale().await;
        assert_eq!((script.answer().await, script.seen()), (said("b"), (4, 6)));
        script.wire.reap(Instant::now());
        assert_eq!(script.wire.idle.lock().len(), 1);
        script.wire.reap(Instant::now() + IDLE_MAX);
        assert_eq!(script.wire.idle.lock().len(), 0);
    });
}

#[test]
fn what_was_sent_is_not_sent_again() {
    use Act::{Hear, Pause, Say};
    run(async {
        let script = Script::play(&[
            &[Hear(2), Say(A), Hear(2)],
            &[Hear(2), Say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")],
            &[Hear(2), Say("no HTTP"), Say("\r\n"), Pause],
        ])
        .await;
        assert_eq!(script.answer().await, Ok((200, "a".to_owned())));
        assert_eq!(script.answer().await, Err("broken: it has closed the connection".to_owned()));
        assert_eq!(script.seen(), (1, 2));
        assert_eq!(script.answer().await, Err("body: the connection was closed before its end".to_owned()));
        assert_eq!(script.answer().await, Err("broken: its head is not HTTP".to_owned()));
        assert_eq!(script.seen(), (3, 4));
        let nobody = Wire::new(&"http://127.0.0.1:1/".parse().unwrap());
        let sent = nobody.send(&Method::GET, HeaderMap::new().iter(), Bytes::new()).await;
        assert!(
            matches!(sent, Err(Unsent::Unreachable(words)) if words.starts_with("cannot connect to 127.0.0.1:1: "))
        );
    });
}

#[test]
fn an_answer_may_come_before_the_request_is_written() {
    use Act::{Hear, Pause, Say};
    run(async {
        let script = Script::play(&[
            &[Hear(0), Say("HTTP/1.1 413 X\r\ncontent-length: 4\r\n\r\nlong"), Pause],
            &[Hear(0), Say("HTTP/1.1 413 X\r\nconnection: close\r\n\r\n")],
            &[Hear(64 << 20), Say(A), Pause],
        ])
        .await;
        let body = Bytes::from(vec![b'x'; 64 << 20]);
        let response = script.ask(body.clone()).await.unwrap();
        assert_eq!(response.status(), 413);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "long");
        assert!(script.wire.idle.lock().is_empty(), "half a request is on it");
        script.go_on.add_permits(1);
        // The kernel may tell of the end before anybody has read the answer.
        match script.ask(body.clone()).await {
            Ok(response) => assert_eq!(response.status(), 413),
            Err(unsent) => assert!(matches!(unsent, Unsent::Broken(_)), "{unsent:?}"),
        }
        assert_eq!(script.ask(body).await.unwrap().status(), 200);
        assert_eq!(script.seen(), (3, 3));
    });
}
