//! Owns one real call: a tool or a resource that is only read, timed phase by phase, because a server that answers `ping` may
//! still not be able to do its work.
//!
//! A guard is asked for its test read (`/api/test-read`): it knows what only reads, and calls nothing else. A server without a
//! guard is called with what its operator has declared and with nothing else; a tool only if the server itself says of it
//! that it only reads (`readOnlyHint: true`).

use std::time::Duration;

use diagnosis::{Finding, Severity, kind};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::dig;
use crate::mcp::{Answer, accepting};
use crate::prober::{Deadline, Prober, milliseconds_since};
use crate::reason;
use crate::target::{Endpoint, Target};

/// A list of tools with more pages than this is none that anybody has seen.
const PAGES_MAX: usize = 20;
/// A session is ended also where the time for the call is over.
const GOODBYE: Duration = Duration::from_secs(1);

/// Something that an operator has declared to be read.
#[derive(Clone, Debug, PartialEq)]
pub enum Declared {
    /// A tool that only reads, and its arguments.
    Tool {
        /// Its name.
        name: String,
        /// An object.
        arguments: Value,
    },
    /// A resource, by its URI.
    Resource(String),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
struct Called {
    /// `ok`, `failed`, `timeout`, or `unknown` where nothing was called.
    outcome: &'static str,
    /// Of the call itself.
    took_ms: Option<f64>,
    message: String,
}

// === impl Prober ===

impl Prober {
    /// Calls a server once, as a client would, within `deadline`, and ends its session within a second more; nothing of a server for which nothing is declared and that
    /// has no guard with an address.
    pub async fn call_for_real(
        &self,
        target: &Target,
        declared: Option<&Declared>,
        deadline: Duration,
    ) -> Vec<Finding> {
        let deadline = Deadline::after(deadline);
        let called = match (&target.endpoint, declared) {
            (Endpoint::Guard { base_url }, _) => guarded(base_url, deadline).await,
            (Endpoint::Upstream { url }, Some(declared)) => self.conversation(url, declared, deadline).await,
            (Endpoint::Upstream { .. }, None) | (Endpoint::Local { .. }, _) => return Vec::new(),
        };
        called.findings(&target.name)
    }

    async fn conversation(&self, url: &str, declared: &Declared, deadline: Deadline) -> Called {
        let (mut headers, mut phases) = (accepting(), Vec::new());
        let talking = self.talk(url, declared, &mut headers, &mut phases);
        let ended = timeout_at(deadline.at, talking).await;
        self.end_session(url, headers, Deadline::after(GOODBYE)).await;
        let (outcome, why) = match ended {
            Ok(Ok(())) => ("ok", String::new()),
            Ok(Err(Refused::Unknown(why))) => ("unknown", why),
            Ok(Err(Refused::Failed(why))) => ("failed", why),
            Err(_) => ("timeout", deadline.to_string()),
        };
        // The last one is the call itself, where it came to that.
        let took_ms = phases.last().filter(|_| outcome == "ok").map(|(_, ms)| *ms);
        let told: Vec<String> = phases.iter().map(|(what, ms)| format!("{what} {ms:.1} ms")).collect();
        let words = [why, told.join(", ")];
        let said: Vec<&str> = words.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
        Called { outcome, took_ms, message: format!("{}: {}", declared.name(), said.join("; ")) }
    }

