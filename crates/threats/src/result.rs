//! Owns what the answer of a server shows: secrets that it gives away.

use logs::secrets;
use serde_json::Value;

use crate::arguments::escaped;
use crate::sign::{Certainty, Class, Sign};

/// Signs of one answer that may be honest: more say nothing new. The first one that is sure is kept in any case.
const SIGNS_MAX: usize = 8;

/// The signs in the result of a request, or in its error, which are JSON. What is written in base 64 is not read.
pub fn in_result(json: &str) -> Vec<Sign> {
    // Nearly every answer ends here.
    if !secrets::may_hold(json) {
        return Vec::new();
    }
    let Ok(value) = serde_json::from_str::<Value>(json) else {
        // It is JSON, or it would be no message. What nobody can read might hold anything.
        let what = ("result-nested-too-deeply", Class::SecretExposure, Certainty::Certain);
        return vec![Sign::new(what, "", "", 0..0)];
    };
    let mut signs = Vec::new();
    visit(&value, "", "", &mut signs);
    signs
}

fn visit(value: &Value, name: &str, at: &str, signs: &mut Vec<Sign>) {
    match value {
        // Pictures, sounds and files.
        Value::String(_) if matches!(name, "data" | "blob") && at.ends_with(name) && is_base64(value) => {}
        Value::String(text) => {
            for secret in secrets::find_in(name, text) {
                let certainty = if secret.is_certain { Certainty::Certain } else { Certainty::Likely };
                let is_new = || !signs.iter().any(|sign| sign.certainty == Certainty::Certain);
                if signs.len() < SIGNS_MAX || secret.is_certain && is_new() {
                    signs.push(Sign::of_secret("secret-in-result", certainty, at, &secret));
                }
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(idx, item)| visit(item, name, &format!("{at}/{idx}"), signs));
        }
        Value::Object(members) => members
            .iter()
            .for_each(|(name, member)| visit(member, name, &format!("{at}/{}", escaped(name)), signs)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether it is one long word of base 64, in which a form would stand by chance.
fn is_base64(value: &Value) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    value.as_str().is_some_and(|text| text.len() > 256 && text.bytes().all(is_letter))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::in_result;
    use crate::Certainty;

    /// Each line is what a server answers, and what that shows. `^` is left out: in no file of ours a secret stands as one.
    #[test]
    fn answers_show_what_the_labels_say() {
        let (mut wrong, mut count) = (Vec::new(), 0);
        for line in include_str!("labelled_results.txt").lines() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (result, expect) = line.rsplit_once(" => ").unwrap();
            let signs = in_result(&result.replace('^', ""));
            let told = signs.iter().map(|sign| {
                let mark = if sign.certainty == Certainty::Certain { "!" } else { "" };
                format!("{mark}{}", sign.shown.split(' ').next().unwrap_or_default())
            });
            let told = told.collect::<Vec<_>>().join(",");
            let told = if told.is_empty() { "-" } else { &told };
            if told != expect {
                wrong.push(format!("{line}\n   but: {told}"));
            }
            count += 1;
        }
        assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
        assert!(count > 30, "{count}");
    }

    #[test]
    fn a_sign_says_form_length_and_place_and_not_the_secret() {
        let secret = "gh^p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17".replace('^', "");
        let result = json!({"content": [{"type": "text", "text": format!("token: {secret}, use it")}]});
        let signs = in_result(&result.to_string());
        assert_eq!(signs.len(), 1, "{signs:?}");
        let words = signs[0].to_string();
        assert_eq!(
            words,
            "secret_exposure (secret-in-result) at `/content/0/text`: github-token of 40 bytes"
        );
    }

    #[test]
    fn nobody_gets_by_with_much_of_it() {
        let secret = "gh^p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17".replace('^', "");
        let is_sure = |json: &str| in_result(json).iter().any(|sign| sign.certainty == Certainty::Certain);
        // Letters in code, many others before it, much text before it, deeply nested.
        let coded: String = secret.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
        assert!(is_sure(&format!("{{\"content\":[{{\"text\":\"{coded}\"}}]}}")));
        let likely = "gh^p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18".replace('^', "");
        assert!(is_sure(&json!({"a": vec![likely; 100], "b": secret}).to_string()));
        assert!(is_sure(&json!({"a": format!("{} {secret}", "word ".repeat(1 << 18))}).to_string()));
        let deep = format!("{{\"a\":{}\"{secret}\"{}}}", "[".repeat(200), "]".repeat(200));
        assert!(is_sure(&deep));
    }
}
