//! Owns one running Prometheus: its data, its process, its answers.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use metrics::{Labels, Steps};
use serde_json::Value as Json;

use super::Rows;
use crate::poll;

/// Only reached where a test fails: an answer takes milliseconds.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A Prometheus over given samples; it ends with this value.
pub(super) struct Rival {
    pub(super) process: Child,
    pub(super) port: u16,
}

// === impl Rival ===

impl Rival {
    /// Makes blocks of an exposition with times, and starts Prometheus over them.
    pub(super) fn start(programs: &Path, folder: &Path, exposition: &str) -> Self {
        let (page, data, config) = (folder.join("page"), folder.join("data"), folder.join("prometheus.yml"));
        fs::write(&page, exposition).expect("the page can be written");
        fs::write(&config, "").expect("the configuration can be written");
        let blocks = Command::new(programs.join("promtool"))
            .args(["tsdb", "create-blocks-from", "openmetrics"])
            .args([&page, &data])
            .output()
            .expect("promtool runs");
        assert!(blocks.status.success(), "{}", String::from_utf8_lossy(&blocks.stderr));
        let port = free_port();
        let process = Command::new(programs.join("prometheus"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--storage.tsdb.retention.time=100y", "--log.level=error"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus starts");
        let rival = Self { process, port };
        rival.is_ready("/-/ready");
        rival
    }

    /// Waits until it says that it is ready.
    pub(super) fn is_ready(&self, path: &str) {
        poll::eventually("the rival is ready", || {
            self.get(path).ok().filter(|(status, _)| *status == 200).map(|_| ())
        });
    }

    /// Evaluates a query at one moment.
    pub(super) fn instant(&self, query: &str, at_ms: i64) -> Result<Rows, String> {
        let time = seconds(at_ms);
        self.ask(&format!("/api/v1/query?query={}&time={time}", encoded(query)))
    }

    /// Evaluates a query at each step.
    pub(super) fn range(&self, query: &str, steps: Steps) -> Result<Rows, String> {
        let (start, end) = (seconds(steps.start_ms), seconds(steps.end_ms));
        let (query, step) = (encoded(query), seconds(steps.step_ms));
        self.ask(&format!("/api/v1/query_range?query={query}&start={start}&end={end}&step={step}"))
    }

    fn ask(&self, path: &str) -> Result<Rows, String> {
        let (status, body) = self.get(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let answer: Json =
            serde_json::from_str(&body).unwrap_or_else(|_| panic!("{status} is no answer: {body}"));
        if answer["status"] != "success" {
            return Err(answer["error"].to_string());
        }
        let result = &answer["data"]["result"];
        if answer["data"]["resultType"] == "scalar" {
            return Ok(Rows::from([("{}".to_owned(), vec![sample(result)])]));
        }
        let rows = result.as_array().expect("a result is a list").iter().map(|row| {
            let labels: Labels = serde_json::from_value(row["metric"].clone()).expect("labels are texts");
            let samples = match row["values"].as_array() {
                Some(samples) => samples.iter().map(sample).collect(),
                None => vec![sample(&row["value"])],
            };
            (labels.to_string(), samples)
        });
        Ok(rows.collect())
    }

    /// Asks in the oldest way, in which an answer comes in one piece and ends with the connection.
    fn get(&self, path: &str) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split_whitespace().nth(1).and_then(|status| status.parse().ok());
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        Ok((status.unwrap_or_default(), body.unwrap_or_default()))
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("it has an address").port()
}

fn sample(json: &Json) -> (i64, f64) {
    let at_ms = (json[0].as_f64().expect("a time is a number") * 1000.0).round() as i64;
    let value = json[1].as_str().and_then(|text| text.parse().ok()).expect("a value is a text");
    (at_ms, value)
}

fn seconds(millis: i64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
