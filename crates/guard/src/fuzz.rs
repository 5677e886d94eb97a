//! Owns the doors by which fuzz targets come in (`fuzz/`): readers that no other crate sees, with what has to hold of them.
//!
//! It is compiled with the feature `fuzzing` only.

use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use serde_json::Value;
use tokio::io::BufReader;

use crate::admin::access;
use crate::audit::{Audit, Extent};
use crate::envelope::{self, Incoming, Outcome};
use crate::lines::{Line, next_line};
use crate::mcp::gate;
use crate::mcp::request::Accepts;
use crate::questions::Offers;
use crate::revision::Revision;
use crate::session::{Newcomer, Sessions, subscriptions};
use crate::upstream::{Events, forwarded_headers, read_whole};
use crate::{http_sse, reads, spans, stdio};

/// A message is read as JSON has it, and is the same one when it goes on: on one line, under another id, with another
/// progress token, and with nothing else changed.
///
/// # Panics
/// When it is not.
pub fn message(text: &[u8]) {
    let judged: Option<Value> = serde_json::from_slice(text).ok();
    let is = |part: &str, name: &str| {
        if let (Some(all), Ok(part)) = (&judged, serde_json::from_str::<Value>(part)) {
            assert_eq!(all[name], part, "{name}");
        }
    };
    match envelope::parse(text) {
        Ok(Incoming::Request { id, method, params }) => {
            is(id, "id");
            assert!(judged.as_ref().is_none_or(|all| all["method"] == *method));
            params.inspect(|params| is(params, "params"));
            goes_on(&method, params, &envelope::request(7, &method, params), Some("7"));
            if let Some(params) = params
                && let Ok(Some(token)) = envelope::progress_token(params)
            {
                let changed = envelope::exchange(params, token, "7");
                assert_eq!(envelope::progress_token(&changed), Ok(Some("7")));
                goes_on(&method, Some(&changed), &envelope::request(7, &method, Some(&changed)), Some("7"));
            }
            params.inspect(|params| understood(params));
        }
        Ok(Incoming::Notification { method, params }) => {
            let mut line = envelope::notification(&method, params);
            line.push(b'\n');
            goes_on(&method, params, &line, None);
            if let Some(params) = params
                && let Ok(Some(id)) = envelope::member(params, "requestId")
            {
                let changed = envelope::exchange(params, id, "7");
                assert_eq!(envelope::member(&changed, "requestId"), Ok(Some("7")));
            }
        }
        Ok(Incoming::Response { id, outcome }) => {
            is(id, "id");
            let (Outcome::Result(said) | Outcome::Error(said)) = outcome;
            let answer = envelope::response("\"own\"", outcome);
            assert!(!answer.contains(&b'\n') && !answer.contains(&b'\r'));
            match (envelope::parse(&answer), outcome) {
                (
                    Ok(Incoming::Response { id: "\"own\"", outcome: Outcome::Result(again) }),
                    Outcome::Result(_),
                )
                | (
                    Ok(Incoming::Response { id: "\"own\"", outcome: Outcome::Error(again) }),
                    Outcome::Error(_),
                ) => {
                    same(said, again);
                }
                (other, _) => panic!("{other:?}"),
            }
            understood(said);
        }
        Err(_) => {}
    }
    let _ = gate::client_name_of(text);
    for one in stdio::messages(text).unwrap_or_default() {
        let _ = envelope::parse(one.as_bytes());
    }
}

/// What is looked for in parameters and results is there or not.
fn understood(json: &str) {
    let _ = (gate::tool_name(json), gate::client_name(json), subscriptions::uri(json), Offers::of(json));
    let _ = spans::given(Some(json), &HeaderMap::new());
    let all = Audit { arguments: ["*".to_owned()].into(), hide: ["a".to_owned()].into() };
    let _ = (all.shown(Extent::AsSet, "tool", json), all.shown(Extent::All, "tool", json));
    if let Some(promised) = gate::announcing(json) {
        assert!(gate::announcing(&promised).is_none(), "it is promised once");
    }
    let narrowed = reads::narrowed(json, |_, _| false);
    if let Some(narrowed) = narrowed {
        let value: Value = serde_json::from_str(&narrowed).unwrap_or_default();
        assert!(value["tools"].as_array().is_none_or(Vec::is_empty), "{narrowed}");
    }
}

