//! Owns throwing any bytes at the parser of runbooks: it has to come back, with lines that are in the text.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let n_lines = bytes.split(|b| *b == b'\n').count();
    let (runbook, diagnostics) = runbook::parse("fuzz.md", bytes);
    for diagnostic in &diagnostics {
        assert!((1..=n_lines.max(1)).contains(&diagnostic.line), "{diagnostic:?}");
    }
    for unit in runbook.procedures.iter().flat_map(runbook::Procedure::units) {
        assert!((1..=n_lines).contains(&unit.line), "{unit:?}");
    }
});
