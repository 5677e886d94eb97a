//! Owns the JSON-RPC 2.0 envelope: which kind of message it is, and writing it again with another id.
//!
//! A message is one JSON object with `"jsonrpc": "2.0"`. With `method` and `id` it is a request, with `method` alone a
//! notification, with `id` and `result` or `error` a response. Only the envelope is understood; `params`, `result`
//! and `error` stay the text that they were. The one exception is the progress token (`params._meta.progressToken` of
//! a request, `params.progressToken` of `notifications/progress`) and the `requestId` of `notifications/cancelled`,
//! whose text is exchanged in place.
//!
//! On the child's pipe a message is one line, and so is the data of a server-sent event: line breaks, which JSON
//! allows between tokens only, become spaces.

mod scan;

use std::borrow::Cow;

use memchr::memmem::find;
use scan::{Members, NotJson};

/// The request cannot be carried out because of the server (not one of JSON-RPC's own codes).
pub(crate) const SERVER_ERROR: i32 = -32000;
/// The text is not JSON.
pub(crate) const PARSE_ERROR: i32 = -32700;
/// The JSON is not a message.
pub(crate) const INVALID_REQUEST: i32 = -32600;
/// There is no such method.
pub(crate) const METHOD_NOT_FOUND: i32 = -32601;
/// The method's parameters are wrong.
pub(crate) const INVALID_PARAMS: i32 = -32602;

const TWICE: Malformed = Malformed::Invalid("a member is there twice");

/// What a new message needs beside the texts that it is made of.
const FRAME_BYTES: usize = 96;

/// One message, borrowed from its text. Ids, parameters and outcomes are JSON.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming<'a> {
    /// Wants an answer.
    Request { id: &'a str, method: Cow<'a, str>, params: Option<&'a str> },
    /// Wants none.
    Notification { method: Cow<'a, str>, params: Option<&'a str> },
    /// Is one.
    Response { id: &'a str, outcome: Outcome<'a> },
}

/// What a response says, as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome<'a> {
    /// It worked.
    Result(&'a str),
    /// It did not.
    Error(&'a str),
}

/// Why a text is not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// It is not JSON, or not an object.
    NotJson,
    /// It is several messages in an array, which only the revision 2025-03-26 knew.
    Batch,
    /// It is JSON, and not JSON-RPC.
    Invalid(&'static str),
}

impl From<NotJson> for Malformed {
    fn from(NotJson: NotJson) -> Self {
        Self::NotJson
    }
}

/// Reads one message.
pub(crate) fn parse(text: &[u8]) -> Result<Incoming<'_>, Malformed> {
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => {}
        Some(b'[') => return Err(Malformed::Batch),
        _ => return Err(Malformed::NotJson),
    }
    let text = std::str::from_utf8(text).map_err(|_| Malformed::NotJson)?;
    let [jsonrpc, id, method, params, result, error] = members(text)?;
    // There `null` is the absence of a value; as an id or a result it is one.
    let [jsonrpc, method, params, error] =
        [jsonrpc, method, params, error].map(|member| member.filter(|value| *value != "null"));
    if jsonrpc != Some("\"2.0\"") {
        return Err(Malformed::Invalid("`jsonrpc` must be \"2.0\""));
    }
    if params.is_some_and(|params| !params.starts_with('{')) {
        return Err(Malformed::Invalid("`params` must be an object"));
    }
    if id.is_some_and(|id| !is_id(id)) {
        return Err(Malformed::Invalid("`id` must be a string or a number"));
    }
    let method = method.map(name).transpose()?;
    match (method, id, result, error) {
        (Some(method), Some(id), None, None) => Ok(Incoming::Request { id, method, params }),
        (Some(method), None, None, None) => Ok(Incoming::Notification { method, params }),
        (None, Some(id), Some(result), None) => {
            Ok(Incoming::Response { id, outcome: Outcome::Result(result) })
        }
        (None, Some(id), None, Some(error)) => Ok(Incoming::Response { id, outcome: Outcome::Error(error) }),
        _ => Err(Malformed::Invalid("it is neither a request, nor a notification, nor a response")),
    }
}

/// The members that make a message of an object: `jsonrpc`, `id`, `method`, `params`, `result`, `error`. One that is there twice is an error: two readers would not see the same
/// message.
fn members(text: &str) -> Result<[Option<&str>; 6], Malformed> {
    let mut members = Members::of(text)?;
    let mut found = [None; 6];
    while let Some((name, value)) = members.next()? {
        let place = match &*name {
            "jsonrpc" => 0,
            "id" => 1,
            "method" => 2,
            "params" => 3,
            "result" => 4,
            "error" => 5,
            _ => continue,
        };
        if found[place].replace(value).is_some() {
            return Err(TWICE);
        }
    }
    if members.is_at_end() { Ok(found) } else { Err(Malformed::NotJson) }
}

/// Whether a JSON value can be an id or a progress token: a string or a number.
fn is_id(value: &str) -> bool {
    value.starts_with(|c: char| matches!(c, '"' | '-' | '0'..='9'))
}

