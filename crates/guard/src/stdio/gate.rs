//! Owns what is not let through between a client and its server because an operator has said so.
//!
//! Without anything laid down every frame goes through as it is. With it, a request that may write is answered with an
//! error, a list of tools shows those that may be called, and what cannot be read along is withheld: it may be anything.
//! What the server says of its tools is learned from the lists that its client asks for.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use threats::{Asking, Usage};

use crate::audit::Extent;
use crate::controls::{Ask, BlockKind, EVERYBODY, Kept, Refused};
use crate::envelope::{self, Outcome, SERVER_ERROR};
use crate::metrics::Method;
use crate::own::Own;
use crate::reads::{self, Hints, Reads};
use crate::security::{SecuritySettings, Seen, Tools};
use crate::session::place;
use crate::unusual;

/// What names the client in a request of the era without a handshake.
const CLIENT: &str = "io.modelcontextprotocol/clientInfo";

/// There is one client at a pipe.
const CLIENT_AT_PIPE: &str = "stdio";

/// What stands between the two.
#[derive(Debug)]
pub(crate) struct Gate {
    kept: Arc<Kept>,
    reads: Reads,
    hints: Hints,
    /// What the client calls itself.
    client: String,
    /// Its place in a ramp of writes, 0 to 99.
    place: u8,
    /// The wall clock, in milliseconds since 1970.
    now_ms: fn() -> i64,
    security: SecuritySettings,
    tools: Tools,
    /// What the client has asked for lately.
    usage: Usage,
    /// What was seen in tools, and is not told yet.
    untold: Vec<(String, Seen)>,
}

// === impl Gate ===

impl Gate {
    /// `word` is random: it decides from which percentage on the client may write.
    pub(crate) fn new(kept: Arc<Kept>, own: &Own, word: u128, now_ms: fn() -> i64) -> Self {
        let (reads, security) = (own.reads.clone(), own.security.clone());
        let (hints, client, place, tools) = (Hints::default(), String::new(), place(word), Tools::default());
        let usage = Usage::default();
        Self { kept, reads, hints, client, place, now_ms, security, tools, usage, untold: Vec::new() }
    }

    #[cfg(test)]
    pub(crate) fn kept(&self) -> &Arc<Kept> {
        &self.kept
    }

    /// Whether something may not come through, so that what cannot be read may not either.
    pub(crate) fn is_restricting(&self) -> bool {
        self.kept.hold().is_restricting() || !self.security.block.is_empty()
    }

    /// What the call of a tool shows of an attack, and why it is refused, where it is.
    pub(crate) fn inspect(
        &self,
        tool: &str,
        params: Option<&str>,
    ) -> (Option<Seen>, Option<(Refused, String)>) {
        let seen = self.security.in_call(tool, params);
        let controls = self.kept.hold();
        let approved = controls.approved.as_ref().map(|approved| &approved.tools);
        let withheld = self.tools.refusal(&self.security, approved, tool);
        let refused = withheld.or_else(|| Some((Refused::Attack, seen.as_ref()?.refused.clone()?)));
        (seen, refused)
    }

    /// What is unusual in how much the client asks for, with this call.
    pub(crate) fn called(&mut self, tool: &str, params: Option<&str>, now: Instant) -> Option<Seen> {
        let asking = Asking { tool, arguments: unusual::arguments(params) };
        Seen::likely(self.usage.called(&self.security.usual, CLIENT_AT_PIPE, asking, now))
    }

    /// The same with a refusal.
    pub(crate) fn refused(&mut self, now: Instant) -> Option<Seen> {
        let sign = self.usage.refused(&self.security.usual, CLIENT_AT_PIPE, now);
        Seen::likely(sign.into_iter().collect())
    }

    /// What an answer shows, and how unusual it is.
    pub(crate) fn answered(
        &mut self,
        method: Option<Method>,
        outcome: Outcome<'_>,
        now: Instant,
    ) -> (Option<Seen>, Option<Seen>) {
        let (Outcome::Result(json) | Outcome::Error(json)) = outcome;
        let sign = self.usage.answered(&self.security.usual, CLIENT_AT_PIPE, json.len(), now);
        (self.security.in_result(method, outcome), Seen::likely(sign.into_iter().collect()))
    }

    /// Whether answers stay here that give a secret away, and so those that cannot be read.
    pub(crate) fn refuses_results(&self) -> bool {
        self.security.refuses_results()
    }

    /// What was seen in the tools that the server has listed, once.
    pub(crate) fn take_seen(&mut self) -> Vec<(String, Seen)> {
        std::mem::take(&mut self.untold)
    }

    /// What is laid down, in words.
    pub(crate) fn restriction(&self) -> Option<String> {
        self.kept.hold().restriction((self.now_ms)())
    }

    /// What is written down of calls.
    pub(crate) fn extent(&self) -> Extent {
        self.kept.hold().extent((self.now_ms)())
    }

    /// The client says who it is.
    pub(crate) fn meets(&mut self, params: Option<&str>) {
        self.client = params.and_then(|params| name_in(params, "clientInfo")).unwrap_or_default();
    }

    /// What the client calls itself.
    pub(crate) fn client(&self) -> &str {
        &self.client
    }

    /// Why a request of the client is refused, if it is.
    pub(crate) fn refusal(
        &self,
        method: &str,
        params: Option<&str>,
        tool: Option<&str>,
    ) -> Option<(Refused, String)> {
        let controls = self.kept.hold();
        if !controls.is_restricting() {
            return None;
        }
        if let Some(block) = controls.blocked(BlockKind::Everybody, EVERYBODY, (self.now_ms)()) {
            return Some((Refused::Everybody, block.to_string()));
        }
        let meta = || name_in(envelope::member(params?, "_meta").ok()??, CLIENT);
        let named = if self.client.is_empty() { meta() } else { None };
        let client = named.as_deref().unwrap_or(&self.client);
        let ask = Ask { client, place: self.place, method, tool };
        let is_read = tool.is_some_and(|tool| self.is_read(tool));
        controls.refusal(ask, is_read, (self.now_ms)())
    }

    /// Whether a tool is known to only read.
    pub(crate) fn is_read(&self, tool: &str) -> bool {
        self.reads.is_read(tool, self.hints.of(tool))
    }

    /// The server has listed tools: learns of them, and says what is to be shown in place of that; none where it is shown
    /// as it is.
    pub(crate) fn listed(&mut self, result: &str) -> Option<Result<String, String>> {
        self.hints.learn(result);
        let controls = self.kept.hold();
        let approved = controls.approved.as_ref().map(|approved| &approved.tools);
        self.untold.extend(self.tools.listed(&self.security, approved, result));
        let withheld = self.tools.withheld(&self.security, approved);
        if !controls.is_restricting() && withheld.is_empty() {
            return None;
        }
        let may = |tool: &str, hint: bool| {
            let ask = Ask { client: &self.client, place: self.place, method: "tools/call", tool: Some(tool) };
            !withheld.contains(tool)
                && controls.refusal(ask, self.reads.is_read(tool, hint), (self.now_ms)()).is_none()
        };
        let error =
            || json!({ "code": SERVER_ERROR, "message": "the server's list of tools is not understood" });
        Some(reads::narrowed(result, may).ok_or_else(|| error().to_string()))
    }

    /// What is known of the tools holds no more.
    pub(crate) fn forget(&mut self) {
        self.hints.forget();
    }
}

fn name_in(object: &str, member: &str) -> Option<String> {
    let info = envelope::member(object, member).ok()??;
    serde_json::from_str(envelope::member(info, "name").ok()??).ok()
}
