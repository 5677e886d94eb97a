//! Owns what of a client's messages has to be understood before they are passed on.

use crate::envelope::{self, INVALID_REQUEST, Incoming, PARSE_ERROR};
use crate::mcp::gate;

/// A message of a client, as far as it has to be understood.
pub(super) struct Message<'a> {
    pub(super) kind: Kind,
    pub(super) method: String,
    pub(super) tool: Option<String>,
    pub(super) params: Option<&'a str>,
}

pub(super) enum Kind {
    /// With its id, as JSON.
    Request(String),
    Other,
}

// === impl Message ===

impl Message<'_> {
    pub(super) fn request_id(&self) -> Option<&str> {
        match &self.kind {
            Kind::Request(id) => Some(id),
            Kind::Other => None,
        }
    }
}

/// The messages of a body: one, or those of a batch.
pub(super) fn read(body: &[u8]) -> Result<Vec<Message<'_>>, (i32, &'static str)> {
    let texts = crate::stdio::messages(body).map_err(|reason| (PARSE_ERROR, reason))?;
    fn one(text: &str) -> Result<Message<'_>, (i32, &'static str)> {
        match envelope::parse(text.as_bytes()) {
            Ok(Incoming::Request { id, method, params }) => Ok(Message {
                kind: Kind::Request(id.to_owned()),
                tool: params.filter(|_| method == "tools/call").and_then(gate::tool_name),
                method: method.into_owned(),
                params,
            }),
            Ok(Incoming::Notification { method, .. }) => {
                Ok(Message { kind: Kind::Other, method: method.into_owned(), tool: None, params: None })
            }
            Ok(Incoming::Response { .. }) => {
                Ok(Message { kind: Kind::Other, method: String::new(), tool: None, params: None })
            }
            Err(_) => Err((INVALID_REQUEST, "it is no message of JSON-RPC")),
        }
    }
    texts.into_iter().map(one).collect()
}
