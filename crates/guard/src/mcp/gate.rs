//! Owns whether a request of a client is let through: what operators have laid down, and a server that is being drained.

use std::sync::Arc;

use super::problem::Problem;
use super::request::Accepts;
use super::{Arrivals, Call, begin, tool_name};
use crate::clock;
use crate::controls::{Ask, BlockKind, Controls, Refused};
use crate::envelope;
use crate::log::{About, Level};
use crate::reads::Hints;
use crate::session::Session;
use crate::state::Guard;

/// How often a request is looked at anew because the controls were changed meanwhile.
const LOOKS_MAX: usize = 8;

/// Passes a request on to the child, if that may be.
pub(super) async fn pass(
    guard: &Guard,
    session: &Arc<Session>,
    call: Call<'_>,
    accepts: Accepts,
) -> Result<Arrivals, Problem> {
    if guard.is_draining() {
        guard.metrics.refused(Refused::Draining);
        return Err(Problem::draining(guard));
    }
    for _ in 0..LOOKS_MAX {
        let controls = guard.controls.now();
        if controls.is_restricting() {
            check(guard, &controls, session, call).await?;
        }
        // Held from the last look until it is in the table: whoever changes them afterwards finds it there.
        let held = guard.controls.hold();
        if Arc::ptr_eq(&held, &controls) {
            return begin(guard, session, call, accepts);
        }
    }
    Err(Problem::overloaded(guard, "what is allowed changes all the time"))
}

/// Lets a client in, unless it is blocked or nobody is let in.
pub(super) fn admit(guard: &Guard, client: &str) -> Result<(), Problem> {
    if guard.is_draining() {
        guard.metrics.refused(Refused::Draining);
        return Err(Problem::draining(guard));
    }
    let controls = guard.controls.now();
    match controls.blocked(BlockKind::Client, client, clock::now_ms()) {
        Some(block) => {
            guard.metrics.refused(Refused::Client);
            Err(Problem::refused(block.to_string()))
        }
        None => Ok(()),
    }
}

async fn check(guard: &Guard, controls: &Controls, session: &Session, call: Call<'_>) -> Result<(), Problem> {
    let tool = call.params.and_then(tool_name);
    let (client, place) = (&*session.client, session.place);
    let ask = Ask { client, place, method: call.method, tool: tool.as_deref() };
    let is_read = match ask.tool {
        Some(tool) if controls.must_know(ask) => is_read(guard, tool).await,
        Some(_) | None => false,
    };
    let Some((refused, reason)) = controls.refusal(ask, is_read, clock::now_ms()) else { return Ok(()) };
    guard.metrics.refused(refused);
    let fields = [
        ("method", call.method.into()),
        ("tool", tool.into()),
        ("session", session.shown().into()),
        ("client", client.into()),
    ];
    guard.note(Level::Warning, About::Security, &format!("refused: {reason}"), fields);
    Err(Problem::refused(format!("server `{}`: {reason}", guard.settings.name)))
}

/// Whether a tool is known to only read.
async fn is_read(guard: &Guard, tool: &str) -> bool {
    let reads = &guard.settings.own.reads;
    if let Some(said) = reads.said(tool) {
        return said;
    }
    let Some(link) = guard.link() else { return false };
    match guard.catalogue.of(&link).await {
        Ok(listing) => reads.is_read(tool, listing.hints.of(tool)),
        Err(reason) => {
            let message =
                format!("tool `{tool}` counts as a write, because its server does not say: {reason}");
            guard.note(Level::Warning, About::System, &message, []);
            reads.is_read(tool, Hints::default().of(tool))
        }
    }
}

/// What a server has answered to `initialize`, with the promise that changes of its tools are announced: the guard
/// announces them. None where it has no tools, or promises it already.
pub(super) fn announcing(result: &str) -> Option<String> {
    let capabilities = envelope::member(result, "capabilities").ok()??;
    let tools = envelope::member(capabilities, "tools").ok()??;
    if !tools.starts_with('{') {
        return None;
    }
    match envelope::member(tools, "listChanged").ok()? {
        Some("true") => None,
        Some(other) => Some(envelope::exchange(result, other, "true")),
        None => {
            let rest = tools[1..].trim_start();
            let comma = if rest.starts_with('}') { "" } else { "," };
            Some(envelope::exchange(result, tools, &format!("{{\"listChanged\":true{comma}{rest}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::announcing;

    #[test]
    fn changes_of_tools_are_promised() {
        let with = |tools: &str| announcing(&format!("{{\"a\":1,\"capabilities\":{{\"tools\":{tools}}}}}"));
        let shown = |tools: &str| with(tools).map(|text| text.split_once("\"tools\":").unwrap().1.to_owned());
        for (tools, expect) in [
            ("{}", Some("{\"listChanged\":true}}}")),
            ("{ }", Some("{\"listChanged\":true}}}")),
            ("{\"x\":{}}", Some("{\"listChanged\":true,\"x\":{}}}}")),
            ("{\"listChanged\":false}", Some("{\"listChanged\":true}}}")),
            ("{\"listChanged\":true}", None),
            ("true", None),
        ] {
            assert_eq!(shown(tools).as_deref(), expect, "{tools}");
        }
        assert_eq!(announcing("{\"capabilities\":{}}"), None);
        assert_eq!(announcing("{}"), None);
    }
}
