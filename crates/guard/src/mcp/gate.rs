//! Owns whether a request of a client is let through: what operators have laid down, and a server that is being drained.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use threats::Class;

use super::problem::Problem;
use super::request::Accepts;
use super::stream::Arrivals;
use super::{Call, begin};
use crate::clock;
use crate::controls::{Ask, BlockKind, Controls, Refused};
use crate::envelope::{self, Incoming};
use crate::log::{About, Field, Level, clip};
use crate::security::Seen;
use crate::session::Session;
use crate::state::Guard;
use crate::taken::Taker;
use crate::unusual;

/// Names of clients are short; what is longer is not one.
const CLIENT_NAME_CHARS: usize = 120;
/// How often a request is looked at anew because the controls were changed meanwhile.
pub(crate) const LOOKS_MAX: usize = 8;

/// Passes a request on to the child, if that may be.
pub(super) async fn pass(
    guard: &Guard,
    session: &Arc<Session>,
    call: Call<'_>,
    accepts: Accepts,
) -> Result<Arrivals, Problem> {
    if guard.is_draining() {
        return Err(draining(guard));
    }
    let who = Asker { taker: session.taker(), place: session.place };
    let tool = call.params.and_then(tool_name);
    inspect(guard, who, tool.as_deref().filter(|_| call.method == "tools/call"), call.params).await?;
    for _ in 0..LOOKS_MAX {
        let controls = guard.controls.now();
        if controls.is_restricting() {
            check(guard, &controls, who, call.method, tool.as_deref()).await?;
        }
        // Held from the last look until it is in the table: whoever changes them afterwards finds it there.
        let held = guard.controls.hold();
        if Arc::ptr_eq(&held, &controls) {
            let extent = held.extent(clock::now_ms());
            return begin(guard, session, call, tool, accepts, extent);
        }
    }
    Err(Problem::overloaded(guard, "what is allowed changes all the time"))
}

/// Lets a client in, unless it is blocked or nobody is let in.
pub(crate) fn admit(guard: &Guard, client: &str) -> Result<(), Problem> {
    if guard.is_draining() {
        return Err(draining(guard));
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

/// Who asks, as far as the controls and the log are concerned.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) taker: Taker<'a>,
    pub(crate) place: u8,
}

/// What something is told of that shows signs of an attack.
#[derive(Clone, Copy)]
pub(crate) struct Told<'a> {
    /// Empty where it is no tool.
    pub(crate) tool: &'a str,
    /// What the client calls itself, and the beginning of its session's id; empty where it is the server's own doing.
    pub(crate) client: &'a str,
    pub(crate) session: &'a str,
}

/// Refuses what operators have forbidden.
pub(crate) async fn check(
    guard: &Guard,
    controls: &Controls,
    who: Asker<'_>,
    method: &str,
    tool: Option<&str>,
) -> Result<(), Problem> {
    let ask = Ask { client: who.taker.client, place: who.place, method, tool };
    let is_read = match tool {
        Some(tool) if controls.must_know(ask) => is_read(guard, tool).await,
        Some(_) | None => false,
    };
    let Some((refused, reason)) = controls.refusal(ask, is_read, clock::now_ms()) else { return Ok(()) };
    guard.metrics.refused(refused);
    unusual::refused(guard, who.taker, tool);
    let fields = [
        ("method", method.into()),
        ("tool", tool.into()),
        ("session", who.taker.session.into()),
        ("client", (**who.taker.client).into()),
    ];
    guard.note(Level::Warning, About::Security, &format!("refused: {reason}"), fields);
    Err(Problem::refused(format!("server `{}`: {reason}", guard.settings.name)))
}

/// Tells what the call of a tool shows of an attack, and refuses it where the settings say so.
pub(crate) async fn inspect(
    guard: &Guard,
    who: Asker<'_>,
    tool: Option<&str>,
    params: Option<&str>,
) -> Result<(), Problem> {
    let Some(tool) = tool else { return Ok(()) };
    let (own, controls) = (guard.own(), guard.controls.now());
    let approved = controls.approved.as_ref().map(|approved| &approved.tools);
    if approved.is_some() && own.security.block.contains(&Class::RugPull) {
        learn(guard).await;
    }
    unusual::called(guard, &own, who.taker, tool, params);
    let withheld = guard.tools().refusal(&own.security, approved, tool);
    let seen = own.security.in_call(tool, params);
    if let Some(seen) = &seen {
        tell(guard, seen, Told { tool, client: who.taker.client, session: who.taker.session });
    }
    let attack = |seen: Seen| Some((Refused::Attack, seen.refused?));
    let Some((refused, reason)) = withheld.or_else(|| attack(seen?)) else { return Ok(()) };
    guard.metrics.refused(refused);
    unusual::refused(guard, who.taker, Some(tool));
    Err(Problem::refused(format!("server `{}`: {reason}", guard.settings.name)))
}

