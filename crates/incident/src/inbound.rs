//! Owns which alerts of other systems stand: a fold over what was heard of them. Whoever tells us tells us several times,
//! late, and not in order; and two who watch the same tell us both.
//!
//! - An alert is known by its fingerprint, and one time of its firing by its start.
//! - What was said before does nothing; nor does what began before the end that was heard last: it is late, or replayed.
//! - What began before the moment up to which ends were forgotten is over as well, if it does not stand.
//! - Two Alertmanagers may have seen the beginning at different moments; while an alert stands, that is still one.

mod forgetting;

use std::collections::BTreeMap;

use crate::record::{Heard, HeardState};
pub(crate) use forgetting::Forgetting;

/// How far apart the starts of one alert may be that two systems tell of: an evaluation or two of their rules.
const SAME_START_MS: i64 = 5 * 60_000;

/// How many alerts may stand at a time. Nobody could answer more, and each is looked at in every evaluation.
pub const STANDING_MAX: usize = 10_000;

/// How many alerts that are over are kept in mind, so that what is replayed does nothing.
const OVER_MAX: usize = 50_000;

/// The alerts of other systems.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Inbound {
    standing: BTreeMap<String, Standing>,
    over: BTreeMap<String, Over>,
    /// Ends before this moment may have been forgotten, in milliseconds since the Unix epoch.
    forgotten_ms: i64,
}

/// An alert that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What was heard.
    pub heard: Heard,
    /// Who told of it first.
    pub from: String,
    /// When it was written down, in milliseconds since the Unix epoch.
    pub since_ms: i64,
}

/// The last end of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Over {
    started_ms: i64,
    ended_ms: i64,
}

/// What is to be made of something heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// It is news, and is written down.
    News,
    /// It was said before.
    Known,
    /// It began before the end that was heard last: late, or replayed.
    Old,
    /// Another alert with other labels has the same fingerprint.
    Collides,
    /// So many stand that no more are taken.
    Full,
}

// === impl Verdict ===

impl Verdict {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::News => "news",
            Self::Known => "known",
            Self::Old => "old",
            Self::Collides => "collides",
            Self::Full => "full",
        }
    }
}

// === impl Inbound ===

impl Inbound {
    /// The alerts that stand, in the order of their fingerprints.
    pub(crate) fn standing(&self) -> impl Iterator<Item = &Standing> {
        self.standing.values()
    }

    /// Decides what is to be made of one thing that was heard.
    pub(crate) fn verdict(&self, heard: &Heard) -> Verdict {
        let (standing, over) = (self.standing.get(&heard.fingerprint), self.over.get(&heard.fingerprint));
        if standing.is_some_and(|standing| !is_same(&standing.heard, heard)) {
            return Verdict::Collides;
        }
        match (heard.state, standing, over) {
            (HeardState::Firing, Some(standing), _) => {
                let later_ms = heard.started_ms.saturating_sub(standing.heard.started_ms);
                if later_ms > SAME_START_MS && !heard.start_guessed { Verdict::News } else { Verdict::Known }
            }
            (HeardState::Firing, None, Some(over)) if heard.started_ms <= over.ended_ms => Verdict::Old,
            (HeardState::Firing, None, None) if heard.started_ms < self.forgotten_ms => Verdict::Old,
            (HeardState::Firing, None, _) if self.standing.len() >= STANDING_MAX => Verdict::Full,
            (HeardState::Firing, None, _) => Verdict::News,
            (HeardState::Resolved, Some(standing), _) => {
                let is_before = heard.ended_ms.is_some_and(|ended_ms| ended_ms < standing.heard.started_ms);
                if is_before { Verdict::Old } else { Verdict::News }
            }
            // The end of what nobody told of is kept in mind too: its beginning may be on its way still.
            (HeardState::Resolved, None, Some(over)) if end_ms(heard) <= over.ended_ms => Verdict::Known,
            (HeardState::Resolved, None, None) if end_ms(heard) < self.forgotten_ms => Verdict::Known,
            (HeardState::Resolved, None, _) => Verdict::News,
        }
    }

    /// Takes in what was written down at `at_ms`.
    pub(crate) fn take(&mut self, at_ms: i64, from: &str, heard: &Heard) {
        match heard.state {
            HeardState::Firing => {
                self.over.remove(&heard.fingerprint);
                let standing = Standing { heard: heard.clone(), from: from.to_owned(), since_ms: at_ms };
                self.standing.insert(heard.fingerprint.clone(), standing);
            }
            HeardState::Resolved => {
                let before = self.standing.remove(&heard.fingerprint);
                let started_ms = before.map_or(heard.started_ms, |before| before.heard.started_ms);
                // Whoever has a clock that is ahead would keep us from hearing of the next one.
                let over = Over { started_ms, ended_ms: end_ms(heard).min(at_ms) };
                self.over.insert(heard.fingerprint.clone(), over);
                if self.over.len() > OVER_MAX
                    && let Some(oldest) = self.over.iter().min_by_key(|(_, over)| over.ended_ms)
                {
                    let oldest = oldest.0.clone();
                    self.over.remove(&oldest);
                }
            }
        }
    }

    /// Takes in that ends before this moment are forgotten.
    pub(crate) fn forget(&mut self, before_ms: i64) {
        self.forgotten_ms = self.forgotten_ms.max(before_ms);
    }

    /// The part of it that is about these, with room for as many more as the whole has.
    pub(crate) fn part<'a>(&self, about: impl Iterator<Item = &'a Heard>) -> Part {
        let mut known = Self { forgotten_ms: self.forgotten_ms, ..Self::default() };
        for heard in about {
            let name = &heard.fingerprint;
            known.standing.extend(self.standing.get(name).map(|one| (name.clone(), one.clone())));
            known.over.extend(self.over.get(name).map(|over| (name.clone(), *over)));
        }
        let others = self.standing.len() - known.standing.len();
        Part { known, others }
    }
}

/// What is known of the alerts of one message, on which it is tried before it is written down.
pub(crate) struct Part {
    known: Inbound,
    /// How many others stand.
    others: usize,
}

// === impl Part ===

impl Part {
    /// Decides on the next one of the message, after those before it.
    pub(crate) fn next(&mut self, at_ms: i64, from: &str, heard: &Heard) -> Verdict {
        let verdict = match self.known.verdict(heard) {
            Verdict::News
                if heard.state == HeardState::Firing
                    && !self.known.standing.contains_key(&heard.fingerprint)
                    && self.others + self.known.standing.len() >= STANDING_MAX =>
            {
                Verdict::Full
            }
            verdict => verdict,
        };
        if verdict == Verdict::News {
            self.known.take(at_ms, from, heard);
        }
        verdict
    }
}

/// When what is over ended, as far as it says so.
fn end_ms(heard: &Heard) -> i64 {
    heard.ended_ms.unwrap_or(heard.started_ms).max(heard.started_ms)
}

/// Whether both are about one alert: the same name and server. What else the labels say may differ where they do not tell
/// alerts apart.
fn is_same(one: &Heard, other: &Heard) -> bool {
    (&one.name, &one.server) == (&other.name, &other.server)
}

#[cfg(test)]
mod tests;
