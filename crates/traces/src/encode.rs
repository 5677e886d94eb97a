//! Owns spans in protobuf: writing. The form is described in `protobuf`.

use std::sync::Arc;

use crate::span::{Attributes, Event, Link, Resource, Span, Status, Value};
use crate::wire::{put_bytes, put_fixed64, put_message, put_number};

/// Spans of one resource and one library.
pub(crate) struct Group<'a> {
    pub(crate) resource: &'a Resource,
    pub(crate) scope: &'a str,
    pub(crate) spans: Vec<&'a Span>,
}

/// Puts spans that follow each other and have the same resource and library together.
pub(crate) fn grouped<'a>(spans: impl IntoIterator<Item = &'a Span>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut last: Option<&'a Span> = None;
    for span in spans {
        let same = last.is_some_and(|last| {
            last.scope == span.scope
                && (Arc::ptr_eq(&last.resource, &span.resource) || last.resource == span.resource)
        });
        last = Some(span);
        match groups.last_mut().filter(|_| same) {
            Some(group) => group.spans.push(span),
            None => groups.push(Group { resource: &span.resource, scope: &span.scope, spans: vec![span] }),
        }
    }
    groups
}

/// Returns spans as an `ExportTraceServiceRequest`. Several of them, one after another, are one as well.
pub fn to_protobuf<'a>(spans: impl IntoIterator<Item = &'a Span>) -> Vec<u8> {
    let mut message = Vec::new();
    for group in grouped(spans) {
        let mut resource = Vec::new();
        put_attributes(&mut resource, 1, &group.resource.attributes);
        let mut scope = Vec::new();
        put_bytes(&mut scope, 1, group.scope.as_bytes());
        let mut of_scope = Vec::new();
        put_message(&mut of_scope, 1, &scope);
        for span in group.spans {
            put_message(&mut of_scope, 2, &of_span(span));
        }
        let mut of_resource = Vec::with_capacity(of_scope.len() + resource.len() + 16);
        put_message(&mut of_resource, 1, &resource);
        put_message(&mut of_resource, 2, &of_scope);
        put_message(&mut message, 1, &of_resource);
    }
    message
}

fn of_span(span: &Span) -> Vec<u8> {
    let mut message = Vec::with_capacity(256);
    put_bytes(&mut message, 1, span.trace.bytes());
    put_bytes(&mut message, 2, span.id.bytes());
    put_bytes(&mut message, 3, span.state.as_bytes());
    if let Some(parent) = &span.parent {
        put_bytes(&mut message, 4, parent.bytes());
    }
    put_bytes(&mut message, 5, span.name.as_bytes());
    put_number(&mut message, 6, span.kind.number());
    put_fixed64(&mut message, 7, span.start_ns);
    put_fixed64(&mut message, 8, span.end_ns);
    put_attributes(&mut message, 9, &span.attributes);
    for event in &span.events {
        put_message(&mut message, 11, &of_event(event));
    }
    for link in &span.links {
        put_message(&mut message, 13, &of_link(link));
    }
    if span.status != Status::Unset {
        let mut status = Vec::new();
        if let Status::Error(reason) = &span.status {
            put_bytes(&mut status, 2, reason.as_bytes());
        }
        put_number(&mut status, 3, span.status.number());
        put_message(&mut message, 15, &status);
    }
    message
}

fn of_event(event: &Event) -> Vec<u8> {
    let mut message = Vec::new();
    put_fixed64(&mut message, 1, event.at_ns);
    put_bytes(&mut message, 2, event.name.as_bytes());
    put_attributes(&mut message, 3, &event.attributes);
    message
}

fn of_link(link: &Link) -> Vec<u8> {
    let mut message = Vec::new();
    put_bytes(&mut message, 1, link.trace.bytes());
    put_bytes(&mut message, 2, link.span.bytes());
    message
}

fn put_attributes(into: &mut Vec<u8>, number: u64, attributes: &Attributes) {
    for (key, value) in attributes {
        let mut message = Vec::with_capacity(key.len() + 32);
        put_bytes(&mut message, 1, key.as_bytes());
        put_message(&mut message, 2, &of_value(value));
        put_message(into, number, &message);
    }
}

fn of_value(value: &Value) -> Vec<u8> {
    let mut message = Vec::new();
    match value {
        // An empty text is a value too: which one of several it is has to be said.
        Value::Text(text) => put_message(&mut message, 1, text.as_bytes()),
        Value::Bool(is) => put_number(&mut message, 2, (*is).into()),
        Value::Int(number) => put_number(&mut message, 3, number.cast_unsigned()),
        Value::Double(number) => put_fixed64(&mut message, 4, number.to_bits()),
        Value::List(values) => {
            let mut list = Vec::new();
            values.iter().for_each(|value| put_message(&mut list, 1, &of_value(value)));
            put_message(&mut message, 5, &list);
        }
        Value::Map(values) => {
            let mut list = Vec::new();
            put_attributes(&mut list, 1, values);
            put_message(&mut message, 6, &list);
        }
        Value::Bytes(bytes) => put_message(&mut message, 7, bytes),
    }
    message
}