fn goes_on(method: &str, params: Option<&str>, line: &[u8], id: Option<&str>) {
    let (end, line) = line.split_last().expect("a line feed");
    assert!(*end == b'\n' && !line.contains(&b'\n') && !line.contains(&b'\r'));
    match envelope::parse(line) {
        Ok(Incoming::Request { id: found, method: again, params: more }) if id == Some(found) => {
            assert_eq!(method, again);
            same(params.unwrap_or_default(), more.unwrap_or_default());
        }
        Ok(Incoming::Notification { method: again, params: more }) if id.is_none() => {
            assert_eq!(method, again);
            same(params.unwrap_or_default(), more.unwrap_or_default());
        }
        other => panic!("{other:?}"),
    }
}

fn same(one: &str, other: &str) {
    assert_eq!(one.replace(['\n', '\r'], " "), other);
}

/// Lines are the same however they come, and no longer than they may be.
///
/// # Panics
/// When they are not.
pub fn lines(text: &[u8], buffer_bytes: usize, bytes_max: usize) {
    let mut reader = BufReader::with_capacity(buffer_bytes.max(1), text);
    let mut line = Vec::new();
    let mut parts = text.split(|byte| *byte == b'\n').peekable();
    loop {
        let found = {
            let next = pin!(next_line(&mut reader, &mut line, bytes_max));
            match next.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(found) => found.expect("a slice can be read"),
                Poll::Pending => panic!("a slice is always there"),
            }
        };
        let part = parts.next().unwrap_or_default();
        let is_last = parts.peek().is_none();
        let expect = match part.len() > bytes_max {
            _ if is_last && part.is_empty() => Line::End,
            true => Line::Cut,
            false => Line::Whole,
        };
        assert_eq!(found, expect);
        assert_eq!(line, &part[..part.len().min(bytes_max)]);
        if found == Line::End {
            return;
        }
    }
}

/// Whether a request with these headers comes from where it may, to a guard that listens there.
pub fn admitted(listen: SocketAddr, headers: &[(HeaderName, &[u8])]) -> bool {
    crate::origin::admitted(&head("/mcp", headers), listen).is_ok()
}

/// Whatever headers say, it is understood or not, and nothing goes on that has no business there.
///
/// # Panics
/// When it does.
pub fn headers(path: &str, headers: &[(HeaderName, &[u8])]) {
    let head = head(path, headers);
    let _ = (Accepts::of(&head.headers), access::is_forwarded(&head.headers));
    if let Some(Some(token)) = access::token(&head.headers) {
        assert_eq!(head.headers.get_all(header::AUTHORIZATION).iter().count(), 1);
        assert_eq!(token, token.trim());
    }
    let _ = spans::given(None, &head.headers);
    let _ = http_sse::stream_of(head.uri.query());
    for (name, _) in forwarded_headers(&head.headers) {
        let stays = ["host", "origin", "connection", "transfer-encoding", "content-length", "te", "upgrade"];
        assert!(!stays.contains(&name.as_str()), "{name}");
    }
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let _ = Revision::of(text("mcp-protocol-version"));
    let sessions = Sessions::bounded(1, Duration::from_secs(60), Instant::now());
    let opened = sessions.open(1, Newcomer::default(), Instant::now());
    if let Ok(session) = opened {
        assert_eq!(
            sessions.find(text("mcp-session-id"), Instant::now()).is_some(),
            text("mcp-session-id") == session.id
        );
        // Nothing was sent yet.
        assert!(session.resume(text("last-event-id")).is_err());
    }
}

fn head(path: &str, headers: &[(HeaderName, &[u8])]) -> Parts {
    let mut request = Request::new(());
    if let Ok(uri) = path.parse() {
        *request.uri_mut() = uri;
    }
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            request.headers_mut().append(name.clone(), value);
        }
    }
    request.into_parts().0
}

/// The status and the body of an upstream's answer that comes in these parts, after which the connection is closed; none where
/// it is no answer.
///
/// # Panics
/// When it hands on what belongs to the connection.
pub fn answer<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Option<(u16, Vec<u8>)> {
    let whole = read_whole(parts).ok()?;
    for name in ["connection", "transfer-encoding", "keep-alive", "upgrade", "te", "trailer"] {
        assert!(!whole.headers.contains_key(name), "{name}");
    }
    Some((whole.status.as_u16(), whole.body))
}

/// The data of the events of a stream, in the pieces in which it comes, and the id by which it can be resumed.
///
/// # Panics
/// When an event ends outside of its piece.
pub fn events<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Option<Vec<u8>>>, Option<Vec<u8>>) {
    let (mut reader, mut found) = (Events::default(), Vec::new());
    for piece in pieces {
        let mut before = 0;
        for event in reader.feed(piece) {
            assert!(before < event.end && event.end <= piece.len());
            before = event.end;
            found.push(event.data);
        }
    }
    (found, reader.last_id().map(<[u8]>::to_vec))
}
