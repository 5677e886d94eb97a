//! Tests of what is made of alerts that are heard twice, late, and not in order.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const MINUTE_MS: i64 = 60_000;

fn heard(name: &str, state: HeardState, started_ms: i64, ended_ms: Option<i64>) -> Heard {
    Heard {
        name: name.to_owned(),
        server: "notes".to_owned(),
        fingerprint: format!("{name}-notes"),
        state,
        started_ms,
        start_guessed: false,
        ended_ms,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
    }
}

fn firing(started_ms: i64) -> Heard {
    heard("Down", HeardState::Firing, started_ms, None)
}

fn resolved(started_ms: i64, ended_ms: i64) -> Heard {
    heard("Down", HeardState::Resolved, started_ms, Some(ended_ms))
}

/// Hears one after the other, a minute apart from the tenth on, and says what is made of each.
#[track_caller]
fn check(all: &[Heard], expect: &[Verdict], standing: usize) {
    let mut inbound = Inbound::default();
    let verdicts: Vec<Verdict> = (10..)
        .zip(all)
        .map(|(minute, heard)| {
            let at_ms = minute * MINUTE_MS;
            let verdict = inbound.part(std::iter::once(heard)).next(at_ms, "alertmanager", heard);
            if verdict == Verdict::News {
                inbound.take(at_ms, "alertmanager", heard);
            }
            verdict
        })
        .collect();
    assert_eq!((verdicts.as_slice(), inbound.standing().count()), (expect, standing));
}

#[test]
fn what_is_said_twice_is_said_once() {
    use Verdict::{Known, News};
    check(&[firing(1_000), firing(1_000), firing(1_000)], &[News, Known, Known], 1);
    // A second Alertmanager saw it begin at another moment.
    check(&[firing(1_000), firing(31_000), firing(500)], &[News, Known, Known], 1);
    check(&[firing(1_000), resolved(1_000, 2_000), resolved(1_000, 2_000)], &[News, News, Known], 0);
    // Who says nothing of its beginning says the same again.
    let guessed = |started_ms| Heard { start_guessed: true, ..firing(started_ms) };
    check(&[guessed(1_000), guessed(9 * MINUTE_MS)], &[News, Known], 1);
    // Its end was never heard, and it begins anew.
    check(&[firing(1_000), firing(9 * MINUTE_MS), firing(9 * MINUTE_MS)], &[News, News, Known], 1);
}

#[test]
fn what_is_late_or_replayed_does_nothing() {
    use Verdict::{Known, News, Old};
    check(&[firing(1_000), resolved(1_000, 60_000), firing(1_000)], &[News, News, Old], 0);
    // The other one's start of the same time, which is over.
    check(&[firing(1_000), resolved(1_000, 60_000), firing(31_000)], &[News, News, Old], 0);
    // The end comes before the beginning.
    check(&[resolved(1_000, 60_000), firing(1_000), resolved(1_000, 50_000)], &[News, Old, Known], 0);
    // It is back: that is another time.
    check(&[firing(1_000), resolved(1_000, 60_000), firing(61_000)], &[News, News, News], 1);
    // The end of the time before does not end this one.
    check(
        &[firing(1_000), resolved(1_000, 60_000), firing(61_000), resolved(1_000, 60_000)],
        &[News, News, News, Old],
        1,
    );
}

#[test]
fn a_clock_that_is_ahead_does_not_keep_the_next_one_out() {
    use Verdict::News;
    let far_ms = 1_000_000 * MINUTE_MS;
    check(&[firing(1_000), resolved(1_000, far_ms), firing(12 * MINUTE_MS)], &[News, News, News], 1);
}

#[test]
fn another_alert_of_the_same_fingerprint_is_not_taken_for_it() {
    let other = Heard { name: "Slow".to_owned(), ..firing(1_000) };
    check(&[firing(1_000), other], &[Verdict::News, Verdict::Collides], 1);
}

#[test]
fn no_more_stand_than_can_be_answered() {
    let mut inbound = Inbound::default();
    for number in 0..STANDING_MAX {
        inbound.take(1, "webhook", &heard(&format!("A{number}"), HeardState::Firing, 1, None));
    }
    let one_more = heard("B", HeardState::Firing, 1, None);
    assert_eq!(inbound.part(std::iter::once(&one_more)).next(1, "webhook", &one_more), Verdict::Full);
    let known = heard("A7", HeardState::Resolved, 1, Some(2));
    assert_eq!(inbound.part(std::iter::once(&known)).next(1, "webhook", &known), Verdict::News);
}

proptest! {
    /// Whatever is heard, in whatever order and however often: hearing all of it again at once changes nothing, and an
    /// alert stands exactly where the last end that was heard is before its start.
    #[test]
    fn hearing_it_all_again_changes_nothing(
        all in prop::collection::vec((0..3_usize, 1..20_i64, any::<bool>(), 0..5_i64), 1..30),
    ) {
        let all: Vec<Heard> = all
            .into_iter()
            .map(|(name, start, fires, lasts)| {
                let state = if fires { HeardState::Firing } else { HeardState::Resolved };
                let started_ms = start * 10 * MINUTE_MS;
                heard(["A", "B", "C"][name], state, started_ms, (!fires).then_some(started_ms + lasts * MINUTE_MS))
            })
            .collect();
        let mut inbound = Inbound::default();
        let hear = |inbound: &mut Inbound, heard: &Heard, at_ms| {
            let verdict = inbound.part(std::iter::once(heard)).next(at_ms, "webhook", heard);
            if verdict == Verdict::News {
                inbound.take(at_ms, "webhook", heard);
            }
        };
        let now_ms = 1_000 * MINUTE_MS;
        all.iter().for_each(|heard| hear(&mut inbound, heard, now_ms));
        for standing in inbound.standing() {
            let ends = all.iter().filter(|one| one.state == HeardState::Resolved && one.name == standing.heard.name);
            // An end that came after this start was heard before it, and is of a time before.
            let last = all.iter().rposition(|one| *one == standing.heard).unwrap();
            let after = ends.filter(|end| all.iter().rposition(|one| one == *end).unwrap() > last);
            for end in after {
                prop_assert!(end.ended_ms.unwrap() < standing.heard.started_ms);
            }
        }
        let newest = |inbound: &Inbound| -> Vec<(String, i64)> {
            inbound.standing().map(|one| (one.heard.name.clone(), one.heard.started_ms)).collect()
        };
        let before = newest(&inbound);
        for standing in inbound.clone().standing() {
            hear(&mut inbound, &standing.heard, now_ms);
        }
        prop_assert_eq!(newest(&inbound), before);
    }
}
