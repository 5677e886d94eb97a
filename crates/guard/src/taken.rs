//! Owns asking the limits for one request, and what a client hears where it is over one.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use crate::controls::Refused;
use crate::envelope::{Outcome, SERVER_ERROR};
use crate::limits::{Reached, Slot, of_address};
use crate::log::{About, Level};
use crate::mcp::problem::Problem;
use crate::own::Own;
use crate::state::Guard;
use crate::unusual;

/// Who takes something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taker<'a> {
    /// Who it has shown to be, if it has.
    pub(crate) user: Option<&'a Arc<str>>,
    pub(crate) address: Option<IpAddr>,
    /// What it calls itself.
    pub(crate) client: &'a Arc<str>,
    /// The beginning of the session's id.
    pub(crate) session: &'a str,
}

// === impl Taker ===

impl Taker<'_> {
    /// Who it is, as far as that is not its own choice: the token that it has shown, or its address.
    pub(crate) fn key(&self) -> Cow<'_, str> {
        match (self.user, self.address) {
            (Some(user), _) => Cow::Borrowed(&**user),
            (None, Some(address)) => Cow::Owned(of_address(address)),
            (None, None) => Cow::Borrowed(""),
        }
    }
}

/// Takes the place and the tokens that one request needs; none where nothing is limited.
pub(crate) fn take(
    guard: &Guard,
    own: &Own,
    taker: Taker<'_>,
    method: &str,
    tool: Option<&str>,
) -> Result<Option<Slot>, Problem> {
    // Whoever asks whether somebody is there is told so.
    if method == "ping" {
        return Ok(None);
    }
    let controls = guard.controls.now();
    let limits = controls.limits(&own.limits);
    if !limits.counts() {
        return Ok(None);
    }
    guard.held.take(&limits, &taker.key(), tool, Instant::now()).map_err(|reached| {
        note(guard, &reached, taker, method, tool);
        let reason = format!("server `{}`: {}", guard.settings.name, reached.words);
        Problem::limited(reason, reached.limit, reached.again)
    })
}

/// A client that is over its limit comes again and again: its lines would fill the log, so only some are written.
fn note(guard: &Guard, reached: &Reached, taker: Taker<'_>, method: &str, tool: Option<&str>) {
    unusual::refused(guard, taker, tool);
    let rate = reached.again.is_some();
    guard.metrics.refused(if rate { Refused::Rate } else { Refused::Concurrency });
    let Some(unsaid) = guard.held.say(Instant::now()) else { return };
    let fields = [
        ("limit", reached.limit.into()),
        ("method", method.into()),
        ("tool", tool.into()),
        ("session", taker.session.into()),
        ("client", (**taker.client).into()),
        ("user", taker.user.map_or(Value::Null, |user| (**user).into())),
        ("address", taker.address.map_or(Value::Null, |address| address.to_string().into())),
        ("unsaid_before", json!(unsaid)),
    ];
    guard.note(Level::Warning, About::Performance, &format!("refused: {}", reached.words), fields);
}

/// The error in the place of an answer that is longer than may be; none where it is not.
pub(crate) fn too_long(guard: &Guard, outcome: Outcome<'_>) -> Option<String> {
    let Outcome::Result(result) = outcome else { return None };
    let most = guard.own().limits.answer_bytes?;
    if result.len() <= most {
        return None;
    }
    guard.metrics.refused(Refused::Size);
    let name = &guard.settings.name;
    let message = format!(
        "server `{name}`: the answer has {} bytes, and may have {most}; it was carried out, ask for less",
        result.len()
    );
    let data = json!({ "limit": "answer_bytes", "retry_after_ms": null });
    Some(json!({ "code": SERVER_ERROR, "message": message, "data": data }).to_string())
}
