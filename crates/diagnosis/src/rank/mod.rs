//! Owns ranking: every rule looks at the findings, and the best rule of a cause is the score of that cause.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use serde::Serialize;

use crate::cause::Cause;
use crate::finding::Finding;
use crate::pattern::{Known, Pattern};
use crate::rules::{RULES, Rule};

/// What a symptom alone brings; whoever has less is a hint.
pub const SCORE_MIN: u32 = 40;
/// What one more piece of evidence usually brings: closer than that, the next finding could turn it around.
pub const MARGIN: u32 = 10;
/// A pattern that so many findings show is shown; a thousand dependencies are not listed.
const FINDINGS_SHOWN: usize = 8;

/// A cause that some rule spoke of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranked {
    /// The cause.
    pub cause: Cause,
    /// The points of its best rule, of 100; 0 where everything that spoke for it was ruled out.
    pub score: u32,
    /// The rules that spoke, best first.
    pub rules: Vec<Spoken>,
}

/// A rule of which all needs were there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spoken {
    /// Its points before anything strengthened it or ruled it out.
    pub weight: u32,
    /// Its points with everything that strengthened it; 0 where it was ruled out.
    pub score: u32,
    /// Why.
    pub reasons: Vec<Evidence>,
}

/// A pattern, and the findings that show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// What it does to the rule.
    pub role: Role,
    /// What it says: a lower-case fragment.
    pub says: &'static str,
    /// The findings that show it.
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub more: usize,
}

/// What a pattern does to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The rule needs it.
    Needed,
    /// It adds these points.
    Strengthened(u32),
    /// It takes all points.
    RuledOut,
}

/// What the ranks come to.
pub(crate) enum Conclusion<'a> {
    Named(&'a Ranked),
    /// No rule spoke.
    Nothing,
    /// All that spoke was ruled out.
    RuledOut,
    /// The best is no more than a hint.
    Weak(&'a Ranked),
    /// The best two are too close to each other.
    Close(&'a Ranked, &'a Ranked),
}

/// Ranks the causes that the findings speak for, best first, in the order of the catalogue where they are equal.
///
/// Causes that were ruled out stand at the end, without points: why not is an answer too.
pub fn rank(findings: &[Finding]) -> Vec<Ranked> {
    let known = Known::new(findings);
    let mut ranked: Vec<Ranked> = Cause::ALL.iter().filter_map(|cause| Ranked::of(*cause, &known)).collect();
    ranked.sort_by_key(|ranked| Reverse(ranked.score));
    ranked
}

/// Returns the best of what [`rank`] gave, if it has [`SCORE_MIN`] and is [`MARGIN`] above the next.
///
/// Otherwise nobody knows, and the way is the one for all causes.
pub fn named(ranked: &[Ranked]) -> Option<&Ranked> {
    match Conclusion::of(ranked) {
        Conclusion::Named(best) => Some(best),
        _ => None,
    }
}

// === impl Ranked ===

impl Ranked {
    fn of(cause: Cause, known: &Known<'_>) -> Option<Self> {
        let rules = RULES.iter().filter(|rule| rule.cause == cause);
        let mut rules: Vec<Spoken> = rules.filter_map(|rule| Spoken::of(rule, known)).collect();
        rules.sort_by_key(|spoken| Reverse(spoken.score));
        let score = rules.first()?.score;
        Some(Self { cause, score, rules })
    }
}

// === impl Spoken ===

impl Spoken {
    fn of(rule: &Rule, known: &Known<'_>) -> Option<Self> {
        let needed = rule.needs.iter().map(|need| Evidence::of(need, Role::Needed, known));
        let mut reasons = needed.collect::<Option<Vec<_>>>()?;
        let mut score = rule.weight;
        for (pattern, points) in rule.strengthened_by {
            if let Some(evidence) = Evidence::of(pattern, Role::Strengthened(*points), known) {
                score += points;
                reasons.push(evidence);
            }
        }
        for pattern in rule.ruled_out_by {
            if let Some(evidence) = Evidence::of(pattern, Role::RuledOut, known) {
                score = 0;
                reasons.push(evidence);
            }
        }
        Some(Self { weight: rule.weight, score, reasons })
    }
}

// === impl Evidence ===

impl Evidence {
    fn of(pattern: &Pattern, role: Role, known: &Known<'_>) -> Option<Self> {
        let found = pattern.find(known)?;
        let findings: Vec<_> = found.iter().take(FINDINGS_SHOWN).copied().cloned().collect();
        let more = found.len() - findings.len();
        Some(Self { role, says: pattern.says, findings, more })
    }
}

// === impl Conclusion ===

impl<'a> Conclusion<'a> {
    pub(crate) fn of(ranked: &'a [Ranked]) -> Self {
        let Some(best) = ranked.first() else { return Self::Nothing };
        let second = ranked.get(1).filter(|second| second.score + MARGIN > best.score);
        match second {
            _ if best.score == 0 => Self::RuledOut,
            _ if best.score < SCORE_MIN => Self::Weak(best),
            Some(second) => Self::Close(best, second),
            None => Self::Named(best),
        }
    }
}
