//! Owns tests of rules in promtool's format: series that are made up, and the alerts and samples that rules shall make of them.

mod file;
mod moment;
mod run;

use serde::Serialize;

pub use file::{RuleTestFile, parse_rule_tests};

/// A test that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleTestFailure {
    /// The name of the group of tests; its number, counted from 1, where it has none.
    pub test: String,
    /// The line of the test in its file, counted from 1.
    pub line: usize,
    /// What was tested, and when.
    pub what: String,
    /// What was expected, and what was found; or why there was no answer.
    pub message: String,
}

#[cfg(test)]
mod tests;
