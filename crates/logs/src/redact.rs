//! Owns hiding secrets in what is shown of logs: by the names of fields, and by how secrets look.
//!
//! A line has to stay readable, so of a text only the value goes and not all that follows it, and a number is no secret:
//! `tokens_used` counts something.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

use crate::entry::Entry;

/// What stands in place of a secret.
pub const REDACTED: &str = "[REDACTED]";

/// Objects below this depth are hidden as a whole.
const DEPTH_MAX: usize = 32;

/// A field whose name contains one of these, in any case, is a secret.
const NAMES: [&str; 9] =
    ["passw", "passphrase", "token", "secret", "credential", "auth", "key", "cookie", "dsn"];

/// Of `name = value` and its like the value; then what looks like a secret by itself.
static TEXTS: LazyLock<Regex> = LazyLock::new(|| {
    let name = concat!(
        r"[\w.-]*(?:passw(?:or)?d|passphrase|secret|credentials?|token|api[_-]?key|private[_-]?key|access[_-]?key",
        r#"|authorization|cookie)[\w.-]*\\?["']?\s*[=:]\s*"#
    );
    let rules = [
        &format!(r#"(?P<double>{name}\\?")[^"\\]+"#),
        &format!(r"(?P<single>{name}\\?')[^'\\]+"),
        &format!(r#"(?P<name>{name}(?:(?:bearer|basic)\s+)?)[^\s"'\\,;&)}}\]]+"#),
        r#"(?P<flag>--?[\w-]*(?:passw(?:or)?d|passphrase|secret|token|api-?key)[\w-]*\s+)[^\s"'-][^\s"']*"#,
        r"(?P<scheme>\b(?:bearer|basic)\s+)[a-z0-9._~+/=-]{8,}",
        r"(?P<url>[a-z][a-z0-9+.-]*://)[^\s/@?#]+@",
        r"\b(?:gh[pousr]_[a-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|sk-[\w-]{16,}|xox[abprs]-[\w-]{10,})",
        r"\bAKIA[0-9A-Z]{16}\b",
        r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*",
    ];
    Regex::new(&format!("(?i){}", rules.join("|"))).expect("the rules are tested")
});

/// Hides secrets in a text.
pub fn text(text: &str) -> Cow<'_, str> {
    TEXTS.replace_all(text, |found: &Captures<'_>| {
        let kept =
            ["double", "single", "name", "flag", "scheme", "url"].iter().find_map(|name| found.name(name));
        let at = if found.name("url").is_some() { "@" } else { "" };
        format!("{}{REDACTED}{at}", kept.map_or("", |kept| kept.as_str()))
    })
}

/// Hides secrets in all that an entry says.
pub fn entry(entry: &mut Entry) {
    if let Cow::Owned(hidden) = text(&entry.message) {
        entry.message = hidden;
    }
    for (name, field) in entry.fields.iter_mut().flatten() {
        value(name, field, 0);
    }
}

/// Hides secrets in any JSON.
pub fn json(document: &mut Value) {
    value("", document, 0);
}

fn value(name: &str, field: &mut Value, depth: usize) {
    let lower = name.to_ascii_lowercase();
    let is_secret = NAMES.iter().any(|word| lower.contains(word));
    match field {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        _ if is_secret || depth == DEPTH_MAX => *field = REDACTED.into(),
        Value::String(words) => {
            if let Cow::Owned(hidden) = text(words) {
                *words = hidden;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| value("", item, depth + 1)),
        Value::Object(fields) => fields.iter_mut().for_each(|(name, field)| value(name, field, depth + 1)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::text;
    use crate::entry::Entry;
    use crate::stamp::Clock;

    #[test]
    fn secrets_in_texts() {
        for (said, expect) in [
            ("login password=hunter2 failed", "login password=[REDACTED] failed"),
            ("DB_PASSWORD: hunter2, port 5", "DB_PASSWORD: [REDACTED], port 5"),
            (r#"{\"api_key\": \"hunter2\"}"#, r#"{\"api_key\": \"[REDACTED]\"}"#),
            (r#"password="hunter2 it's me" x"#, r#"password="[REDACTED]" x"#),
            ("secret: 'hunter2 me'", "secret: '[REDACTED]'"),
            ("Authorization: Bearer hunter2 x", "Authorization: Bearer [REDACTED] x"),
            ("sent bearer abcdefgh1234", "sent bearer [REDACTED]"),
            ("x --token hunter2 -v", "x --token [REDACTED] -v"),
            ("postgres://u:p@h/db down", "postgres://[REDACTED]@h/db down"),
            ("got ghp_abcdefghijklmnopqrstuv1", "got [REDACTED]"),
            ("AKIAABCDEFGHIJKLMNOP", "[REDACTED]"),
            ("eyJhbGciOiJI.eyJzdWIiOiIx.abc", "[REDACTED]"),
            ("?access_token=hunter2&x=1", "?access_token=[REDACTED]&x=1"),
            // No secrets.
            ("KeyError: 'x'", "KeyError: 'x'"),
            ("auth: failed at http://h/@scope/pkg", "auth: failed at http://h/@scope/pkg"),
            ("the author of monkey: me", "the author of monkey: me"),
        ] {
            assert_eq!(text(said), expect);
        }
    }

    #[test]
    fn secrets_in_fields() {
        let clock = Clock { local: |time| time.and_utc().timestamp_millis(), written_ms: 0 };
        let line = json!({"message": "token=hunter2", "apiKey": "hunter2", "tokens_used": 5,
            "a": [{"Secret": {"b": "hunter2"}}, "password=hunter2"], "tool": "t"});
        let mut entry = Entry::read(line.to_string().as_bytes(), clock);
        super::entry(&mut entry);
        let shown = serde_json::to_string(&entry).unwrap();
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(entry.fields.unwrap()["tokens_used"], json!(5));
        // Nested deeply: hidden as a whole.
        let deep = format!("{}{}{}", "{\"a\":".repeat(60), "\"password\"", "}".repeat(60));
        let mut entry = Entry::read(deep.as_bytes(), clock);
        super::entry(&mut entry);
        assert!(serde_json::to_string(&entry).unwrap().contains("[REDACTED]"));
    }
}
