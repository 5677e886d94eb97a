//! Owns what the last errors in a server's log are about.

use std::path::Path;

use diagnosis::{Finding, kind, log_error};

/// The errors of the last minutes have to do with the trouble of now.
const SINCE_MS: i64 = 10 * 60 * 1000;
/// More is a storm of the same.
const LINES_MAX: usize = 2000;
/// What counts as said in distress.
const LEVELS: [&str; 4] = ["error", "critical", "fatal", "warning"];

/// What a log says; nothing where there is none, or no error is new in it.
pub(super) fn found(path: &Path, server: &str, now_ms: i64) -> Option<Finding> {
    let wanted = logs::Wanted { lines_max: LINES_MAX, since_ms: Some(now_ms - SINCE_MS) };
    let tail = logs::tail(path, wanted).ok()?;
    let lines: Vec<String> = tail
        .lines
        .iter()
        .rev()
        .filter_map(|line| match line.said() {
            Some(said) if LEVELS.contains(&said.level.to_lowercase().as_str()) => Some(said.message),
            Some(_) => None,
            None => Some(line.text()),
        })
        .collect();
    let (class, idx) = log_error(&lines)?;
    Some(Finding::new(kind::LOG_ERROR, server).with_value(class).with_message(&lines[idx]))
}