/// Knows what the present server's tools are, whether a client has asked for them or not.
async fn learn(guard: &Guard) {
    let Some(server) = guard.asked() else { return };
    match guard.catalogue.of(&server).await {
        Ok(listing) => {
            if guard.tools().is_another(&listing) {
                listing.pages.iter().for_each(|page| drop(inspect_list(guard, page)));
            }
        }
        Err(reason) => {
            let message = format!("its tools cannot be held to those that were approved: {reason}");
            guard.note(Level::Warning, About::Security, &message, []);
        }
    }
}

/// Tells what a list of the server's tools shows of an attack. Returns the names of those that are withheld.
pub(crate) fn inspect_list(guard: &Guard, result: &str) -> BTreeSet<String> {
    let (own, controls) = (guard.own(), guard.controls.now());
    let approved = controls.approved.as_ref().map(|approved| &approved.tools);
    let mut tools = guard.tools();
    for (tool, seen) in tools.listed(&own.security, approved, result) {
        tell(guard, &seen, Told { tool: &tool, client: "", session: "" });
        if seen.refused.is_some() {
            guard.metrics.refused(Refused::Attack);
        }
    }
    tools.withheld(&own.security, approved)
}

/// Writes down what shows signs of an attack, and counts it.
pub(crate) fn tell(guard: &Guard, seen: &Seen, told: Told<'_>) {
    guard.metrics.signs(seen);
    let said = |text: &str| Some(text).filter(|text| !text.is_empty()).map_or(Value::Null, Value::from);
    let fields = [
        ("tool", said(told.tool)),
        ("class", seen.signs[0].class.name().into()),
        ("rule", seen.signs[0].rule.into()),
        ("session", said(told.session)),
        ("client", said(told.client)),
    ];
    guard.note(Level::Warning, About::Security, &seen.words(), fields);
}

/// Says that no new requests are taken.
pub(crate) fn draining(guard: &Guard) -> Problem {
    guard.metrics.refused(Refused::Draining);
    Problem::draining(guard)
}

/// Whether a tool is known to only read.
async fn is_read(guard: &Guard, tool: &str) -> bool {
    let own = guard.own();
    let reads = &own.reads;
    if let Some(said) = reads.said(tool) {
        return said;
    }
    let Some(server) = guard.asked() else { return false };
    match guard.catalogue.of(&server).await {
        Ok(listing) => reads.is_read(tool, listing.hints.of(tool)),
        Err(reason) => {
            let message =
                format!("tool `{tool}` counts as a write, because its server does not say: {reason}");
            guard.note(Level::Warning, About::System, &message, []);
            reads.is_read(tool, false)
        }
    }
}

/// Written before it is carried out: it may be the last thing that the server is asked.
pub(crate) fn note_call(guard: &Guard, session: &str, tool: &str) {
    let fields = [
        ("method", Field::Word("tools/call")),
        ("session", Field::Text(session)),
        ("tool", Field::Text(tool)),
    ];
    guard.log.write(Level::Info, About::Request, "tools/call", fields);
}

/// The name of the tool that is called.
pub(crate) fn tool_name(params: &str) -> Option<String> {
    envelope::text(envelope::member(params, "name").ok()??).map(Cow::into_owned)
}

/// What a client calls itself, as far as a name should be long.
pub(crate) fn client_name(params: &str) -> Option<String> {
    let info = envelope::member(params, "clientInfo").ok()??;
    let name: String = serde_json::from_str(envelope::member(info, "name").ok()??).ok()?;
    Some(clip(&name.replace(char::is_control, " "), CLIENT_NAME_CHARS))
}

/// The same of a whole `initialize`.
pub(crate) fn client_name_of(body: &[u8]) -> Option<String> {
    match envelope::parse(body) {
        Ok(Incoming::Request { params, .. }) => client_name(params?),
        _ => None,
    }
}

/// What a server has answered to `initialize`, with the promise that changes of its tools are announced: the guard
/// announces them. None where it has no tools, or promises it already.
pub(crate) fn announcing(result: &str) -> Option<String> {
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
