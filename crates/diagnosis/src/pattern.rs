//! Owns what a rule looks for in findings: tests of one finding, and patterns of several about one subject.

use std::collections::BTreeMap;
use std::fmt;

use crate::finding::{Finding, Scalar, Severity};
use crate::kind::Kind;

/// What has to be known of one and the same subject, and of how many subjects.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    /// What it means when it is there: a lower-case fragment.
    pub says: &'static str,
    /// Each holds for a finding about the same subject.
    pub tests: &'static [Test],
    /// Of so many different subjects.
    pub subjects_min: usize,
}

/// What one finding has to be.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    /// Its kind.
    pub kind: Kind,
    /// Its value.
    pub is: Is,
    /// Its severity, or a greater one.
    pub severity_min: Severity,
}

/// What a value has to be.
#[derive(Clone, Copy, Debug)]
pub enum Is {
    /// There, and if it has a value, neither false nor 0.
    So,
    /// Exactly one of these words.
    OneOf(&'static [&'static str]),
    /// Text that begins like this.
    Begins(&'static str),
    /// This number, or a greater one.
    AtLeast(f64),
    /// This number, or a smaller one.
    AtMost(f64),
}

/// Findings, each once, by what they are about, in an order that does not depend on the order in which they came.
pub(crate) struct Known<'a> {
    by_subject: BTreeMap<&'a str, Vec<&'a Finding>>,
}

// === impl Pattern ===

impl Pattern {
    /// Returns the findings that make it hold, or `None` where it does not.
    pub(crate) fn find<'a>(&self, known: &Known<'a>) -> Option<Vec<&'a Finding>> {
        let mut found = Vec::new();
        let mut n_subjects = 0;
        for findings in known.by_subject.values() {
            let held = |test: &Test| findings.iter().any(|finding| test.holds(finding));
            if self.tests.iter().all(held) {
                let counts = |finding: &&&Finding| self.tests.iter().any(|test| test.holds(finding));
                found.extend(findings.iter().filter(counts).copied());
                n_subjects += 1;
            }
        }
        (n_subjects >= self.subjects_min.max(1)).then_some(found)
    }
}

// === impl Test ===

impl Test {
    fn holds(&self, finding: &Finding) -> bool {
        finding.kind() == self.kind.name
            && finding.severity() >= self.severity_min
            && self.is.holds(finding.value())
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.kind.name)?;
        match self.is {
            Is::So => {}
            Is::OneOf(words) => write!(f, " = {}", words.join(" or "))?,
            Is::Begins(start) => write!(f, " = {}…", start.trim_end())?,
            Is::AtLeast(number) => write!(f, " ≥ {number}")?,
            Is::AtMost(number) => write!(f, " ≤ {number}")?,
        }
        if self.severity_min == Severity::Critical { f.write_str(", critical") } else { Ok(()) }
    }
}

// === impl Is ===

impl Is {
    fn holds(self, value: Option<&Scalar>) -> bool {
        let number = value.and_then(Scalar::number);
        let text = match value {
            Some(Scalar::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        match self {
            Self::So => value != Some(&Scalar::Truth(false)) && text != Some("false") && number != Some(0.0),
            Self::OneOf(words) => text.is_some_and(|text| words.contains(&text)),
            Self::Begins(start) => text.is_some_and(|text| text.starts_with(start)),
            Self::AtLeast(least) => number.is_some_and(|number| number >= least),
            Self::AtMost(most) => number.is_some_and(|number| number <= most),
        }
    }
}

// === impl Known ===

impl<'a> Known<'a> {
    pub(crate) fn new(findings: &'a [Finding]) -> Self {
        let mut sorted: Vec<_> = findings.iter().map(|finding| (finding.to_line(), finding)).collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        sorted.dedup_by(|a, b| a.0 == b.0);
        let mut by_subject: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
        for (_, finding) in sorted {
            by_subject.entry(finding.subject()).or_default().push(finding);
        }
        Self { by_subject }
    }
}

#[cfg(test)]
mod tests {
    use super::Is;
    use crate::finding::Scalar;

    #[track_caller]
    fn check(is: Is, value: impl Into<Scalar>, expect: bool) {
        let value = value.into();
        assert_eq!(is.holds(Some(&value)), expect, "{is:?} {value}");
    }

    #[test]
    fn values() {
        assert!(Is::So.holds(None) && !Is::AtLeast(0.0).holds(None) && !Is::OneOf(&[""]).holds(None));
        check(Is::So, true, true);
        check(Is::So, 3_i64, true);
        check(Is::So, "ann", true);
        check(Is::So, false, false);
        check(Is::So, "false", false);
        check(Is::So, 0_i64, false);
        check(Is::So, "0", false);
        check(Is::OneOf(&["ok", "no"]), "no", true);
        check(Is::OneOf(&["ok", "no"]), "No", false);
        check(Is::OneOf(&["7"]), 7_i64, false);
        check(Is::Begins("code "), "code 1", true);
        check(Is::Begins("code "), "a code 1", false);
        check(Is::AtLeast(99.0), 99_i64, true);
        check(Is::AtLeast(99.0), "99.5", true);
        check(Is::AtLeast(99.0), 98.9, false);
        check(Is::AtMost(5.0), 5_u64, true);
        check(Is::AtMost(5.0), "soon", false);
    }
}
