//! Owns hiding secrets in what is shown of logs: by the names of fields, and by how secrets look.
//!
//! A line has to stay readable, so of a text only the value goes and not all that follows it, and a number is no secret:
//! `tokens_used` counts something.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Match, Regex};
use serde_json::Value;

use crate::entry::Entry;
use crate::secrets;

/// What stands in place of a secret.
pub const REDACTED: &str = "[REDACTED]";

/// Objects below this depth are hidden as a whole.
const DEPTH_MAX: usize = 32;

/// A field whose name contains one of these, in any case, is a secret.
const NAMES: [&str; 9] =
    ["passw", "passphrase", "token", "secret", "credential", "auth", "key", "cookie", "dsn"];

/// Of `name = value` and its like the value; then what has the form of a secret (`secrets`).
static TEXTS: LazyLock<Regex> = LazyLock::new(|| {
    let name = concat!(
        r"[\w.-]*(?:passw(?:or)?d|passphrase|secret|credentials?|token|api[_-]?key|private[_-]?key|access[_-]?key",
        r#"|authorization|cookie)[\w.-]*\\?["']?\s*[=:]\s*"#
    );
    let rules = [
        // What is written in code may go on behind a line feed: keys do.
        format!(r#"(?P<double>{name}\\?")(?:[^"\\]|\\[nrtu/])+"#),
        format!(r"(?P<single>{name}\\?')[^'\\]+"),
        format!(r#"(?P<name>{name}(?:(?:bearer|basic)\s+)?)[^\s"'\\,;&)}}\]]+"#),
        r#"(?P<flag>--?[\w-]*(?:passw(?:or)?d|passphrase|secret|token|api-?key)[\w-]*\s+)[^\s"'-][^\s"']*"#
            .to_owned(),
        r"(?P<scheme>\b(?:bearer|basic)\s+)[a-z0-9._~+/=-]{8,}".to_owned(),
        r"(?P<url>[a-z][a-z0-9+.-]*://)[^\s/@?#]+@".to_owned(),
    ];
    let all = secrets::hidden().fold(rules.join("|"), |all, looks| all + "|" + looks);
    Regex::new(&format!("(?i){all}")).expect("the rules are tested")
});

/// Without one of these in it, in lower case, no rule takes hold of a line, nor of the one after it.
const HINTS: [&str; 41] = [
    "passw",
    "passphrase",
    "secret",
    "credential",
    "token",
    "key",
    "authorization",
    "cookie",
    "bearer",
    "basic",
    "://",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "npm_",
    "pypi-",
    "glpat-",
    "glptt-",
    "gldt-",
    "glrt-",
    "glcbt-",
    "glft-",
    "glsoat-",
    "glagent-",
    "sk-",
    "k_live_",
    "k_test_",
    "xox",
    "xapp-",
    "hooks.slack",
    "akia",
    "asia",
    "aiza",
    "gocspx",
    "_v1_",
    "sg.",
    "eyj",
    "-----begin",
];

/// Whether a rule can take hold of a line, which is given in lower case, or of the one after it: a look at the bytes.
pub fn is_hinted(lower: &str) -> bool {
    HINTS.iter().any(|hint| lower.contains(hint))
}

/// Hides secrets in a text.
pub fn text(text: &str) -> Cow<'_, str> {
    TEXTS.replace_all(text, |found: &Captures<'_>| {
        let at = if found.name("url").is_some() { "@" } else { "" };
        format!("{}{REDACTED}{at}", kept(found).map_or("", |kept| kept.as_str()))
    })
}

/// Where a text has what is hidden, in bytes, in order.
pub fn spans(text: &str) -> Vec<Range<usize>> {
    let span = |found: Captures<'_>| {
        let (whole, at) = (found.get(0).expect("it is the whole"), usize::from(found.name("url").is_some()));
        kept(&found).map_or(whole.start(), |kept| kept.end())..whole.end() - at
    };
    TEXTS.captures_iter(text).map(span).collect()
}

/// What stays before a secret: its name, or the beginning of a URL.
fn kept<'t>(found: &Captures<'t>) -> Option<Match<'t>> {
    ["double", "single", "name", "flag", "scheme", "url"].iter().find_map(|name| found.name(name))
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
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nab+/=\n-----END RSA PRIVATE KEY-----\nx",
                "[REDACTED]\nx",
            ),
            (
                r#"{"private_key": "-----BEGIN PRIVATE KEY-----\nMIIE\nab"}"#,
                r#"{"private_key": "[REDACTED]"}"#,
            ),
            (r"-----BEGIN PRIVATE KEY-----\nMIIE\nab", "[REDACTED]"),
            ("x rk_live_abcdefghijklmnop1 y", "x [REDACTED] y"),
            // No secrets.
            ("KeyError: 'x'", "KeyError: 'x'"),
            ("auth: failed at http://h/@scope/pkg", "auth: failed at http://h/@scope/pkg"),
            ("the author of monkey: me", "the author of monkey: me"),
        ] {
            assert_eq!(text(said), expect);
            let is_hidden = said != expect;
            assert!(!is_hidden || super::is_hinted(&said.to_ascii_lowercase()), "{said}");
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
