//! Owns the schemas of what other crates write: their forms are theirs, and here is what a reader may rely on.

use schemars::{Schema, SchemaGenerator, json_schema};

/// A record of the journal.
pub(super) fn record(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "description": "A record of the journal: `kind` says what happened, and which other fields there are. Kinds and fields are added, never changed.",
        "properties": { "kind": { "type": "string" } },
        "required": ["kind"],
    })
}

/// The package that a server is.
pub(super) fn package(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["object", "null"],
        "description": "The package that is really run, where that is known.",
        "properties": {
            "name": { "type": "string" },
            "version": { "type": "string" },
            "kind": { "type": "string" },
            "described_in": { "type": "string" },
        },
        "required": ["name", "version", "kind", "described_in"],
    })
}

/// A change.
pub(super) fn change(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "description": "What was changed, and the value before." })
}

/// Findings.
pub(super) fn findings(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "description": "What was found: a kind and a subject each, with a value, how bad it is, and words.",
        "items": {
            "type": "object",
            "properties": { "kind": { "type": "string" }, "subject": { "type": "string" } },
            "required": ["kind", "subject"],
        },
    })
}
