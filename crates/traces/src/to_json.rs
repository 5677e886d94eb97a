//! Owns spans in the JSON of OTLP: writing.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde_json::{Map, Value as Json, json};

use crate::encode::grouped;
use crate::span::{Attributes, Event, Span, Status, Value};

/// Returns spans as an `ExportTraceServiceRequest`.
pub fn to_json<'a>(spans: impl IntoIterator<Item = &'a Span>) -> Json {
    let groups = grouped(spans).into_iter().map(|group| {
        let spans: Vec<Json> = group.spans.into_iter().map(of_span).collect();
        json!({
            "resource": { "attributes": of_attributes(&group.resource.attributes) },
            "scopeSpans": [{ "scope": { "name": group.scope }, "spans": spans }],
        })
    });
    json!({ "resourceSpans": groups.collect::<Vec<_>>() })
}

fn of_span(span: &Span) -> Json {
    let mut json = json!({
        "traceId": span.trace.to_string(),
        "spanId": span.id.to_string(),
        "name": span.name,
        "kind": span.kind.number(),
        "startTimeUnixNano": span.start_ns.to_string(),
        "endTimeUnixNano": span.end_ns.to_string(),
        "attributes": of_attributes(&span.attributes),
    });
    let mut put = |name: &str, value: Json| json[name] = value;
    if let Some(parent) = span.parent {
        put("parentSpanId", parent.to_string().into());
    }
    if !span.state.is_empty() {
        put("traceState", span.state.as_str().into());
    }
    if !span.events.is_empty() {
        put("events", span.events.iter().map(of_event).collect());
    }
    if !span.links.is_empty() {
        let link = |link: &crate::Link| json!({ "traceId": link.trace.to_string(), "spanId": link.span.to_string() });
        put("links", span.links.iter().map(link).collect());
    }
    match &span.status {
        Status::Unset => {}
        Status::Ok => put("status", json!({ "code": 1 })),
        Status::Error(reason) if reason.is_empty() => put("status", json!({ "code": 2 })),
        Status::Error(reason) => put("status", json!({ "code": 2, "message": reason })),
    }
    json
}

fn of_event(event: &Event) -> Json {
    json!({
        "timeUnixNano": event.at_ns.to_string(),
        "name": event.name,
        "attributes": of_attributes(&event.attributes),
    })
}

fn of_attributes(attributes: &Attributes) -> Json {
    attributes.iter().map(|(key, value)| json!({ "key": key, "value": of_value(value) })).collect()
}

fn of_value(value: &Value) -> Json {
    let (name, value) = match value {
        Value::Text(text) => ("stringValue", text.as_str().into()),
        Value::Bool(is) => ("boolValue", (*is).into()),
        Value::Int(number) => ("intValue", number.to_string().into()),
        Value::Double(number) if number.is_finite() => ("doubleValue", (*number).into()),
        Value::Double(number) => ("doubleValue", infinite(*number).into()),
        Value::Bytes(bytes) => ("bytesValue", BASE64.encode(bytes).into()),
        Value::List(values) => {
            ("arrayValue", json!({ "values": values.iter().map(of_value).collect::<Vec<_>>() }))
        }
        Value::Map(values) => ("kvlistValue", json!({ "values": of_attributes(values) })),
    };
    Json::Object(Map::from_iter([(name.to_owned(), value)]))
}

/// What protobuf's mapping calls a number that JSON does not have.
fn infinite(number: f64) -> &'static str {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}
