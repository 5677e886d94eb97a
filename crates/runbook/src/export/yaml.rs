//! Owns writing YAML: nested maps and lists, every text in double quotes, which YAML shares with JSON.

use serde_json::Value;

/// Returns a document.
pub(super) fn document(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, &mut text);
    text
}

fn write(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                text.push_str(&format!("{indent}{key}:"));
                nested(value, depth, text);
            }
        }
        Value::Array(list) => {
            for value in list {
                let mut item = String::new();
                write(value, depth + 1, &mut item);
                // The first key of a map stands behind the dash.
                let item = item.strip_prefix(&"  ".repeat(depth + 1)).unwrap_or(&item);
                text.push_str(&format!("{indent}- {}", item.trim_end_matches('\n')));
                text.push('\n');
            }
        }
        scalar => {
            text.push_str(&scalar.to_string());
            text.push('\n');
        }
    }
}

fn nested(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            write(value, depth + 1, text);
        }
        Value::Array(list) if list.iter().any(|value| value.is_object()) => {
            text.push('\n');
            write(value, depth + 1, text);
        }
        // A list of scalars is one line, and JSON's is YAML's.
        other => text.push_str(&format!(" {other}\n")),
    }
}
