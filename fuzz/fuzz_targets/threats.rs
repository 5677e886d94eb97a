//! Owns throwing any text at what looks for attacks and secrets: nothing breaks it, it says nothing of a secret but its form, and
//! what is a secret for sure is hidden wherever secrets are hidden.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logs::{redact, secrets};
use threats::{Allowed, definitions, in_call, in_definition, in_result};

fuzz_target!(|input: (&str, &str)| {
    let (name, text) = input;
    let arguments = serde_json::json!({ name: text }).to_string();
    let mut signs = in_call("t", &arguments, &Allowed::default());
    signs.extend(in_call("t", text, &Allowed::default()));
    signs.extend(in_result(&arguments));
    signs.extend(in_result(text));
    signs.extend(definitions(text).iter().flat_map(in_definition));
    assert!(signs.iter().all(|sign| !sign.shown.chars().any(char::is_control)));
    for secret in secrets::find(text).iter().filter(|secret| secret.is_certain) {
        let word = &text[secret.at.clone()];
        assert!(secrets::may_hold(text), "a look at the bytes leaves out {word:?}");
        assert!(signs.iter().all(|sign| !sign.shown.contains(word)), "{word:?} is shown");
        assert!(!redact::text(text).contains(word), "{word:?} is not hidden");
    }
});
