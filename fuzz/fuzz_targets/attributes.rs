//! Owns throwing any text at the attributes of a fence: the fence stays one, and what is not understood is said.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if text.contains(['\n', '\r', '`']) {
        return;
    }
    let document = format!(
        "## P\n\n### Alert: A\n\n### Now (0-5 minutes)\n\n1. **S**\n\n   ```bash {text}\n   true\n   ```\n"
    );
    let (runbook, _) = runbook::parse("fuzz.md", document.as_bytes());
    let fences: usize =
        runbook.procedures.iter().flat_map(runbook::Procedure::steps).map(|step| step.fences.len()).sum();
    assert_eq!(fences, 1, "{text:?}");
});
