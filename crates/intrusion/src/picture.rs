//! Owns one picture of an intrusion: what all sources show in the order of time, which attacks that comes to, and how sure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::impact::{self, Impact};
use crate::sign::{Certainty, Sign};

/// The newest are kept.
const ROWS_MAX: usize = 10_000;
/// What the same one did within so long belongs together.
const TOGETHER_MS: i64 = 60 * 60 * 1000;

/// One line of the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// When: milliseconds since 1970.
    pub at_ms: i64,
    /// Where it was seen.
    pub source: String,
    /// Who took part: an address, a user, a process.
    pub who: Vec<String>,
    /// What happened.
    pub what: String,
    /// The attack that it is a sign of; none where it is what people and Paramedic did.
    pub attack: Option<String>,
    /// Whether nobody does this whose work it is.
    pub is_certain: bool,
    /// How much it was, where that is known, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// What shows it: the line, or the place of it.
    pub reference: String,
}

/// How sure it is that there was such an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Only what honest ones do too, seen by one source.
    Low,
    /// Seen by several sources, or done by somebody who did something else as well.
    Medium,
    /// At least one sign that nobody else gives.
    High,
}

/// One kind of attack in a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assessment {
    /// The attack.
    pub attack: String,
    /// How sure.
    pub confidence: Confidence,
    /// Why that sure.
    pub because: String,
    /// How many signs.
    pub signs: usize,
    /// The first: milliseconds since 1970.
    pub first_ms: i64,
    /// The last.
    pub last_ms: i64,
    /// Who took part, the most frequent ones first.
    pub who: Vec<String>,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Picture {
    /// Oldest first.
    pub timeline: Vec<Row>,
    /// The surest first.
    pub attacks: Vec<Assessment>,
    /// What may have been reached.
    pub impact: Vec<Impact>,
    /// What could not be known, a sentence each.
    pub not_known: Vec<String>,
}

// === impl Confidence ===

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        })
    }
}

// === impl Row ===

impl From<&Sign> for Row {
    fn from(sign: &Sign) -> Self {
        let peer = sign.peer.map(|peer| peer.to_string());
        let user = sign.user.as_ref().map(|user| format!("user {user}"));
        let pid = sign.pid.map(|pid| format!("process {pid}"));
        Self {
            at_ms: sign.at_ms,
            source: sign.source.clone(),
            who: [peer, user, pid].into_iter().flatten().collect(),
            what: sign.what.clone(),
            attack: Some(sign.attack.name().to_owned()),
            is_certain: sign.certainty == Certainty::Certain,
            bytes: sign.bytes,
            reference: sign.raw.clone(),
        }
    }
}

// === impl Picture ===

impl Picture {
    /// Joins what was seen. `not_known` is what could not be looked at.
    pub fn new(mut rows: Vec<Row>, mut not_known: Vec<String>) -> Self {
        rows.sort_by(|one, two| (one.at_ms, &one.source).cmp(&(two.at_ms, &two.source)));
        if rows.len() > ROWS_MAX {
            let more = rows.len() - ROWS_MAX;
            rows.drain(..more);
            not_known.push(format!("{more} older lines were left out"));
        }
        let mut by_attack: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
        for row in &rows {
            if let Some(attack) = &row.attack {
                by_attack.entry(attack).or_default().push(row);
            }
        }
        let mut attacks: Vec<Assessment> =
            by_attack.iter().map(|(attack, own)| assess(attack, own, &by_attack)).collect();
        attacks.sort_by(|one, two| (two.confidence, one.first_ms).cmp(&(one.confidence, two.first_ms)));
        let impact = impact::of(&rows);
        Self { timeline: rows, attacks, impact, not_known }
    }
}

fn assess(attack: &str, own: &[&Row], all: &BTreeMap<&str, Vec<&Row>>) -> Assessment {
    let n_certain = own.iter().filter(|row| row.is_certain).count();
    let sources: BTreeSet<&str> = own.iter().map(|row| row.source.as_str()).collect();
    let joined = all.iter().filter(|(other, _)| **other != attack).find_map(|(other, rows)| {
        let shared = |row: &&&Row| {
            let near = |mine: &&Row| (mine.at_ms - row.at_ms).abs() <= TOGETHER_MS;
            own.iter().filter(|mine| near(mine)).flat_map(|mine| &mine.who).find(|who| row.who.contains(who))
        };
        rows.iter().find_map(|row| shared(&row).map(|who| (*other, who)))
    });
    let (confidence, because) = if n_certain > 0 {
        (Confidence::High, format!("{n_certain} of {} signs nobody gives whose work it is", own.len()))
    } else if sources.len() > 1 {
        (Confidence::Medium, format!("seen by {}", sources.into_iter().collect::<Vec<_>>().join(" and ")))
    } else if let Some((other, who)) = joined {
        (Confidence::Medium, format!("{who} took part in {other} as well"))
    } else {
        (Confidence::Low, "honest ones do this too, and only one source shows it".to_owned())
    };
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for who in own.iter().flat_map(|row| &row.who) {
        *counts.entry(who).or_default() += 1;
    }
    let mut who: Vec<_> = counts.into_iter().collect();
    who.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    Assessment {
        attack: attack.to_owned(),
        confidence,
        because,
        signs: own.len(),
        first_ms: own.first().map_or(0, |row| row.at_ms),
        last_ms: own.last().map_or(0, |row| row.at_ms),
        who: who.into_iter().take(5).map(|(who, _)| who.to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(at_ms: i64, source: &str, who: &str, attack: &str, is_certain: bool) -> Row {
        Row {
            at_ms,
            source: source.to_owned(),
            who: who.split(',').filter(|who| !who.is_empty()).map(str::to_owned).collect(),
            what: "x".to_owned(),
            attack: (!attack.is_empty()).then(|| attack.to_owned()),
            is_certain,
            bytes: None,
            reference: String::new(),
        }
    }

    fn check(rows: Vec<Row>, expect: &[(&str, Confidence, usize)]) {
        let picture = Picture::new(rows, Vec::new());
        let got: Vec<_> =
            picture.attacks.iter().map(|one| (one.attack.as_str(), one.confidence, one.signs)).collect();
        assert_eq!(got, expect, "{picture:#?}");
        assert!(picture.timeline.is_sorted_by_key(|row| row.at_ms));
    }

    #[test]
    fn how_sure_it_is() {
        use Confidence::{High, Low, Medium};
        check(vec![row(1, "a", "", "", false)], &[]);
        check(vec![row(1, "a", "10.0.0.1", "guessing", false)], &[("guessing", Low, 1)]);
        check(
            vec![row(2, "a", "10.0.0.1", "guessing", false), row(1, "b", "10.0.0.2", "guessing", false)],
            &[("guessing", Medium, 2)],
        );
        check(
            vec![
                row(1, "a", "10.0.0.1", "guessing", false),
                row(2, "a", "10.0.0.1,user x", "stolen_access", true),
            ],
            &[("stolen_access", High, 1), ("guessing", Medium, 1)],
        );
        // The same address a day later is another story.
        check(
            vec![
                row(1, "a", "10.0.0.1", "guessing", false),
                row(90_000_000, "a", "10.0.0.1", "persistence", false),
            ],
            &[("guessing", Low, 1), ("persistence", Low, 1)],
        );
    }

    #[test]
    fn a_flood_is_cut_and_says_so() {
        let rows = (0..ROWS_MAX as i64 + 5).map(|n| row(n, "a", "", "guessing", false)).collect();
        let picture = Picture::new(rows, Vec::new());
        assert_eq!((picture.timeline.len(), picture.not_known.len()), (ROWS_MAX, 1));
    }
}
