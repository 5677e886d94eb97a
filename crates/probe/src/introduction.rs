//! Owns asking a stranger whether it speaks MCP: one `initialize`, and the end of the session that it may have made.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout_at;

use crate::mcp::{Answer, SESSION, accepting, initialize};
use crate::prober::{Deadline, Prober};
use crate::reason;

/// What a server says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Introduction {
    /// Its name, as it gives it: any text, without control characters.
    pub name: Option<String>,
    /// Its version, in the same way.
    pub version: Option<String>,
}

// === impl Prober ===

impl Prober {
    /// Asks whether MCP is spoken at `url`. Only the result of `initialize` with a protocol version counts: other
    /// services answer JSON-RPC too, with an error.
    ///
    /// Takes no longer than `deadline`, and up to a second more where a session is to be ended.
    pub async fn introduce(&self, url: &str, deadline: Duration) -> Option<Introduction> {
        let mut headers = accepting();
        let within = Deadline::after(deadline);
        let asked = timeout_at(within.at, self.call(url, &headers, 1, "initialize", initialize())).await;
        let reply = asked.ok()?.ok()?;
        if let Some(session) = reply.session {
            headers.insert(SESSION, session);
        }
        self.end_session(url, headers, Deadline::after(deadline)).await;
        match reply.answer {
            Answer::Result(result) => Introduction::of(&result),
            Answer::Error { .. } => None,
        }
    }
}

// === impl Introduction ===

impl Introduction {
    fn of(result: &Value) -> Option<Self> {
        result.get("protocolVersion")?.as_str()?;
        let said = |key| {
            let text = result.get("serverInfo")?.get(key)?.as_str()?;
            Some(reason::tidy(text)).filter(|text| !text.is_empty())
        };
        Some(Self { name: said("name"), version: said("version") })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Introduction;

    #[track_caller]
    fn check(result: &Value, expect: Option<(Option<&str>, Option<&str>)>) {
        let found = Introduction::of(result);
        let expect = expect.map(|(name, version)| Introduction {
            name: name.map(str::to_owned),
            version: version.map(str::to_owned),
        });
        assert_eq!(found, expect, "{result}");
    }

    #[test]
    fn a_protocol_version_makes_a_server() {
        let info = json!({"name": "time", "version": "1.2"});
        check(
            &json!({"protocolVersion": "2025-06-18", "serverInfo": info}),
            Some((Some("time"), Some("1.2"))),
        );
        check(&json!({"protocolVersion": "2025-06-18", "serverInfo": {"name": 7}}), Some((None, None)));
        check(&json!({"protocolVersion": "2025-06-18"}), Some((None, None)));
        check(&json!({"protocolVersion": 1}), None);
        check(&json!({"serverInfo": info}), None);
        check(&json!("2025-06-18"), None);
        check(&Value::Null, None);
    }
}
