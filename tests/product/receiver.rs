//! Owns a receiver of webhooks on loopback: it keeps what comes, and answers as the test says.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// What a receiver does with a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    /// Answers with this status.
    Status(u16),
    /// Takes it, and never answers.
    Silence,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
    pub(crate) answer: Answer,
}

/// A receiver that lives as long as the test process.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    port: u16,
    came: Arc<Mutex<Vec<Request>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

// === impl Receiver ===

impl Receiver {
    /// A receiver with these answers to the first requests, and 200 to all others.
    pub(crate) fn new(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let receiver = Self {
            port: listener.local_addr().unwrap().port(),
            came: Arc::default(),
            answers: Arc::new(Mutex::new(answers.iter().copied().collect())),
        };
        let own = receiver.clone();
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming().flatten() {
                // A silent connection stays open, so that whoever waits for the answer waits.
                silent.extend(own.take(stream));
            }
        });
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/notices", self.port)
    }

    /// What came so far.
    pub(crate) fn came(&self) -> Vec<Request> {
        self.came.lock().unwrap().clone()
    }

    fn take(&self, mut stream: TcpStream) -> Option<TcpStream> {
        let (headers, body) = read(&stream)?;
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Answer::Status(200));
        self.came.lock().unwrap().push(Request { headers, body, answer });
        match answer {
            Answer::Silence => Some(stream),
            Answer::Status(status) => {
                let said = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                let _ = stream.write_all(said.as_bytes());
                None
            }
        }
    }
}

// === impl Request ===

impl Request {
    /// Its key.
    pub(crate) fn key(&self) -> &str {
        self.headers.get("idempotency-key").map_or("", String::as_str)
    }

    pub(crate) fn news(&self) -> &str {
        self.body["news"].as_str().unwrap_or_default()
    }
}

fn read(stream: &TcpStream) -> Option<(BTreeMap<String, String>, Value)> {
    let mut reader = BufReader::new(stream);
    let mut headers = BTreeMap::new();
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some((headers, serde_json::from_slice(&body).ok()?))
}
