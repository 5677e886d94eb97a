//! Owns what came of the last check of each bundle, `evidence-checks.json`: who has checked it, when, and what was wrong.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::api::wire::BundleCheck;
use crate::config::Config;
use crate::document::{self, Document, DocumentError};

/// The one version that there is.
const VERSION: u32 = 1;
/// Checks that are kept: those of the newest bundles.
const CHECKS_MAX: usize = 5_000;
/// Problems of one bundle that are kept, and how long each may be, in characters: a check says all of them.
const PROBLEMS_MAX: usize = 3;
const PROBLEM_CHARS_MAX: usize = 200;

/// The last checks, by the names of the bundles.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checks {
    version: u32,
    bundles: BTreeMap<String, BundleCheck>,
}

/// Why checks are not known or not written down.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChecksError {
    #[error("it is not understood")]
    Content(#[from] serde_json::Error),
    #[error("it is of version {0}, and this program knows version {VERSION}")]
    Version(u32),
}

// === impl Checks ===

impl Default for Checks {
    fn default() -> Self {
        Self { version: VERSION, bundles: BTreeMap::new() }
    }
}

impl Document for Checks {
    const STEM: &'static str = "evidence-checks";
    const WHAT: &'static str = "checks of evidence";
    const ADVICE: &'static str = "; remove it: the next check of each bundle is written down anew";
    type Problem = ChecksError;

    fn parse(text: &str) -> Result<Self, ChecksError> {
        let checks: Self = serde_json::from_str(text)?;
        if checks.version == VERSION { Ok(checks) } else { Err(ChecksError::Version(checks.version)) }
    }

    fn to_json(&self) -> Result<String, ChecksError> {
        Ok(serde_json::to_string(self)?)
    }
}

impl Checks {
    fn note(&mut self, bundle: &str, check: BundleCheck) {
        let short = |problem: &String| problem.chars().take(PROBLEM_CHARS_MAX).collect::<String>();
        let problems = check.problems.iter().take(PROBLEMS_MAX).map(short).collect();
        self.bundles.insert(bundle.to_owned(), BundleCheck { problems, ..check });
        // Their names begin with the time: the first is the oldest.
        while self.bundles.len() > CHECKS_MAX {
            self.bundles.pop_first();
        }
    }
}

/// Writes down what came of a check, in the place of the one before.
pub(crate) fn note_check(
    config: &Config,
    bundle: &str,
    check: BundleCheck,
) -> Result<(), DocumentError<ChecksError>> {
    document::change(config, |checks: &mut Checks| {
        checks.note(bundle, check);
        Ok(())
    })
}

/// The last checks, by the names of the bundles.
pub(crate) fn checks(config: &Config) -> Result<BTreeMap<String, BundleCheck>, DocumentError<ChecksError>> {
    Ok(document::load::<Checks>(config)?.bundles)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(at_ms: i64, problems: &[String]) -> BundleCheck {
        let (by, sound) = ("ada".to_owned(), problems.is_empty());
        BundleCheck { at_ms, by, sound, sha256: None, problems: problems.to_vec() }
    }

    #[test]
    fn the_last_check_counts_and_the_oldest_bundles_are_forgotten() {
        let mut checks = Checks::default();
        for number in 0..CHECKS_MAX + 2 {
            checks.note(&format!("20261127_{number:06}_x"), check(1, &[]));
        }
        assert_eq!(checks.bundles.len(), CHECKS_MAX);
        assert_eq!(checks.bundles.keys().next().unwrap(), "20261127_000002_x");
        let many = vec!["é".repeat(10_000); 9];
        checks.note("20261127_000002_x", check(2, &many));
        let kept = &checks.bundles["20261127_000002_x"];
        assert_eq!((kept.at_ms, kept.sound, kept.problems.len()), (2, false, PROBLEMS_MAX));
        let text = checks.to_json().unwrap();
        let read = Checks::parse(&text).unwrap();
        assert_eq!(read.bundles, checks.bundles);
        assert!(text.len() < 1 << 20, "{} bytes", text.len());
        assert!(matches!(Checks::parse("{\"version\":2,\"bundles\":{}}"), Err(ChecksError::Version(2))));
        assert!(Checks::parse("{\"version\":1}").is_err());
    }
}
