//! Owns throwing any text at the reader of shell: its units stand in the fence, in order, and only blanks, separators
//! and comments stand between them; and no text is milder with `rm -rf x` behind it than `rm -rf x` is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runbook::{Effect, Unit};

fuzz_target!(|text: &str| {
    let Some(units) = units(text) else { return };
    let source: String = text.lines().map(|line| format!("{line}\n")).collect();
    let mut rest = source.as_str();
    for unit in &units {
        // A comment may hold the same words.
        let found = rest.match_indices(unit.source.as_str()).map(|(at, _)| at).find(|at| is_gap(&rest[..*at]));
        let Some(at) = found else {
            panic!("{:?} does not stand in {rest:?} behind blanks and comments", unit.source);
        };
        rest = &rest[at + unit.source.len()..];
    }
    if let Some(units) = self::units(&format!("{text}\n\nrm -rf x\n")) {
        // A comment or a quote that does not close may swallow it, and then nobody understands the whole.
        let worst = units.iter().map(|unit| unit.effect).max();
        assert!(worst >= Some(Effect::Destroy), "{units:?}");
    }
});

/// Whether a text between two units holds nothing but separators and comments, all of them over.
fn is_gap(text: &str) -> bool {
    if text.rsplit('\n').next().is_some_and(|last| last.contains('#')) {
        return false;
    }
    let code = |line: &str| line.split('#').next().unwrap_or_default().trim_matches([' ', '\t', ';']).is_empty();
    text.replace("\\\n", " ").lines().all(code)
}

/// The units of a fence with this text; none where the text would end the fence, or where Markdown has line ends of
/// its own.
fn units(text: &str) -> Option<Vec<Unit>> {
    if text.contains("~~~~~") || text.contains('\r') || text.trim().is_empty() {
        return None;
    }
    let indented: String = text.lines().map(|line| format!("   {line}\n")).collect();
    let document = format!(
        "## P\n\n### Alert: A\n\n### Now (0-5 minutes)\n\n1. **S**\n\n   ~~~~~bash\n{indented}   ~~~~~\n"
    );
    let (runbook, _) = runbook::parse("fuzz.md", document.as_bytes());
    let procedure = runbook.procedures.into_iter().next()?;
    Some(procedure.units().cloned().collect())
}
