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
//! `bytes_in`, `bytes_out`, `trace_id` (where the client has named one, or the trace is kept). Arguments are hidden as `paramedic logs` hides secrets, and cut off at 2,000 characters.

mod line;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::envelope;
use crate::log::{Field, clip};
use crate::spans::Part;
use crate::taken::Taker;

pub(crate) use line::{Line, SLOW, Summary};

/// As much as helps to understand a call.
const ARGUMENTS_CHARS: usize = 2000;
/// Longer arguments are not even read.
const ARGUMENTS_BYTES_MAX: usize = 64 << 10;
/// Which tools are meant by it: all.
const ALL: &str = "*";

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
    pub(crate) client: Arc<str>,
    /// Who has asked, where that was shown.
    pub(crate) user: Option<Arc<str>>,
    pub(crate) address: Option<IpAddr>,
    /// How long the message was.
    pub(crate) bytes: usize,
    /// What it is part of.
    pub(crate) part: Part,
    /// As JSON, with secrets hidden; none where they are not asked for.
    pub(crate) arguments: Option<Box<str>>,
}

/// Of which calls the arguments are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Of those that the settings name.
    AsSet,
    /// Of all.
    All,
}

// === impl Audit, Asked ===

impl Audit {
    /// The arguments of a call as they may stand in the log; none where they may not.
    pub(crate) fn shown(&self, extent: Extent, tool: &str, params: &str) -> Option<Box<str>> {
        if extent == Extent::AsSet && !(self.arguments.contains(tool) || self.arguments.contains(ALL)) {
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
        Self { client: Arc::clone(taker.client), user, address, ..Self::default() }
    }

    /// The same as fields of a line.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'static str, Field<'_>)> {
        let fields = [
            ("client", Some(&*self.client).filter(|client| !client.is_empty()).map(Field::Text)),
            ("user", self.user.as_deref().map(Field::Text)),
            ("address", self.address.map(Field::Address)),
            ("bytes_in", (self.bytes > 0).then_some(Field::Count(self.bytes as u64))),
            ("arguments", self.arguments.as_deref().map(Field::Text)),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Audit, Extent};

    #[test]
    fn arguments_are_written_down_where_asked_and_without_secrets() {
        let params =
            r#"{"name":"a","arguments":{"q":"x","Patient":{"n":1},"api_key":"k","l":[{"patient":2}]}}"#;
        assert_eq!(Audit::default().shown(Extent::AsSet, "a", params), None);
        let some = |tools: &[&str]| Audit {
            arguments: tools.iter().map(ToString::to_string).collect(),
            hide: ["patient".to_owned()].into(),
        };
        assert_eq!(some(&["b"]).shown(Extent::AsSet, "a", params), None);
        let expect =
            r#"{"Patient":"[REDACTED]","api_key":"[REDACTED]","l":[{"patient":"[REDACTED]"}],"q":"x"}"#;
        assert_eq!(some(&["a"]).shown(Extent::AsSet, "a", params).as_deref(), Some(expect));
        assert_eq!(some(&["*"]).shown(Extent::AsSet, "a", params).as_deref(), Some(expect));
        assert_eq!(some(&["b"]).shown(Extent::All, "a", params).as_deref(), Some(expect));
        assert_eq!(some(&["*"]).shown(Extent::AsSet, "a", "{}"), None);
        let long = format!("{{\"arguments\":\"{}\"}}", "x".repeat(3000));
        assert!(some(&["*"]).shown(Extent::AsSet, "a", &long).unwrap().len() < 2010);
    }
}
