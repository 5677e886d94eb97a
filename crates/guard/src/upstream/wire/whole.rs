//! Owns reading a whole answer without a connection: for tests and fuzz targets.

use bytes::BytesMut;
use http::{HeaderMap, StatusCode};

use super::framing::Framing;
use super::head;

/// A whole answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Whether another request may follow on its connection.
    pub(crate) stays: bool,
}

/// Reads an answer that comes in these parts, after which the connection is closed.
///
/// # Errors
/// When it is malformed, or not whole.
pub(crate) fn read<'p>(parts: impl Iterator<Item = &'p [u8]>) -> Result<Whole, &'static str> {
    let (mut parts, mut buffer) = (parts, BytesMut::new());
    let mut more = |buffer: &mut BytesMut| parts.next().map(|part| buffer.extend_from_slice(part));
    let mut head = loop {
        match head::take(&mut buffer).map_err(|malformed| malformed.0)? {
            Some(head) if head.status.is_informational() => {}
            Some(head) => break head,
            None => more(&mut buffer).ok_or("closed in its head")?,
        }
    };
    let mut body = Vec::new();
    loop {
        if let Some(part) = head.framing.take(&mut buffer).map_err(|malformed| malformed.0)? {
            body.extend_from_slice(&part);
            // Here as in a flow, what comes behind a part is read at once, and told of with the next.
            let _ = head.framing.settle(&mut buffer);
            continue;
        }
        if head.framing.is_over() {
            break;
        }
        match more(&mut buffer) {
            Some(()) => {}
            None if head.framing == Framing::UntilClose => break,
            None => return Err("closed in its body"),
        }
    }
    // Nothing may come behind it.
    let stays = head.stays && buffer.is_empty() && more(&mut buffer).is_none();
    Ok(Whole { status: head.status, headers: head.headers, body, stays })
}
