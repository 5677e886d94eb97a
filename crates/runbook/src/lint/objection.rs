//! Owns what the rules have against running a statement: a reason to ask a person first, or not to run it at all.

use std::collections::BTreeMap;

use super::Finding;
use crate::Level;

/// Rules about what nobody can take back: a process that is ended by looking at it, data that is gone. A person who
/// means it says so in the text, with `# lint: allow CODE`, and is asked as for everything else.
const LETHAL: [&str; 2] = ["RB030", "RB033"];

/// Whether what a rule finds at the level of an error is not run at all.
pub(super) fn is_lethal(code: &str) -> bool {
    LETHAL.contains(&code)
}

/// What the rules have against a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// The code of the rule, such as `RB033`.
    pub code: &'static str,
    /// What is the matter, and what to do instead.
    pub reason: String,
    /// Whether the statement is not run at all; otherwise it is not run without a person where it changes something.
    pub lethal: bool,
}

/// The objections to the statements of a document, by the id of their procedure and their own.
#[derive(Debug, Clone, Default)]
pub struct Objections(BTreeMap<(String, String), Objection>);

// === impl Objections ===

impl Objections {
    /// Takes from the findings about each statement the gravest.
    pub fn new(findings: &[Finding]) -> Self {
        let mut all: BTreeMap<(String, String), Objection> = BTreeMap::new();
        for finding in findings.iter().filter(|finding| finding.blocks_auto_run) {
            let (Some(procedure), Some(unit)) = (&finding.procedure, &finding.unit) else { continue };
            let lethal = finding.level == Level::Error && is_lethal(finding.code);
            let known = all.get(&(procedure.clone(), unit.clone()));
            if known.is_some_and(|known| known.lethal || !lethal) {
                continue;
            }
            let reason = format!("{}: {}; {}", finding.code, finding.message, finding.hint);
            all.insert((procedure.clone(), unit.clone()), Objection { code: finding.code, reason, lethal });
        }
        Self(all)
    }

    /// What there is against a statement.
    pub fn of(&self, procedure: &str, unit: &str) -> Option<&Objection> {
        // The map is small, and asked once for each statement that is run.
        self.0.get(&(procedure.to_owned(), unit.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::{Config, lint};

    #[track_caller]
    fn check(statement: &str, expect: Option<(&str, bool)>) {
        let text = format!("## P\n\n### Alert: A\n\n1. **One**\n\n   ```bash\n   {statement}\n   ```\n");
        let findings = lint("x.md", text.as_bytes(), &Config::default(), None);
        let objections = Objections::new(&findings);
        let found = objections.of("p", "1.1").map(|one| (one.code, one.lethal));
        assert_eq!(found, expect, "{statement}: {findings:#?}");
    }

    #[test]
    fn the_gravest_counts() {
        check("uptime", None);
        check("touch ${SERVER_NAME}", Some(("RB003", false)));
        check("jmap -histo ${PID}", Some(("RB033", true)));
        check("crontab jobs", Some(("RB030", true)));
    }

    #[test]
    fn who_means_it_says_so() {
        check("crontab jobs # lint: allow RB030", None);
    }
}
