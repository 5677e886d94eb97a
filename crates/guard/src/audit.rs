//! Owns what the log says of each request: who has asked what of whom, what came of it, and what it is part of.
//!
//! ```toml
//! [audit]
//! arguments = ["search"]        # tools whose arguments stand in the log; ["*"] for all
//! hide = ["patient"]            # members of arguments whose values do not, beside those whose names are those of secrets
//! ```
//!
//! One line per request, when it is over: `event` is `response`, `performance` (it took 5 s) or `error`, with `method`,
//! `tool`, `outcome` (`success`, `error`), `duration_ms`, `session`, `client` (what it calls itself), `user` (who it has shown to be), `address`,
//! `bytes_in`, `bytes_out`, `trace_id`. Arguments are hidden as `paramedic logs` hides secrets, and cut off at 2,000 characters.

mod line;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

use crate::envelope;
use crate::log::clip;
use crate::taken::Taker;

pub(crate) use line::{Line, Summary};

/// As much as helps to understand a call.
const ARGUMENTS_CHARS: usize = 2000;
/// Longer arguments are not even read.
const ARGUMENTS_BYTES_MAX: usize = 64 << 10;
/// Which tools are meant by it: all.
const ALL: &str = "*";
/// Where clients say what a request is part of.
const PARENT: &str = "traceparent";

/// What stands in the log of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// Tools whose arguments are written down; `*` is all.
    pub arguments: BTreeSet<String>,
    /// Members of arguments whose values are not, in any case of letters.
    pub hide: BTreeSet<String>,
}

/// What is known of a request when it comes, for its line in the log.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// What the client calls itself.
    pub(crate) client: Box<str>,
    /// Who has asked, where that was shown.
    pub(crate) user: Option<Arc<str>>,
    pub(crate) address: Option<IpAddr>,
    /// How long the message was.
    pub(crate) bytes: usize,
    /// 32 hexadecimal digits.
    pub(crate) trace_id: Option<Box<str>>,
    /// As JSON, with secrets hidden; none where they are not asked for.
    pub(crate) arguments: Option<Box<str>>,
}

// === impl Audit, Asked ===

impl Audit {
    /// The arguments of a call as they may stand in the log; none where they may not.
    pub(crate) fn shown(&self, tool: &str, params: &str) -> Option<Box<str>> {
        if self.arguments.is_empty() || !(self.arguments.contains(tool) || self.arguments.contains(ALL)) {
            return None;
        }
        let arguments = envelope::member(params, "arguments").ok()??;
        if arguments.len() > ARGUMENTS_BYTES_MAX {
            return Some(format!("({} bytes)", arguments.len()).into());
        }
        let mut arguments: Value = serde_json::from_str(arguments).ok()?;
        self.hide(&mut arguments);
        logs::redact::json(&mut arguments);
        Some(clip(&arguments.to_string(), ARGUMENTS_CHARS).into())
    }

    /// As deep as serde_json reads, which is 128.
    fn hide(&self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.hide(item)),
            Value::Object(fields) => {
                for (name, field) in fields {
                    if self.hide.iter().any(|hidden| hidden.eq_ignore_ascii_case(name)) {
                        *field = logs::redact::REDACTED.into();
                    } else {
                        self.hide(field);
                    }
                }
            }
            _ => {}
        }
    }
}

impl Asked {
    /// What is known of whoever asks.
    pub(crate) fn of(taker: Taker<'_>) -> Self {
        let (user, address) = (taker.user.cloned(), taker.address);
        Self { client: taker.client.into(), user, address, ..Self::default() }
    }

    /// The same as fields of a line.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let text = |text: &str| (!text.is_empty()).then(|| Value::from(text));
        let fields = [
            ("client", text(&self.client)),
            ("user", self.user.as_deref().map(Value::from)),
            ("address", self.address.map(|address| address.to_string().into())),
            ("bytes_in", (self.bytes > 0).then(|| self.bytes.into())),
            ("trace_id", self.trace_id.as_deref().map(Value::from)),
            ("arguments", self.arguments.as_deref().map(Value::from)),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}

/// The trace that a request is part of: by `_meta.traceparent` of its parameters, or else by the header.
pub(crate) fn trace_id(params: Option<&str>, headers: &HeaderMap) -> Option<Box<str>> {
    // Nearly no request has one, and looking for a word is quicker than reading.
    let has = |params: &&str| memchr::memmem::find(params.as_bytes(), PARENT.as_bytes()).is_some();
    let meta = params.filter(has).and_then(|params| {
        let meta = envelope::member(params, "_meta").ok()??;
        envelope::member(meta, PARENT).ok()??.strip_prefix('"')?.strip_suffix('"')
    });
    let said = meta.or_else(|| headers.get(PARENT).and_then(|value| value.to_str().ok()));
    said.and_then(trace_of).map(Into::into)
}

/// The trace of a W3C `traceparent`: `00-TRACE-SPAN-FLAGS`.
fn trace_of(parent: &str) -> Option<&str> {
    let mut parts = parent.split('-');
    let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_one = is_hex(version, 2) && version != "ff" && is_hex(trace, 32) && is_hex(span, 16);
    (is_one && trace.bytes().any(|byte| byte != b'0')).then_some(trace)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::{Audit, trace_id};

    #[test]
    fn a_trace_is_taken_from_the_request_or_its_head() {
        let (one, other) = ("4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c");
        let parent = |trace: &str| format!("00-{trace}-00f067aa0ba902b7-01");
        let params = |parent: &str| format!("{{\"name\":\"a\",\"_meta\":{{\"traceparent\":\"{parent}\"}}}}");
        let mut headers = HeaderMap::new();
        assert_eq!(trace_id(Some(&params(&parent(one))), &headers).as_deref(), Some(one));
        headers.insert("traceparent", HeaderValue::from_str(&parent(other)).unwrap());
        assert_eq!(trace_id(Some(&params(&parent(one))), &headers).as_deref(), Some(one));
        assert_eq!(trace_id(Some("{\"name\":\"traceparent\"}"), &headers).as_deref(), Some(other));
        assert_eq!(trace_id(None, &headers).as_deref(), Some(other));
        for wrong in ["", "00", "00-1-2-3", &parent(&"0".repeat(32)), &parent(&"G".repeat(32)), "ff-x-y-z"] {
            assert_eq!(trace_id(Some(&params(wrong)), &HeaderMap::new()), None, "{wrong}");
        }
    }

    #[test]
    fn arguments_are_written_down_where_asked_and_without_secrets() {
        let params =
            r#"{"name":"a","arguments":{"q":"x","Patient":{"n":1},"api_key":"k","l":[{"patient":2}]}}"#;
        assert_eq!(Audit::default().shown("a", params), None);
        let some = |tools: &[&str]| Audit {
            arguments: tools.iter().map(ToString::to_string).collect(),
            hide: ["patient".to_owned()].into(),
        };
        assert_eq!(some(&["b"]).shown("a", params), None);
        let expect =
            r#"{"Patient":"[REDACTED]","api_key":"[REDACTED]","l":[{"patient":"[REDACTED]"}],"q":"x"}"#;
        assert_eq!(some(&["a"]).shown("a", params).as_deref(), Some(expect));
        assert_eq!(some(&["*"]).shown("a", params).as_deref(), Some(expect));
        assert_eq!(some(&["*"]).shown("a", "{}"), None);
        let long = format!("{{\"arguments\":\"{}\"}}", "x".repeat(3000));
        assert!(some(&["*"]).shown("a", &long).unwrap().len() < 2010);
    }
}
