//! Owns what the last errors in a server's log are about.

use std::path::Path;

use diagnosis::{Finding, Severity, kind, log_error};

use super::numbers::Recovered;

/// The errors of the last minutes have to do with the trouble of now.
const SINCE_MS: i64 = 10 * 60 * 1000;
/// More is a storm of the same.
const LINES_MAX: usize = 2000;
/// What counts as said in distress.
const LEVELS: [&str; 4] = ["error", "critical", "fatal", "warning"];

/// Right behind the recovery of a dependency errors are about what was before it.
const GRACE_MS: i64 = 10_000;
/// One or two are tries that came too early.
const STALE_MIN: usize = 3;

/// Whether a server goes on logging errors about connections after a dependency of it was back: it holds on to old ones.
pub(super) fn stale(path: &Path, recovered: &Recovered) -> Option<Finding> {
    let since_ms = recovered.at_ms.saturating_add(GRACE_MS);
    let tail = logs::tail(path, logs::Wanted { lines_max: LINES_MAX, since_ms: Some(since_ms) }).ok()?;
    let errors = errors(&tail);
    let about: Vec<&String> = errors
        .iter()
        .filter(|line| log_error(&[line]).is_some_and(|(class, _)| class == "connection"))
        .collect();
    let last = about.first().filter(|_| about.len() >= STALE_MIN)?;
    let finding = Finding::new(kind::ERRORS_AFTER_RECOVERY, &recovered.dependency);
    Some(finding.with_value(about.len() as u64).with_severity(Severity::Warning).with_message(last))
}

/// The lines that were said in distress, the newest first.
fn errors(tail: &logs::Tail) -> Vec<String> {
    let error = |line: &logs::Line| match line.said() {
        Some(said) if LEVELS.contains(&said.level.to_lowercase().as_str()) => Some(said.message),
        Some(_) => None,
        None => Some(line.text()),
    };
    tail.lines.iter().rev().filter_map(error).collect()
}

/// What a log says; nothing where there is none, or no error is new in it.
pub(super) fn found(path: &Path, server: &str, now_ms: i64) -> Option<Finding> {
    let wanted = logs::Wanted { lines_max: LINES_MAX, since_ms: Some(now_ms - SINCE_MS) };
    let tail = logs::tail(path, wanted).ok()?;
    let lines = errors(&tail);
    let (class, idx) = log_error(&lines)?;
    Some(Finding::new(kind::LOG_ERROR, server).with_value(class).with_message(&lines[idx]))
}
