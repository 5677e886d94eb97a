//! Owns the one text of a JSON value: no spaces, keys sorted by their bytes, whatever the map type.

use serde_json::Value;

/// The deepest nesting of a body. The JSON reader gives up at 128, and a body that cannot be read back must
/// not be written.
pub(crate) const DEPTH_MAX: usize = 64;

/// Returns the canonical text of `value`, or `None` if it is nested deeper than `DEPTH_MAX`.
pub(crate) fn text(value: &Value) -> Option<String> {
    let mut out = String::new();
    write(value, 0, &mut out)?;
    Some(out)
}

fn write(value: &Value, depth: usize, out: &mut String) -> Option<()> {
    if depth > DEPTH_MAX {
        return None;
    }
    match value {
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, depth + 1, out)?;
            }
            out.push(']');
        }
        Value::Object(map) => {
            // Sorted here: a feature that another crate turns on may make the map keep insertion order.
            let mut members: Vec<_> = map.iter().collect();
            members.sort_unstable_by_key(|(key, _)| key.as_bytes());
            out.push('{');
            for (index, (key, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write(member, depth + 1, out)?;
            }
            out.push('}');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{DEPTH_MAX, text};

    #[test]
    fn sorts_keys_and_drops_spaces() {
        let value = json!({"b": [1, -0.0, 1e300, "a\"\n\u{1}é"], "a": {"d": null, "c": true}, "A": 0.1});
        let expect = r#"{"A":0.1,"a":{"c":true,"d":null},"b":[1,-0.0,1e+300,"a\"\n\u0001é"]}"#;
        assert_eq!(text(&value).unwrap(), expect);
        assert_eq!(serde_json::from_str::<Value>(expect).unwrap(), value);
    }

    #[test]
    fn refuses_what_could_not_be_read_back() {
        let nested = |depth| (0..depth).fold(json!(1), |value, _| json!([value]));
        let deepest = text(&nested(DEPTH_MAX)).unwrap();
        assert!(serde_json::from_str::<Value>(&deepest).is_ok());
        assert_eq!(text(&nested(DEPTH_MAX + 1)), None);
    }
}