    async fn talk(
        &self,
        url: &str,
        declared: &Declared,
        headers: &mut HeaderMap,
        phases: &mut Vec<(String, f64)>,
    ) -> Result<(), Refused> {
        let started = Instant::now();
        self.greet(url, headers).await.map_err(|verdict| Refused::Failed(verdict.reason))?;
        phases.push(("initialize".to_owned(), milliseconds_since(started)));
        let (method, params) = match declared {
            Declared::Tool { name, arguments } => {
                let started = Instant::now();
                self.must_only_read(url, headers, name).await?;
                phases.push(("tools/list".to_owned(), milliseconds_since(started)));
                ("tools/call", json!({ "name": name, "arguments": arguments }))
            }
            Declared::Resource(uri) => ("resources/read", json!({ "uri": uri })),
        };
        let started = Instant::now();
        let result = self.result(url, headers, 100, method, params).await.map_err(Refused::Failed);
        phases.push((method.to_owned(), milliseconds_since(started)));
        match result? {
            result if result["isError"] == true => {
                Err(Refused::Failed("the tool says that it failed".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Nothing is called of which the server does not say, in its own list and each time that it is in it, that it only reads.
    async fn must_only_read(&self, url: &str, headers: &HeaderMap, name: &str) -> Result<(), Refused> {
        let mut cursor = Value::Null;
        let mut hints = Vec::new();
        for page in 0..PAGES_MAX {
            let params = if cursor.is_null() { json!({}) } else { json!({ "cursor": cursor }) };
            let id = 10 + page as u64;
            let result =
                self.result(url, headers, id, "tools/list", params).await.map_err(Refused::Failed)?;
            let tools = result["tools"].as_array().cloned().unwrap_or_default();
            let named = tools.iter().filter(|tool| tool["name"] == name);
            hints.extend(named.map(|tool| tool["annotations"]["readOnlyHint"] == true));
            cursor = result["nextCursor"].clone();
            if !cursor.is_string() {
                break;
            }
        }
        match hints.as_slice() {
            [] => Err(Refused::Unknown("the server has no such tool".to_owned())),
            all if all.iter().all(|only_reads| *only_reads) => Ok(()),
            _ => Err(Refused::Unknown("it does not say that it only reads, so it is not called".to_owned())),
        }
    }

    async fn result(
        &self,
        url: &str,
        headers: &HeaderMap,
        id: u64,
        method: &str,
        params: Value,
    ) -> Result<Value, String> {
        match self.call(url, headers, id, method, params).await {
            Ok(reply) => match reply.answer {
                Answer::Result(result) => Ok(result),
                Answer::Error { code, message } => {
                    Err(format!("`{method}` was answered with error {code}: {message}"))
                }
            },
            Err(verdict) => Err(verdict.reason),
        }
    }
}

/// Why there was no result.
enum Refused {
    /// Nothing was called.
    Unknown(String),
    Failed(String),
}

/// The test read of a guard.
async fn guarded(base_url: &str, deadline: Deadline) -> Called {
    let url = format!("{}/api/test-read", base_url.trim_end_matches('/'));
    let (verdict, dug) = dig::page(&url, deadline).await;
    let said: Value = serde_json::from_slice(&dug.body).unwrap_or_default();
    let read = &said["read"];
    let what = read["tool"].as_str().or_else(|| read["resource"].as_str()).map(reason::tidy);
    let took_ms = said["duration_ms"].as_f64();
    let why = said["reason"].as_str().map_or(verdict.reason, reason::tidy);
    let outcome = match said["status"].as_str() {
        Some("read") => "ok",
        Some("failed") if why.contains("no answer within") => "timeout",
        Some("failed") => "failed",
        _ if why.starts_with("no answer within") => "timeout",
        // It is not let in, or knows nothing that could be read.
        _ => "unknown",
    };
    let mut message = what.map(|what| format!("`{what}`: ")).unwrap_or_default();
    if outcome == "ok" {
        message += &format!("the server took {:.1} ms; {}", took_ms.unwrap_or_default(), dug.phases);
    } else {
        message += &why;
    }
    Called { outcome, took_ms: took_ms.filter(|_| outcome == "ok"), message }
}

// === impl Declared, Called ===

impl Declared {
    fn name(&self) -> String {
        match self {
            Self::Tool { name, .. } => format!("`{}`", reason::tidy(name)),
            Self::Resource(uri) => format!("`{}`", reason::tidy(uri)),
        }
    }
}

impl Called {
    fn findings(self, server: &str) -> Vec<Finding> {
        let severity =
            if matches!(self.outcome, "failed" | "timeout") { Severity::Warning } else { Severity::Info };
        let call = Finding::new(kind::TOOL_CALL, server).with_value(self.outcome).with_severity(severity);
        let seconds = self.took_ms.map(|ms| {
            let seconds = (ms * 10.0).round() / 1e4;
            Finding::new(kind::TOOL_CALL_SECONDS, server).with_value(seconds).with_message(&self.message)
        });
        std::iter::once(call.with_message(&self.message)).chain(seconds).collect()
    }
}