/// The text of a string, as JSON has it; none where it is none.
pub(crate) fn text(json: &str) -> Option<Cow<'_, str>> {
    name(json).ok()
}

fn name(json: &str) -> Result<Cow<'_, str>, Malformed> {
    match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        Some(_) => serde_json::from_str(json).map(Cow::Owned).map_err(|_| Malformed::NotJson),
        None => Err(Malformed::Invalid("`method` must be a string")),
    }
}

/// The value of one member of an object, as it stands in its text; none if `object` is not an object or has no such
/// member. Names are compared as they are meant, however they are escaped.
pub(crate) fn member<'a>(object: &'a str, name: &str) -> Result<Option<&'a str>, Malformed> {
    // Most are asked for what they do not have, and looking for a word is quicker than reading. Letters can only be
    // written in another way with `\u`.
    let text = object.as_bytes();
    if !text.starts_with(b"{") || (find(text, name.as_bytes()).is_none() && find(text, b"\\u").is_none()) {
        return Ok(None);
    }
    let mut members = Members::of(object).map_err(|_| TWICE)?;
    let mut found = None;
    while let Some((same, value)) = members.next().map_err(|_| TWICE)? {
        if same == name && found.replace(value).is_some() {
            return Err(TWICE);
        }
    }
    Ok(found)
}

/// The progress token of a request's parameters.
pub(crate) fn progress_token(params: &str) -> Result<Option<&str>, Malformed> {
    let Some(meta) = member(params, "_meta")? else { return Ok(None) };
    match member(meta, "progressToken")? {
        Some(token) if is_id(token) => Ok(Some(token)),
        Some(_) => Err(Malformed::Invalid("`progressToken` must be a string or a number")),
        None => Ok(None),
    }
}

/// `text` with its part `part`, a slice of it, exchanged for `by`.
pub(crate) fn exchange(text: &str, part: &str, by: &str) -> String {
    let start = part.as_ptr().addr() - text.as_ptr().addr();
    let mut changed = String::with_capacity(text.len() + by.len());
    changed.push_str(&text[..start]);
    changed.push_str(by);
    changed.push_str(&text[start + part.len()..]);
    changed
}

/// A request, as a line for the child.
pub(crate) fn request(id: u64, method: &str, params: Option<&str>) -> Vec<u8> {
    request_as(&id.to_string(), method, params)
}

/// A request under an id that is JSON, as a line for the child.
pub(crate) fn request_as(id: &str, method: &str, params: Option<&str>) -> Vec<u8> {
    let mut line = begin(id.len() + method.len() + params.map_or(0, str::len));
    line.extend_from_slice(b",\"id\":");
    line.extend_from_slice(id.as_bytes());
    push_call(&mut line, method, params);
    line.push(b'\n');
    line
}

/// A notification, without a line feed.
pub(crate) fn notification(method: &str, params: Option<&str>) -> Vec<u8> {
    let mut message = begin(method.len() + params.map_or(0, str::len));
    push_call(&mut message, method, params);
    message
}

/// A response, without a line feed.
pub(crate) fn response(id: &str, outcome: Outcome<'_>) -> Vec<u8> {
    let (name, value) = match outcome {
        Outcome::Result(result) => ("result", result),
        Outcome::Error(error) => ("error", error),
    };
    let mut message = begin(id.len() + value.len());
    for text in [",\"id\":", id, ",\"", name, "\":"] {
        message.extend_from_slice(text.as_bytes());
    }
    push_single_line(&mut message, value);
    message.push(b'}');
    message
}

/// A response that says what went wrong here. Without an id if the request's could not be read.
pub(crate) fn error(id: Option<&str>, code: i32, message: &str) -> Vec<u8> {
    error_with(id, code, message, None)
}

/// The same with data for programs.
pub(crate) fn error_with(
    id: Option<&str>,
    code: i32,
    message: &str,
    data: Option<serde_json::Value>,
) -> Vec<u8> {
    let mut error = serde_json::json!({ "code": code, "message": message });
    if let Some(data) = data {
        error["data"] = data;
    }
    let error = error.to_string();
    response(id.unwrap_or("null"), Outcome::Error(&error))
}

fn begin(bytes: usize) -> Vec<u8> {
    let mut message = Vec::with_capacity(bytes + FRAME_BYTES);
    message.extend_from_slice(b"{\"jsonrpc\":\"2.0\"");
    message
}

fn push_call(message: &mut Vec<u8>, method: &str, params: Option<&str>) {
    message.extend_from_slice(b",\"method\":");
    serde_json::to_writer(&mut *message, method).expect("a string can be written to a vector");
    if let Some(params) = params {
        message.extend_from_slice(b",\"params\":");
        push_single_line(message, params);
    }
    message.push(b'}');
}

/// JSON has line breaks only between tokens, where a space is the same.
fn push_single_line(message: &mut Vec<u8>, json: &str) {
    let start = message.len();
    message.extend_from_slice(json.as_bytes());
    for byte in &mut message[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

#[cfg(test)]
mod tests;
