//! Owns the server that is called: as fast as one can be, over HTTP or over a pipe.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use memchr::memmem;
use tokio::net::TcpListener;

const INITIALIZED: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1"}}"#;
const CALLED: &str = r#"{"content":[{"type":"text","text":"hello"}]}"#;

/// Serves until it is killed.
pub(crate) async fn http(port: &str) {
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let Some(text) = answer_to(&body) else {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::ACCEPTED;
        return Ok(response);
    };
    let mut response = Response::new(Full::new(text.into()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("mcp-session-id", HeaderValue::from_static("0123456789abcdef0123456789abcdef"));
    Ok(response)
}

/// Serves until its input ends.
pub(crate) fn stdio() {
    let mut input = BufReader::with_capacity(64 << 10, std::io::stdin());
    let mut output = std::io::stdout().lock();
    let mut line = Vec::new();
    let mut answers = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line).unwrap() == 0 {
            return;
        }
        if let Some(answer) = answer_to(&line) {
            answers.extend_from_slice(answer.as_bytes());
            answers.push(b'\n');
        }
        // What has come together is answered together.
        if input.buffer().is_empty() {
            output.write_all(&answers).unwrap();
            output.flush().unwrap();
            answers.clear();
        }
    }
}

/// The answer to a request; none to a notification.
fn answer_to(message: &[u8]) -> Option<String> {
    let start = memmem::find(message, b"\"id\":")? + 5;
    let bytes = message[start..].iter().position(|byte| matches!(byte, b',' | b'}')).unwrap();
    let id = std::str::from_utf8(&message[start..start + bytes]).unwrap();
    let is_first = memmem::find(message, b"\"initialize\"").is_some();
    let result = if is_first { INITIALIZED } else { CALLED };
    Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))
}

/// The server over a pipe, and its only client.
pub(crate) struct Piped {
    process: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Piped {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("upstream-stdio").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let (stdin, stdout) = (process.stdin.take(), process.stdout.take().unwrap());
        Self { process, stdin, stdout: BufReader::new(stdout) }
    }

    pub(crate) fn ask(&mut self) -> Duration {
        let began = Instant::now();
        let call = b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\"arguments\":{\"text\":\"hello\"}}}\n";
        self.stdin.as_mut().unwrap().write_all(call).unwrap();
        let mut line = Vec::new();
        self.stdout.read_until(b'\n', &mut line).unwrap();
        assert!(line.ends_with(b"}\n"));
        began.elapsed()
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.process.wait();
    }
}
