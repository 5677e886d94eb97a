//! Owns the findings of our own commands: written to `$PARAMEDIC_FINDINGS` where a step of an incident runs them.

use std::fs::OpenOptions;
use std::io::Write as _;

use diagnosis::Finding;

/// Writes down what a command found about a server. That nobody asked for it is no failure, and neither is a full disk:
/// the command has its answer.
pub(crate) fn note(findings: &[Finding]) {
    let Some(path) = std::env::var_os("PARAMEDIC_FINDINGS").filter(|path| !path.is_empty()) else { return };
    let lines: String = findings.iter().map(|finding| finding.to_line() + "\n").collect();
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(lines.as_bytes()));
    if let Err(error) = written {
        anstream::eprintln!(
            "paramedic: the findings could not be written to {}: {error}",
            path.to_string_lossy()
        );
    }
}
