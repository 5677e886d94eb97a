//! Owns the decision which records on alerts of other systems nobody needs any more.
//!
//! Which alerts stand is a fold in which the last word on an alert counts. So a record goes where it is old and is not the
//! last word on an alert that stands; and where a record stays, the last words on all of its alerts stay with it, or one that
//! is over would stand again. The ends that go are remembered by one moment: what began before it is over.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::record::{Heard, HeardState};

/// Records on alerts, as far as forgetting is about them.
#[derive(Debug, Default)]
pub(crate) struct Forgetting {
    /// What each record is about: its time, and the number of each alert in it.
    records: BTreeMap<i64, (i64, Vec<usize>)>,
    numbers: HashMap<String, usize>,
    /// The last word on each alert: its record, and whether the alert stands.
    last: Vec<(i64, bool)>,
}

// === impl Forgetting ===

impl Forgetting {
    /// Takes in the record at `seq`; those before it were taken in before.
    pub(crate) fn take(&mut self, seq: i64, at_ms: i64, alerts: &[Heard]) {
        let mut about = Vec::with_capacity(alerts.len());
        for heard in alerts {
            let next = self.numbers.len();
            let number = *self.numbers.entry(heard.fingerprint.clone()).or_insert(next);
            let word = (seq, heard.state == HeardState::Firing);
            match self.last.get_mut(number) {
                Some(last) => *last = word,
                None => self.last.push(word),
            }
            about.push(number);
        }
        self.records.insert(seq, (at_ms, about));
    }

    /// The places of the records that nobody needs, where those before `before_ms` are old.
    pub(crate) fn forgettable(&self, before_ms: i64) -> BTreeSet<i64> {
        let stands = self.last.iter().filter(|(_, stands)| *stands).map(|(seq, _)| *seq);
        let young = self.records.iter().filter(|(_, (at_ms, _))| *at_ms >= before_ms).map(|(seq, _)| *seq);
        let mut stays: BTreeSet<i64> = stands.chain(young).collect();
        let mut looked_at: Vec<i64> = stays.iter().copied().collect();
        while let Some(seq) = looked_at.pop() {
            let Some((_, about)) = self.records.get(&seq) else { continue };
            for number in about {
                let (last, _) = self.last[*number];
                if stays.insert(last) {
                    looked_at.push(last);
                }
            }
        }
        self.records.keys().copied().filter(|seq| !stays.contains(seq)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::inbound::{Inbound, Verdict};

    fn heard(name: usize, state: HeardState, at_ms: i64) -> Heard {
        let is_over = state == HeardState::Resolved;
        Heard {
            name: format!("A{name}"),
            server: "notes".to_owned(),
            fingerprint: format!("A{name}"),
            state,
            started_ms: at_ms,
            start_guessed: false,
            ended_ms: is_over.then_some(at_ms),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        }
    }

    /// Records of these alerts, one after the other: a capital letter fires, a small one is over.
    fn of(records: &[&str]) -> Vec<(i64, Vec<Heard>)> {
        let alert = |at_ms: i64, letter: char| {
            let state = if letter.is_uppercase() { HeardState::Firing } else { HeardState::Resolved };
            heard(letter.to_ascii_lowercase() as usize, state, at_ms)
        };
        (1..)
            .zip(records)
            .map(|(at_ms, text)| (at_ms, text.chars().map(|one| alert(at_ms, one)).collect()))
            .collect()
    }

    fn forgettable(records: &[(i64, Vec<Heard>)], before_ms: i64) -> BTreeSet<i64> {
        let mut forgetting = Forgetting::default();
        records.iter().for_each(|(at_ms, alerts)| forgetting.take(*at_ms, *at_ms, alerts));
        forgetting.forgettable(before_ms)
    }

    #[test]
    fn what_is_over_and_old_goes() {
        let check = |records: &[&str], before_ms, expect: &[i64]| {
            assert_eq!(forgettable(&of(records), before_ms), expect.iter().copied().collect(), "{records:?}");
        };
        check(&["A", "a"], 9, &[1, 2]);
        check(&["A", "a"], 2, &[1]);
        check(&["A", "a", "A"], 9, &[1, 2]);
        check(&["A"], 9, &[]);
        // The first stays for the one that stands, and so does the end of the other one.
        check(&["AB", "b"], 9, &[]);
        check(&["AB", "a", "bC", "c"], 9, &[1, 2, 3, 4]);
        check(&["AB", "bC", "c", "D", "d"], 9, &[4, 5]);
    }

    proptest! {
        /// Whatever was heard: without the records that are forgotten the same alerts stand, and the same is made of
        /// everything that is heard next, but that the ends of long ago are known as one moment.
        #[test]
        fn nothing_else_is_forgotten(
            records in prop::collection::vec(prop::collection::vec((0..4_usize, any::<bool>()), 1..4), 1..20),
            before_ms in 0..25_i64,
            next in (0..5_usize, any::<bool>(), 0..40_i64),
        ) {
            let state = |fires| if fires { HeardState::Firing } else { HeardState::Resolved };
            let records: Vec<(i64, Vec<Heard>)> = (1..)
                .zip(records)
                .map(|(at_ms, all)| (at_ms, all.into_iter().map(|(name, fires)| heard(name, state(fires), at_ms)).collect()))
                .collect();
            let gone = forgettable(&records, before_ms);
            let (mut whole, mut rest) = (Inbound::default(), Inbound::default());
            for (at_ms, alerts) in &records {
                alerts.iter().for_each(|one| whole.take(*at_ms, "webhook", one));
                if !gone.contains(at_ms) {
                    alerts.iter().for_each(|one| rest.take(*at_ms, "webhook", one));
                }
                prop_assert!(!gone.contains(at_ms) || *at_ms < before_ms);
            }
            rest.forget(before_ms);
            let standing = |inbound: &Inbound| inbound.standing().cloned().collect::<Vec<_>>();
            prop_assert_eq!(standing(&whole), standing(&rest));
            let next = heard(next.0, state(next.1), next.2);
            let (before, after) = (whole.verdict(&next), rest.verdict(&next));
            let is_of_then = next.started_ms < before_ms && after != Verdict::News;
            prop_assert!(before == after || is_of_then, "{:?} and {:?} of {:?}", before, after, next);
        }
    }
}
