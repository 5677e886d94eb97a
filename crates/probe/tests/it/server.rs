//! Owns a small HTTP server for tests: what it does with each request is a function of the test.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::task::JoinHandle;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// The lines of the head, in lower case.
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

/// What the server does with a request.
pub(crate) enum Manner {
    /// Sends these bytes and closes.
    Says(Vec<u8>),
    /// Sends these bytes and keeps the connection open.
    SaysAndHolds(Vec<u8>),
    /// Sends these bytes, and then one byte every few milliseconds for ever.
    Drips(Vec<u8>),
    /// Says nothing.
    Silent,
    /// Says 200 when as many requests as the barrier wants are there at once, and nothing before.
    Meets(Arc<Barrier>),
}

/// A server on a free port of this machine; it ends with its value.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

// === impl Server ===

impl Server {
    pub(crate) async fn start(manner: impl Fn(&Request) -> Manner + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, manner) = (requests.clone(), Arc::new(manner));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, manner) = (log.clone(), manner.clone());
                tokio::spawn(async move {
                    let mut stream = stream;
                    if let Some(request) = read_request(&mut stream).await {
                        log.lock().unwrap().push(request.clone());
                        behave(&mut stream, manner(&request)).await;
                    }
                });
            }
        });
        Self { address, requests, task }
    }

    /// Answers everything so.
    pub(crate) async fn saying(status: &str, body: &str) -> Self {
        let answer = answer(status, "content-type: application/json\r\n", body);
        Self::start(move |_| Manner::Says(answer.clone())).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Request ===

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// An HTTP answer with its length.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
        .into_bytes()
}

/// An address at which nobody listens.
pub(crate) async fn refusing() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.lines();
    let (method, rest) = lines.next()?.split_once(' ')?;
    let path = rest.split(' ').next()?.to_owned();
    let headers: Vec<_> = lines.map(str::to_ascii_lowercase).collect();
    let request = Request { method: method.to_owned(), path, headers, body: String::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < head_end + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Request { body: String::from_utf8_lossy(&bytes[head_end + 4..]).into_owned(), ..request })
}

async fn behave(stream: &mut TcpStream, manner: Manner) {
    let (bytes, drips) = match manner {
        Manner::Says(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            return;
        }
        Manner::Meets(barrier) => {
            barrier.wait().await;
            let _ = stream.write_all(&answer("200 OK", "", "")).await;
            return;
        }
        Manner::SaysAndHolds(bytes) => (bytes, false),
        Manner::Drips(bytes) => (bytes, true),
        Manner::Silent => (Vec::new(), false),
    };
    let _ = stream.write_all(&bytes).await;
    let mut pace = tokio::time::interval(Duration::from_millis(5));
    while drips && stream.write_all(b"x").await.is_ok() {
        pace.tick().await;
    }
    // Until the other side closes.
    let _ = stream.read_to_end(&mut Vec::new()).await;
}
