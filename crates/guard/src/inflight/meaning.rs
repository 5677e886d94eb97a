//! Owns what an answer means: for the metrics, and for who may not call all tools.

use serde_json::json;

use crate::controls::Ask;
use crate::envelope::{self, Outcome, SERVER_ERROR};
use crate::mcp::gate::inspect_list;
use crate::metrics::{Failure, Method, Status};
use crate::state::Guard;
use crate::{clock, reads};

/// What a finished request means for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Fine,
    Failed(Failure),
    /// It failed because of something that is counted elsewhere.
    Lost,
}

// === impl Meaning ===

impl Meaning {
    pub(crate) fn status(self) -> Status {
        if self == Self::Fine { Status::Success } else { Status::Error }
    }

    /// What OpenTelemetry calls the error; nothing where it went well.
    pub(crate) fn error_type(self) -> &'static str {
        match self {
            Self::Fine => "",
            Self::Failed(Failure::Tool) => "tool_error",
            Self::Failed(failure) => failure.name(),
            Self::Lost => "_OTHER",
        }
    }
}

/// What the answer to a request means.
pub(crate) fn meaning(method: Method, outcome: Outcome<'_>) -> Meaning {
    match outcome {
        Outcome::Result(result) if method == Method::TOOLS_CALL => {
            match envelope::member(result, "isError") {
                Ok(Some("true")) => Meaning::Failed(Failure::Tool),
                Ok(_) | Err(_) => Meaning::Fine,
            }
        }
        Outcome::Result(_) => Meaning::Fine,
        Outcome::Error(_) if method == Method::TOOLS_CALL => Meaning::Failed(Failure::Tool),
        Outcome::Error(error) => match envelope::member(error, "code") {
            Ok(Some("-32700" | "-32600" | "-32601" | "-32602")) => Meaning::Failed(Failure::Protocol),
            Ok(_) | Err(_) => Meaning::Failed(Failure::Internal),
        },
    }
}

/// Whose session it is, as far as the controls are concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who<'a> {
    pub(crate) client: &'a str,
    pub(crate) place: u8,
}

/// The tools without those that this session may not call now; none where it may call all.
pub(crate) fn narrowed(
    guard: &Guard,
    method: Method,
    who: Who<'_>,
    outcome: Outcome<'_>,
) -> Option<Result<String, String>> {
    let Outcome::Result(result) = outcome else { return None };
    if method != Method::TOOLS_LIST {
        return None;
    }
    let (controls, withheld) = (guard.controls.now(), inspect_list(guard, result));
    if !controls.is_restricting() && withheld.is_empty() {
        return None;
    }
    let (now_ms, own) = (clock::now_ms(), guard.own());
    let may = |tool: &str, hint: bool| {
        let ask = Ask { client: who.client, place: who.place, method: "tools/call", tool: Some(tool) };
        !withheld.contains(tool) && controls.refusal(ask, own.reads.is_read(tool, hint), now_ms).is_none()
    };
    let narrowed = reads::narrowed(result, may);
    let error = || json!({ "code": SERVER_ERROR, "message": "the server's list of tools is not understood" });
    Some(narrowed.ok_or_else(|| error().to_string()))
}
