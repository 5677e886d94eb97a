//! Owns the schema of `paramedic.toml`, for editors, and that its page in the documentation is the same.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::{Bytes, Config, Span};

/// The JSON Schema of the configuration: its keys, their types, defaults and meanings.
pub fn schema() -> Value {
    schemars::schema_for!(Config).to_value()
}

pub(super) fn mode(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["observe", "suggest", "auto"] })
}

pub(super) fn modes(generator: &mut SchemaGenerator) -> Schema {
    let mode = mode(generator);
    json_schema!({ "type": "object", "additionalProperties": mode })
}

// === impl Span ===

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A duration: 500ms, 5s, 1h30m", "examples": ["500ms", "5s", "1h30m"] })
    }

    fn inline_schema() -> bool {
        true
    }
}

// === impl Bytes ===

impl JsonSchema for Bytes {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A size: 512MiB, 8GiB", "examples": ["512MiB", "8GiB"] })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The page of the documentation.
    const PAGE: &str = include_str!("../../../../docs/configuration.md");

    /// Which table of the page is about which part of the schema.
    const TABLES: [(&str, &str); 32] = [
        ("At the top", ""),
        ("`[probe]`", "Probe"),
        ("`[metrics]`", "Metrics"),
        ("`[metrics.backend]`", "Backend"),
        ("`[metrics.remote_write]`", "RemoteWrite"),
        ("`[[scrape]]`", "ScrapeTarget"),
        ("`[retention]`", "Retention"),
        ("`[verify]`", "Verify"),
        ("`[integrity]`", "Integrity"),
        ("`[intrusion]`", "Intrusion"),
        ("`[backup]`", "Backups"),
        ("`[backup.target]`", "Target"),
        ("`[api]`", "Api"),
        ("`[evidence]`", "Evidence"),
        ("`[evidence.stream]`", "Stream"),
        ("`[traces]`", "Traces"),
        ("`[traces.export]`", "TraceExport"),
        ("`[policy]`", "Policy"),
        ("`[rules]`", "Rules"),
        ("`[alerts.NAME]`", "Alert"),
        ("`[[server]]`", "Server"),
        ("`[[server.dependency]]`", "Dependency"),
        ("`[[server.data]]`", "Data"),
        ("`[[server.database]]`", "Database"),
        ("`[[contact]]`", "Contact"),
        ("`[escalation]`", "Escalation"),
        ("`[[escalation.level]]`", "EscalationLevel"),
        ("`[containment]`", "Containment"),
        ("`[triage]`", "Triage"),
        ("`[inbound]`", "Inbound"),
        ("`[inbound.fields]`", "Fields"),
        ("`[alertmanager]`", "Alertmanager"),
    ];

    /// The rows of a table: default by key.
    fn rows(heading: &str) -> BTreeMap<&'static str, &'static str> {
        let section = PAGE.split("\n## ").find_map(|part| part.strip_prefix(heading)?.strip_prefix('\n'));
        let section = section.unwrap_or_else(|| panic!("the page has no section `{heading}`"));
        let row = |line: &'static str| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            Some((cells.next()?.strip_suffix('`')?, cells.next()?))
        };
        section.lines().filter_map(row).collect()
    }

    /// A table or a list of tables has a section of its own.
    fn has_section(property: &Value) -> bool {
        let text = property.to_string();
        TABLES.iter().any(|(_, name)| !name.is_empty() && text.contains(&format!("#/$defs/{name}\"")))
    }

    #[test]
    fn the_page_has_every_key_with_its_default() {
        let schema = schema();
        for (heading, name) in TABLES {
            let part = if name.is_empty() { &schema } else { &schema["$defs"][name] };
            let properties = part["properties"].as_object().unwrap();
            let own: BTreeMap<&str, &Value> = properties
                .iter()
                .filter(|(_, property)| !has_section(property))
                .map(|(key, property)| (key.as_str(), property))
                .collect();
            let rows = rows(heading);
            assert_eq!(rows.keys().collect::<Vec<_>>(), own.keys().collect::<Vec<_>>(), "in `{heading}`");
            let required = part["required"].as_array().cloned().unwrap_or_default();
            let all = part.get("default");
            for (key, property) in own {
                let shown = rows[key];
                let is_required = required.iter().any(|one| one == key);
                assert_eq!(shown == "required", is_required, "`{key}` in `{heading}`: {shown}");
                let default = property.get("default").or_else(|| all.and_then(|all| all.get(key)));
                // What depends on the machine, or on other keys, is told in words.
                if let Some(default) = default.filter(|_| shown.starts_with('`') && !shown.contains(' ')) {
                    let text = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
                    assert_eq!(shown.trim_matches('`'), text, "`{key}` in `{heading}`");
                }
            }
        }
    }
}
