//! Owns spans in the JSON of OTLP: reading. It is protobuf's own mapping, in which ids are hexadecimal digits and long
//! numbers may be texts.
//!
//! Source: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use crate::decode::{Decoded, NO_ID, NO_TIME};
use crate::span::{Attributes, Event, Kind, Link, Resource, Span, Status, Value};
use crate::{DEPTH_MAX, ITEMS_MAX, NAME_BYTES_MAX, VALUE_BYTES_MAX, clip};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RequestWire {
    resource_spans: Vec<ResourceSpansWire>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ResourceSpansWire {
    resource: ResourceWire,
    scope_spans: Vec<ScopeSpansWire>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResourceWire {
    attributes: Vec<KeyValueWire>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ScopeSpansWire {
    scope: ScopeWire,
    spans: Spans,
}

/// Spans, made one by one while they are read: what is none, of which a message may have millions, takes no memory.
#[derive(Default)]
struct Spans(Decoded);

#[derive(Default, Deserialize)]
#[serde(default)]
struct ScopeWire {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SpanWire {
    trace_id: String,
    span_id: String,
    trace_state: String,
    parent_span_id: String,
    name: String,
    #[serde(deserialize_with = "kind")]
    kind: u64,
    #[serde(deserialize_with = "long")]
    start_time_unix_nano: u64,
    #[serde(deserialize_with = "long")]
    end_time_unix_nano: u64,
    attributes: Vec<KeyValueWire>,
    events: Vec<EventWire>,
    links: Vec<LinkWire>,
    status: StatusWire,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EventWire {
    #[serde(deserialize_with = "long")]
    time_unix_nano: u64,
    name: String,
    attributes: Vec<KeyValueWire>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LinkWire {
    trace_id: String,
    span_id: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StatusWire {
    message: String,
    #[serde(deserialize_with = "code")]
    code: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct KeyValueWire {
    key: String,
    // In a box, because a message may be full of empty ones.
    value: Option<Box<ValueWire>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ValueWire {
    string_value: Option<String>,
    bool_value: Option<bool>,
    int_value: Option<Json>,
    double_value: Option<Json>,
    bytes_value: Option<String>,
    array_value: Option<ListWire>,
    kvlist_value: Option<MapWire>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ListWire {
    values: Vec<ValueWire>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MapWire {
    values: Vec<KeyValueWire>,
}

/// Reads a message.
pub(crate) fn decode(message: &[u8]) -> Result<Decoded, serde_json::Error> {
    let request: RequestWire = serde_json::from_slice(message)?;
    let mut decoded = Decoded::default();
    for one in request.resource_spans {
        let resource = Arc::new(Resource { attributes: attributes(one.resource.attributes, DEPTH_MAX) });
        for one in one.scope_spans {
            let scope: Arc<str> = clip(&one.scope.name, NAME_BYTES_MAX).into();
            let Spans(Decoded { spans, rejected, reason }) = one.spans;
            decoded.reject(rejected, reason);
            for span in spans {
                decoded.take(Ok(Span { scope: scope.clone(), resource: resource.clone(), ..span }));
            }
        }
    }
    Ok(decoded)
}

impl<'de> Deserialize<'de> for Spans {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(SpansVisitor)
    }
}

struct SpansVisitor;

impl<'de> Visitor<'de> for SpansVisitor {
    type Value = Spans;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of spans")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Spans, A::Error> {
        let mut decoded = Decoded::default();
        while let Some(wire) = list.next_element::<SpanWire>()? {
            decoded.take(span(wire));
        }
        Ok(Spans(decoded))
    }
}

/// A span, without its resource and its library.
fn span(wire: SpanWire) -> Result<Span, &'static str> {
    let (Ok(trace), Ok(id)) = (wire.trace_id.parse(), wire.span_id.parse()) else { return Err(NO_ID) };
    if wire.start_time_unix_nano == 0 {
        return Err(NO_TIME);
    }
    Ok(Span {
        trace,
        id,
        parent: wire.parent_span_id.parse().ok(),
        state: cut(wire.trace_state, NAME_BYTES_MAX),
        name: cut(wire.name, NAME_BYTES_MAX),
        kind: Kind::of(wire.kind),
        start_ns: wire.start_time_unix_nano,
        end_ns: wire.end_time_unix_nano.max(wire.start_time_unix_nano),
        status: Status::of(wire.status.code, cut(wire.status.message, NAME_BYTES_MAX)),
        attributes: attributes(wire.attributes, DEPTH_MAX),
        events: wire.events.into_iter().take(ITEMS_MAX).map(event).collect(),
        links: wire.links.into_iter().filter_map(|link| self::link(&link)).take(ITEMS_MAX).collect(),
        scope: "".into(),
        resource: Arc::default(),
    })
}

fn event(wire: EventWire) -> Event {
    Event {
        at_ns: wire.time_unix_nano,
        name: cut(wire.name, NAME_BYTES_MAX),
        attributes: attributes(wire.attributes, DEPTH_MAX),
    }
}

fn link(wire: &LinkWire) -> Option<Link> {
    Some(Link { trace: wire.trace_id.parse().ok()?, span: wire.span_id.parse().ok()? })
}

fn attributes(wires: Vec<KeyValueWire>, depth: usize) -> Attributes {
    let pairs = wires.into_iter().filter_map(|wire| {
        let value = value(*wire.value?, depth)?;
        Some((cut(wire.key, NAME_BYTES_MAX), value))
    });
    pairs.take(ITEMS_MAX).collect()
}

/// A value; none where it is empty, or too deep.
fn value(wire: ValueWire, depth: usize) -> Option<Value> {
    let deeper = depth.checked_sub(1)?;
    if let Some(text) = wire.string_value {
        Some(Value::Text(cut(text, VALUE_BYTES_MAX)))
    } else if let Some(is) = wire.bool_value {
        Some(Value::Bool(is))
    } else if let Some(number) = wire.int_value {
        number.as_i64().or_else(|| number.as_str()?.parse().ok()).map(Value::Int)
    } else if let Some(number) = wire.double_value {
        // `NaN`, `Infinity` and `-Infinity` are texts.
        number.as_f64().or_else(|| number.as_str()?.parse().ok()).map(Value::Double)
    } else if let Some(list) = wire.array_value {
        let values = list.values.into_iter().filter_map(|wire| value(wire, deeper));
        Some(Value::List(values.take(ITEMS_MAX).collect()))
    } else if let Some(map) = wire.kvlist_value {
        Some(Value::Map(attributes(map.values, deeper)))
    } else {
        wire.bytes_value.and_then(|text| base64(&text)).map(|mut bytes| {
            bytes.truncate(VALUE_BYTES_MAX);
            Value::Bytes(bytes)
        })
    }
}

fn cut(mut text: String, bytes_max: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes_max));
    text
}

/// The bytes of base64 in either alphabet, with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    GeneralPurpose::new(alphabet, lenient).decode(text).ok()
}

/// A long number, or the text of one.
fn long<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = Json::deserialize(deserializer)?;
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.ok_or_else(|| serde::de::Error::custom("a time is a number of nanoseconds"))
}

/// A kind: its number, which OTLP wants, or its name, which protobuf's own mapping has.
fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let names = ["INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
    named(deserializer, "SPAN_KIND_", &names)
}

fn code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    named(deserializer, "STATUS_CODE_", &["OK", "ERROR"])
}

fn named<'de, D: Deserializer<'de>>(deserializer: D, prefix: &str, names: &[&str]) -> Result<u64, D::Error> {
    let value = Json::deserialize(deserializer)?;
    if let Some(name) = value.as_str() {
        let name = name.strip_prefix(prefix).unwrap_or(name);
        let found = names.iter().position(|known| *known == name);
        return Ok(found.map_or(0, |at| at as u64 + 1));
    }
    Ok(value.as_u64().unwrap_or(0))
}
