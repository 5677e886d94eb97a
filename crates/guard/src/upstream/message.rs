//! Owns what of a client's messages has to be understood before they are passed on.

use std::borrow::Cow;

use crate::envelope::{self, INVALID_REQUEST, Incoming, PARSE_ERROR};
use crate::mcp::gate;

/// A message of a client, as far as it has to be understood.
pub(super) struct Message<'a> {
    /// Of a request, as JSON; none of anything else.
    pub(super) id: Option<&'a str>,
    pub(super) method: Cow<'a, str>,
    pub(super) tool: Option<String>,
    pub(super) params: Option<&'a str>,
}

/// The messages of a body: one, or those of a batch.
pub(super) fn read(body: &[u8]) -> Result<Vec<Message<'_>>, (i32, &'static str)> {
    // Nearly every body is one message, whose text is checked where it is read.
    if body.trim_ascii_start().starts_with(b"{") {
        return Ok(vec![one(body)?]);
    }
    let texts = crate::stdio::messages(body).map_err(|reason| (PARSE_ERROR, reason))?;
    texts.into_iter().map(|text| one(text.as_bytes())).collect()
}

fn one(text: &[u8]) -> Result<Message<'_>, (i32, &'static str)> {
    match envelope::parse(text) {
        Ok(Incoming::Request { id, method, params }) => Ok(Message {
            id: Some(id),
            tool: params.filter(|_| method == "tools/call").and_then(gate::tool_name),
            method,
            params,
        }),
        Ok(Incoming::Notification { method, .. }) => {
            Ok(Message { id: None, method, tool: None, params: None })
        }
        Ok(Incoming::Response { .. }) => {
            Ok(Message { id: None, method: Cow::Borrowed(""), tool: None, params: None })
        }
        Err(_) => Err((INVALID_REQUEST, "it is no message of JSON-RPC")),
    }
}
