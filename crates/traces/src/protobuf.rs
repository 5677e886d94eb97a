//! Owns spans in protobuf, as `opentelemetry/proto/trace/v1/trace.proto` has them: reading.
//!
//! ```text
//! ExportTraceServiceRequest, TracesData { repeated ResourceSpans resource_spans = 1; }
//! ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
//! Resource      { repeated KeyValue attributes = 1; }
//! ScopeSpans    { InstrumentationScope scope = 1; repeated Span spans = 2; }
//! Scope         { string name = 1; }
//! Span          { bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; bytes parent_span_id = 4; string name = 5;
//!                 SpanKind kind = 6; fixed64 start = 7; fixed64 end = 8; repeated KeyValue attributes = 9;
//!                 repeated Event events = 11; repeated Link links = 13; Status status = 15; }
//! Event         { fixed64 time = 1; string name = 2; repeated KeyValue attributes = 3; }
//! Link          { bytes trace_id = 1; bytes span_id = 2; }
//! Status        { string message = 2; StatusCode code = 3; }
//! KeyValue      { string key = 1; AnyValue value = 2; }
//! AnyValue      { string = 1; bool = 2; int64 = 3; double = 4; ArrayValue = 5; KeyValueList = 6; bytes = 7; }
//! ```

use std::sync::Arc;

use crate::decode::{Decoded, NO_ID, NO_TIME, TOO_MANY};
use crate::span::{Attributes, Event, Kind, Link, Resource, Span, Status, Value};
use crate::wire::{Broken, Field, Fields};
use crate::{DEPTH_MAX, ITEMS_MAX, NAME_BYTES_MAX, SpanId, TraceId, VALUE_BYTES_MAX, clip};

/// Reads a message, or a file of messages one after another, which is the same.
pub(crate) fn decode(message: &[u8]) -> Result<Decoded, Broken> {
    let mut decoded = Decoded::default();
    for field in Fields::of(message) {
        if let (1, field) = field? {
            of_resource(field.bytes()?, &mut decoded)?;
        }
    }
    Ok(decoded)
}

/// Reads the whole messages with which a file begins, one after another; says how many bytes they take.
pub(crate) fn decode_each(file: &[u8], mut take: impl FnMut(Decoded)) -> usize {
    let mut fields = Fields::of(file);
    let mut whole = 0;
    while let Some(Ok((1, Field::Bytes(bytes)))) = fields.next() {
        let mut decoded = Decoded::default();
        if of_resource(bytes, &mut decoded).is_err() {
            break;
        }
        take(decoded);
        whole = file.len() - fields.rest().len();
    }
    whole
}

fn of_resource(message: &[u8], decoded: &mut Decoded) -> Result<(), Broken> {
    // It may stand behind its spans.
    let mut resource = Arc::default();
    for field in Fields::of(message) {
        if let (1, field) = field? {
            resource = Arc::new(Resource { attributes: keyed(field.bytes()?, 1, DEPTH_MAX)? });
        }
    }
    for field in Fields::of(message) {
        if let (2, field) = field? {
            of_scope(field.bytes()?, &resource, decoded)?;
        }
    }
    Ok(())
}

fn of_scope(message: &[u8], resource: &Arc<Resource>, decoded: &mut Decoded) -> Result<(), Broken> {
    let mut scope = String::new();
    for field in Fields::of(message) {
        if let (1, field) = field? {
            for field in Fields::of(field.bytes()?) {
                if let (1, field) = field? {
                    scope = text(field, NAME_BYTES_MAX)?;
                }
            }
        }
    }
    let scope: Arc<str> = scope.into();
    for field in Fields::of(message) {
        if let (2, field) = field? {
            let bytes = field.bytes()?;
            if decoded.spans.len() < crate::SPANS_MAX {
                decoded.take(span(bytes, resource, &scope)?);
            } else {
                decoded.reject(1, TOO_MANY);
            }
        }
    }
    Ok(())
}

