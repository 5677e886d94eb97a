//! Owns the load: clients that call a tool one time after the other, each over a connection of its own.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::ways::Way;

/// How long whatever was started may take until it answers.
const START_MAX: Duration = Duration::from_secs(30);

/// What was measured in one turn.
pub(crate) struct Round {
    took: Vec<Duration>,
    time: Duration,
    cpu: Duration,
}

/// The median of all turns.
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Of the process in between, per call.
    pub(crate) cpu: Duration,
}

// === impl Measured ===

impl Measured {
    pub(crate) fn of(rounds: &[Round]) -> Self {
        let calls = |round: &Round| round.took.len() as f64;
        let at = |round: &Round, percent: usize| round.took[(round.took.len() - 1) * percent / 100];
        let median = |value: &dyn Fn(&Round) -> f64| {
            let mut all: Vec<f64> = rounds.iter().map(value).collect();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        };
        Self {
            per_second: median(&|round| calls(round) / round.time.as_secs_f64()),
            p50: Duration::from_secs_f64(median(&|round| at(round, 50).as_secs_f64())),
            p99: Duration::from_secs_f64(median(&|round| at(round, 99).as_secs_f64())),
            cpu: Duration::from_secs_f64(median(&|round| round.cpu.as_secs_f64() / calls(round))),
        }
    }
}

/// Has so many clients call for so long.
pub(crate) async fn round(way: &Way, clients: usize, time: Duration) -> Round {
    let mut open = JoinSet::new();
    for _ in 0..clients {
        open.spawn(Client::open(way.port));
    }
    let open = open.join_all().await;
    let cpu = way.cpu();
    let began = Instant::now();
    let until = began + time;
    let mut calling = JoinSet::new();
    for mut client in open {
        calling.spawn(async move {
            let mut took = Vec::with_capacity(16 << 10);
            while Instant::now() < until {
                let began = Instant::now();
                client.call().await;
                took.push(began.elapsed());
            }
            took
        });
    }
    let mut took = calling.join_all().await.concat();
    let time = began.elapsed();
    took.sort_unstable();
    Round { took, time, cpu: way.cpu().saturating_sub(cpu) }
}

/// Opens sessions and leaves them.
pub(crate) async fn sessions(way: &Way, count: usize) {
    for _ in 0..count {
        drop(Client::open(way.port).await);
    }
}

/// Waits until a session can be opened.
pub(crate) async fn first_answer(way: &Way) {
    let began = Instant::now();
    while Client::try_open(way.port).await.is_err() {
        assert!(began.elapsed() < START_MAX, "`{}` does not answer", way.name);
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}

struct Client {
    stream: TcpStream,
    call: Vec<u8>,
    heard: Vec<u8>,
}

impl Client {
    async fn open(port: u16) -> Self {
        Self::try_open(port).await.expect("a session")
    }

    async fn try_open(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let mut client = Self { stream, call: Vec::new(), heard: Vec::new() };
        let params = r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}"#;
        let initialize = format!(r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{params}}}"#);
        let head = client.ask(&request(port, "", &initialize)).await?;
        if !head.starts_with("HTTP/1.1 200") {
            return Err(std::io::Error::new(ErrorKind::ConnectionRefused, head));
        }
        let session = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("mcp-session-id").then(|| value.trim().to_owned())
        });
        let session = session.map_or_else(String::new, |id| format!("mcp-session-id: {id}\r\n"));
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        client.ask(&request(port, &session, initialized)).await?;
        let call = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"}}}"#;
        client.call = request(port, &session, call);
        Ok(client)
    }

    async fn call(&mut self) {
        let call = std::mem::take(&mut self.call);
        let head = self.ask(&call).await.expect("an answer");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(memmem::find(&self.heard, b"hello").is_some(), "{}", String::from_utf8_lossy(&self.heard));
        self.call = call;
    }

    /// Sends a request, and reads its answer to the end. Returns its head.
    async fn ask(&mut self, request: &[u8]) -> std::io::Result<String> {
        self.stream.write_all(request).await?;
        self.heard.clear();
        let mut whole = None;
        loop {
            if self.stream.read_buf(&mut self.heard).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let Some(end) = memmem::find(&self.heard, b"\r\n\r\n") else { continue };
            let whole = *whole.get_or_insert_with(|| length(&self.heard[..end]).map(|body| end + 4 + body));
            let is_whole = match whole {
                Some(bytes) => self.heard.len() >= bytes,
                None => self.heard.ends_with(b"0\r\n\r\n"),
            };
            if is_whole {
                return Ok(String::from_utf8_lossy(&self.heard[..end]).into_owned());
            }
        }
    }
}

/// How long a body is; none where it comes in chunks.
fn length(head: &[u8]) -> Option<usize> {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    if let Some((_, value)) = lines.clone().find(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
        return Some(value.trim().parse().unwrap());
    }
    let is_chunked = lines.any(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding"));
    if is_chunked { None } else { Some(0) }
}

fn request(port: u16, session: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\nmcp-protocol-version: 2025-11-25\r\n{session}\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
