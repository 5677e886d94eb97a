//! Owns traces: the messages of OpenTelemetry's protocol (OTLP), spans, the store that holds the last of them, what can
//! be asked of it, and the waterfall. No network and no clock: the time and the folder are arguments.
//!
//! What comes from outside is bounded before it is kept: spans of a message, attributes of a span, bytes of a value,
//! depth. What is cut is cut silently where only its length was wrong, and counted as rejected where a span is lost.

mod answer;
mod context;
mod decode;
mod disk;
mod encode;
mod id;
mod json;
mod protobuf;
mod query;
mod span;
mod store;
mod to_json;
mod waterfall;
mod wire;

#[cfg(test)]
mod tests;

pub use answer::{answer, refusal, rejected};
pub use context::Context;
pub use decode::{Decoded, Encoding, Malformed, decode, gunzip};
pub use disk::Disk;
pub use encode::to_protobuf;
pub use id::{Ids, SpanId, TraceId};
pub use query::{Filter, Summary};
pub use span::{Attributes, Event, Kind, Link, Resource, Span, Status, Value, attribute};
pub use store::{Counts, Limits, Store};
pub use to_json::to_json;
pub use waterfall::{Row, rows, waterfall};

/// Spans of one message; those beyond are rejected, and the sender is told how many.
pub const SPANS_MAX: usize = 50_000;
/// Attributes of a span, of an event or of a resource; and events and links of a span.
const ITEMS_MAX: usize = 128;
/// Bytes of a name, of a key or of a status message.
const NAME_BYTES_MAX: usize = 1024;
/// Bytes of a value; longer texts are cut.
const VALUE_BYTES_MAX: usize = 4096;
/// How deep a value may be made of others.
const DEPTH_MAX: usize = 8;

/// The beginning of a text, cut where a character ends.
fn clip(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}