fn span(
    message: &[u8],
    resource: &Arc<Resource>,
    scope: &Arc<str>,
) -> Result<Result<Span, &'static str>, Broken> {
    let (mut trace, mut id, mut parent) = (None, None, None);
    let (mut state, mut name, mut kind) = (String::new(), String::new(), Kind::Unspecified);
    let (mut start_ns, mut end_ns, mut status) = (0, 0, Status::Unset);
    let (mut attributes, mut events, mut links) = (Attributes::new(), Vec::new(), Vec::new());
    for field in Fields::of(message) {
        let (number, field) = field?;
        match number {
            1 => trace = TraceId::of(field.bytes()?),
            2 => id = SpanId::of(field.bytes()?),
            3 => state = text(field, NAME_BYTES_MAX)?,
            4 => parent = SpanId::of(field.bytes()?),
            5 => name = text(field, NAME_BYTES_MAX)?,
            6 => kind = Kind::of(field.number()?),
            7 => start_ns = field.number()?,
            8 => end_ns = field.number()?,
            9 => push(&mut attributes, key_value(field.bytes()?, DEPTH_MAX)?),
            11 => push(&mut events, Some(event(field.bytes()?)?)),
            13 => push(&mut links, link(field.bytes()?)?),
            15 => status = of_status(field.bytes()?)?,
            _ => {}
        }
    }
    let (Some(trace), Some(id)) = (trace, id) else { return Ok(Err(NO_ID)) };
    if start_ns == 0 {
        return Ok(Err(NO_TIME));
    }
    let end_ns = end_ns.max(start_ns);
    let (resource, scope) = (resource.clone(), scope.clone());
    Ok(Ok(Span {
        trace,
        id,
        parent,
        state,
        name,
        kind,
        start_ns,
        end_ns,
        status,
        attributes,
        events,
        links,
        scope,
        resource,
    }))
}

fn event(message: &[u8]) -> Result<Event, Broken> {
    let mut event = Event { at_ns: 0, name: String::new(), attributes: Attributes::new() };
    for field in Fields::of(message) {
        match field? {
            (1, field) => event.at_ns = field.number()?,
            (2, field) => event.name = text(field, NAME_BYTES_MAX)?,
            (3, field) => push(&mut event.attributes, key_value(field.bytes()?, DEPTH_MAX)?),
            _ => {}
        }
    }
    Ok(event)
}

fn link(message: &[u8]) -> Result<Option<Link>, Broken> {
    let (mut trace, mut span) = (None, None);
    for field in Fields::of(message) {
        match field? {
            (1, field) => trace = TraceId::of(field.bytes()?),
            (2, field) => span = SpanId::of(field.bytes()?),
            _ => {}
        }
    }
    Ok(trace.zip(span).map(|(trace, span)| Link { trace, span }))
}

fn of_status(message: &[u8]) -> Result<Status, Broken> {
    let (mut code, mut reason) = (0, String::new());
    for field in Fields::of(message) {
        match field? {
            (2, field) => reason = text(field, NAME_BYTES_MAX)?,
            (3, field) => code = field.number()?,
            _ => {}
        }
    }
    Ok(Status::of(code, reason))
}

/// Reads a message whose field `number` is a list of attributes.
fn keyed(message: &[u8], number: u64, depth: usize) -> Result<Attributes, Broken> {
    let mut attributes = Attributes::new();
    for field in Fields::of(message) {
        let (found, field) = field?;
        if found == number {
            push(&mut attributes, key_value(field.bytes()?, depth)?);
        }
    }
    Ok(attributes)
}

fn key_value(message: &[u8], depth: usize) -> Result<Option<(String, Value)>, Broken> {
    let (mut key, mut value) = (String::new(), None);
    for field in Fields::of(message) {
        match field? {
            (1, field) => key = text(field, NAME_BYTES_MAX)?,
            (2, field) => value = any_value(field.bytes()?, depth)?,
            _ => {}
        }
    }
    Ok(value.map(|value| (key, value)))
}

/// A value; none where it is empty, or too deep.
fn any_value(message: &[u8], depth: usize) -> Result<Option<Value>, Broken> {
    let Some(deeper) = depth.checked_sub(1) else { return Ok(None) };
    let mut value = None;
    for field in Fields::of(message) {
        value = Some(match field? {
            (1, field) => Value::Text(text(field, VALUE_BYTES_MAX)?),
            (2, field) => Value::Bool(field.number()? != 0),
            (3, field) => Value::Int(field.number()?.cast_signed()),
            (4, field) => Value::Double(f64::from_bits(field.number()?)),
            (5, field) => {
                let mut values = Vec::new();
                for field in Fields::of(field.bytes()?) {
                    if let (1, field) = field? {
                        push(&mut values, any_value(field.bytes()?, deeper)?);
                    }
                }
                Value::List(values)
            }
            (6, field) => Value::Map(keyed(field.bytes()?, 1, deeper)?),
            (7, field) => {
                let bytes = field.bytes()?;
                Value::Bytes(bytes[..bytes.len().min(VALUE_BYTES_MAX)].to_vec())
            }
            _ => continue,
        });
    }
    Ok(value)
}

/// A text, cut. One that is no UTF-8 keeps what can be read.
fn text(field: Field<'_>, bytes_max: usize) -> Result<String, Broken> {
    let bytes = field.bytes()?;
    // A character has four bytes at most.
    let near = &bytes[..bytes.len().min(bytes_max + 4)];
    Ok(clip(&String::from_utf8_lossy(near), bytes_max).to_owned())
}

/// Adds an item as long as there is room.
fn push<T>(items: &mut Vec<T>, item: Option<T>) {
    if items.len() < ITEMS_MAX {
        items.extend(item);
    }
}
