//! Owns asking an MCP server itself over Streamable HTTP: `initialize`, `ping`, and the end of the session.
//!
//! A server answers a POST with one JSON document or with a stream of events, gives a session id or none, and may
//! send requests and notifications of its own before the answer. Any JSON-RPC answer proves that it lives, an
//! error too, except under a status of 500 and above, where something in front of the server speaks.

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use traces::Context;

use crate::body::{self, ANSWER_BYTES_MAX, BodyError};
use crate::liveness::failed;
use crate::prober::{Deadline, Prober, milliseconds_since};
use crate::reason;
use crate::report::{Request, Verdict};
use crate::sse::Events;

/// The newest revision that begins with a handshake; `ping` has gone with the next one.
const PROTOCOL_VERSION: &str = "2025-11-25";
pub(crate) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// Where a request says what it is part of: in its head, and in `_meta`.
const PARENT: &str = "traceparent";
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// A server that is slow to forget costs its prober no more than this.
const GOODBYE: Duration = Duration::from_secs(1);

/// A JSON-RPC answer to our request.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Result(Value),
    Error { code: i64, message: String },
}

/// What a POST came back with.
pub(crate) struct Reply {
    pub(crate) answer: Answer,
    pub(crate) session: Option<HeaderValue>,
}

/// The requests of one conversation: those that are over, and the one that is not.
struct Watched<'r> {
    over: &'r mut Vec<Request>,
    pending: Option<(&'static str, Instant)>,
}

// === impl Watched ===

impl Watched<'_> {
    fn begin(&mut self, method: &'static str) {
        self.pending = Some((method, Instant::now()));
    }

    /// The request that is not over, if there is one, is now.
    fn end(&mut self, succeeded: bool) {
        if let Some((method, started)) = self.pending.take() {
            self.over.push(Request { method, succeeded, duration_ms: milliseconds_since(started) });
        }
    }
}

// === impl Prober ===

impl Prober {
    /// Adds each request to `requests` when it is over, be it by the deadline.
    pub(crate) async fn upstream_ping(
        &self,
        url: &str,
        deadline: Deadline,
        trace: Option<Context>,
        requests: &mut Vec<Request>,
    ) -> Verdict {
        let mut headers = accepting();
        let parent = trace.and_then(|trace| HeaderValue::from_str(&trace.to_string()).ok());
        headers.extend(parent.map(|parent| (HeaderName::from_static(PARENT), parent)));
        let mut watched = Watched { over: requests, pending: None };
        let verdict = deadline.bound(self.converse(url, &mut headers, &mut watched)).await;
        watched.end(false);
        self.end_session(url, headers, deadline).await;
        verdict
    }

    /// Leaves the session, if there is one, in the headers.
    async fn converse(&self, url: &str, headers: &mut HeaderMap, watched: &mut Watched<'_>) -> Verdict {
        watched.begin("initialize");
        match self.introduce_ourselves(url, headers).await {
            Ok(Answer::Result(_)) => watched.end(true),
            Ok(error @ Answer::Error { .. }) => {
                watched.end(false);
                return error.verdict("initialize");
            }
            Err(verdict) => return verdict,
        }
        if let Err(verdict) = self.initialized(url, headers).await {
            return verdict;
        }
        watched.begin("ping");
        match self.call(url, headers, 2, "ping", json!({})).await {
            Ok(reply) => {
                watched.end(matches!(reply.answer, Answer::Result(_)));
                reply.answer.verdict("ping")
            }
            Err(verdict) => verdict,
        }
    }

    /// Begins a conversation; what the server wants to be told with each request is in the headers then.
    pub(crate) async fn greet(&self, url: &str, headers: &mut HeaderMap) -> Result<(), Verdict> {
        match self.introduce_ourselves(url, headers).await? {
            Answer::Result(_) => self.initialized(url, headers).await,
            error @ Answer::Error { .. } => Err(error.verdict("initialize")),
        }
    }

    async fn introduce_ourselves(&self, url: &str, headers: &mut HeaderMap) -> Result<Answer, Verdict> {
        let reply = self.call(url, headers, 1, "initialize", initialize()).await?;
        if let Some(session) = reply.session {
            headers.insert(SESSION, session);
        }
        if let Answer::Result(result) = &reply.answer {
            let version = result.get("protocolVersion").and_then(Value::as_str);
            let version = version.and_then(|version| HeaderValue::from_str(version).ok());
            headers.insert(VERSION, version.unwrap_or(HeaderValue::from_static(PROTOCOL_VERSION)));
        }
        Ok(reply.answer)
    }

    /// Whatever the server says to this notification: `ping` shows whether it lives.
    async fn initialized(&self, url: &str, headers: &HeaderMap) -> Result<(), Verdict> {
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let told = self.clients.at(url).post(url).headers(headers.clone()).json(&initialized).send().await;
        told.map(drop).map_err(failed)
    }

    /// Without this, a server that keeps sessions would keep one for every probe. What it says to that is its own
    /// affair, many refuse; the verdict stands by then.
    pub(crate) async fn end_session(&self, url: &str, headers: HeaderMap, deadline: Deadline) {
        if headers.contains_key(SESSION) {
            let goodbye = self.clients.at(url).delete(url).headers(headers).send();
            let until = deadline.at.min(Instant::now() + GOODBYE);
            if let Ok(Err(error)) = timeout_at(until, goodbye).await {
                tracing::debug!(url, %error, "the session of a probe could not be ended");
            }
        }
    }

