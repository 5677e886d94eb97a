//! Owns what the answer of a tool shows: orders to the model that reads it, and secrets.

use std::borrow::Cow;

use serde_json::Value;

use crate::definition::orders;
use crate::sign::{Certainty, Class, Sign};

/// So many parts of an answer are looked at.
const PARTS_MAX: usize = 32;

/// The signs in a result of `tools/call`, as far as it is text.
pub fn in_result(result: &Value) -> Vec<Sign> {
    let Some(parts) = result["content"].as_array() else { return Vec::new() };
    let texts = parts.iter().take(PARTS_MAX).enumerate().filter_map(|(idx, part)| {
        let (name, text) = match part["type"].as_str()? {
            "text" => ("text", part["text"].as_str()?),
            "resource" => ("resource/text", part["resource"]["text"].as_str()?),
            _ => return None,
        };
        Some((format!("/content/{idx}/{name}"), text))
    });
    texts
        .flat_map(|(at, text)| {
            let mut signs = orders(text, &at, Class::PromptInjection);
            if let Cow::Owned(_) = logs::redact::text(text) {
                let what = ("secret-in-result", Class::SecretExposure, Certainty::Likely);
                signs.push(Sign::new(what, &at, text, 0..0));
            }
            signs
        })
        .collect()
}
