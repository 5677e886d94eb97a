//! Owns whether an answer may go to its client: not where it gives a secret away, and the settings say that such ones stay.
//!
//! Answers are only looked at where `results` of `[security]` says so. Whoever waits is told why it gets none: the request
//! was carried out, and what the server has said goes nowhere, also not into the log.

use serde_json::json;
use threats::Class;

use crate::controls::Refused;
use crate::envelope::{Outcome, SERVER_ERROR};
use crate::mcp::gate::{Told, tell};
use crate::metrics::Method;
use crate::state::Guard;

/// The answer to what; nothing is known where nobody waits for it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Answering<'a> {
    pub(crate) method: Option<Method>,
    pub(crate) tool: Option<&'a str>,
    pub(crate) client: &'a str,
    pub(crate) session: &'a str,
}

/// The error in the place of an answer that stays here; none where it goes on. What is seen in it is told.
pub(crate) fn held_back(guard: &Guard, answering: Answering<'_>, outcome: Outcome<'_>) -> Option<String> {
    let own = guard.own();
    let seen = own.security.in_result(answering.method, outcome)?;
    let Answering { tool, client, session, .. } = answering;
    tell(guard, &seen, Told { tool: tool.unwrap_or_default(), client, session });
    let reason = seen.refused?;
    guard.metrics.refused(Refused::Attack);
    Some(error(&format!("server `{}`: {reason}", guard.settings.name)))
}

/// Whether what cannot be read along stays here.
pub(crate) fn holds_unread(guard: &Guard) -> bool {
    guard.own().security.refuses_results()
}

/// Why an answer stays here that cannot be read along.
pub(crate) fn unread(guard: &Guard, why: &str) -> String {
    let name = &guard.settings.name;
    format!("server `{name}`: its answer is not passed on, because nobody can say what is in it: {why}")
}

/// The error that says so, as JSON.
pub(crate) fn error(words: &str) -> String {
    json!({ "code": SERVER_ERROR, "message": words }).to_string()
}

/// Whether the text of a refusal by the server gives something away that stays here.
pub(crate) fn gives_away(guard: &Guard, text: &str) -> bool {
    let own = guard.own();
    own.security.refuses_results()
        && threats::in_result(text)
            .iter()
            .any(|sign| sign.class == Class::SecretExposure && sign.certainty == threats::Certainty::Certain)
}