    pub(crate) async fn call(
        &self,
        url: &str,
        headers: &HeaderMap,
        id: u64,
        method: &str,
        mut params: Value,
    ) -> Result<Reply, Verdict> {
        // What it is part of stands in the message as well, for whoever does not see the head.
        if let Some(parent) = headers.get(PARENT).and_then(|value| value.to_str().ok()) {
            params["_meta"] = json!({ PARENT: parent });
        }
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let sent = self.clients.at(url).post(url).headers(headers.clone()).json(&request).send().await;
        let response = sent.map_err(failed)?;
        let status = response.status();
        let session = response.headers().get(SESSION).cloned();
        if status.is_server_error() {
            return Err(Verdict::unhealthy(format!("HTTP {}", status.as_u16())));
        }
        let answer = if is_event_stream(&response) {
            streamed_answer(response, id).await?
        } else {
            plain_answer(response, id).await?
        };
        Ok(Reply { answer, session })
    }
}

// === impl Answer ===

impl Answer {
    /// The answer to the request `id`; some servers answer what they refuse with the id `null`.
    fn of_message(message: &Value, id: u64) -> Option<Self> {
        let answers = match message.get("id") {
            Some(Value::Null) | None => message.get("error").is_some() && message.get("method").is_none(),
            Some(found) => *found == id && message.get("method").is_none(),
        };
        if !answers || message.get("jsonrpc")? != "2.0" {
            return None;
        }
        if let Some(error) = message.get("error") {
            let text = error.get("message").and_then(Value::as_str).unwrap_or_default();
            return Some(Self::Error { code: error.get("code")?.as_i64()?, message: reason::tidy(text) });
        }
        message.get("result").cloned().map(Self::Result)
    }

    fn verdict(self, method: &str) -> Verdict {
        match self {
            Self::Result(_) => Verdict::healthy(format!("answered `{method}`")),
            Self::Error { code, message } => {
                Verdict::healthy(format!("answered `{method}` with error {code}: {message}"))
            }
        }
    }
}

/// The header without which Streamable HTTP refuses a POST.
pub(crate) fn accepting() -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"))])
}

pub(crate) fn initialize() -> Value {
    let client = json!({"name": "paramedic", "version": env!("CARGO_PKG_VERSION")});
    json!({"protocolVersion": PROTOCOL_VERSION, "capabilities": {}, "clientInfo": client})
}

fn is_event_stream(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
}

async fn plain_answer(response: Response, id: u64) -> Result<Answer, Verdict> {
    let status = response.status();
    let body = body::read(response, ANSWER_BYTES_MAX).await;
    let body = body.map_err(|error| Verdict::unhealthy(reason::of_body(error)))?;
    let message = serde_json::from_slice(&body).ok();
    message.and_then(|message| Answer::of_message(&message, id)).ok_or_else(|| no_answer(status))
}

/// Reads events up to the answer; the stream may stay open after it.
async fn streamed_answer(mut response: Response, id: u64) -> Result<Answer, Verdict> {
    let status = response.status();
    let mut events = Events::default();
    let mut bytes = 0;
    loop {
        let chunk = response.chunk().await.map_err(BodyError::Broken);
        let chunk = chunk.map_err(|error| Verdict::unhealthy(reason::of_body(error)))?;
        let Some(chunk) = chunk else { return Err(no_answer(status)) };
        bytes += chunk.len();
        if bytes > ANSWER_BYTES_MAX {
            return Err(Verdict::unhealthy(reason::of_body(BodyError::TooLong(ANSWER_BYTES_MAX))));
        }
        events.feed(&chunk);
        while let Some(data) = events.next_event() {
            let message = serde_json::from_slice(&data).ok();
            if let Some(answer) = message.and_then(|message| Answer::of_message(&message, id)) {
                return Ok(answer);
            }
        }
    }
}

fn no_answer(status: StatusCode) -> Verdict {
    Verdict::unhealthy(format!("HTTP {} without a JSON-RPC answer", status.as_u16()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Answer;

    #[test]
    fn only_an_answer_to_this_request_is_one() {
        let of = |message| Answer::of_message(&message, 2);
        let refused = || Answer::Error { code: -1, message: "no".to_owned() };
        assert_eq!(of(json!({"jsonrpc": "2.0", "id": 2, "result": {}})), Some(Answer::Result(json!({}))));
        assert_eq!(
            of(json!({"jsonrpc": "2.0", "id": 2, "error": {"code": -1, "message": "no"}})),
            Some(refused())
        );
        assert_eq!(
            of(json!({"jsonrpc": "2.0", "id": null, "error": {"code": -1, "message": "no"}})),
            Some(refused())
        );
        for odd in [
            json!({"jsonrpc": "2.0", "id": 3, "result": {}}),
            json!({"jsonrpc": "2.0", "id": "2", "result": {}}),
            json!({"jsonrpc": "2.0", "id": 2, "method": "ping"}),
            json!({"jsonrpc": "2.0", "id": null, "result": {}}),
            json!({"jsonrpc": "2.0", "id": 2}),
            json!({"id": 2, "result": {}}),
            json!({"error": "no"}),
            json!([]),
        ] {
            assert_eq!(of(odd.clone()), None, "{odd}");
        }
    }
}
