//! Tests what retention decides: nothing that must stay, no more than the budget asks for, and all of that.

use std::collections::{BTreeMap, BTreeSet};

use journal::{BlobFile, Case, Digest, Plan, Retention, Stock};
use proptest::prelude::*;

const NOW_MS: i64 = 1_800_000_000_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

fn digest(number: u8) -> Digest {
    Digest::of(&[number])
}

fn case(incident: &str, closed_days_ago: Option<i64>, blobs: &[u8]) -> Case {
    Case {
        incident: incident.to_owned(),
        closed_ms: closed_days_ago.map(|days| NOW_MS - days * DAY_MS),
        blobs: blobs.iter().map(|number| digest(*number)).collect(),
    }
}

/// Incidents of 100 bytes each, blobs of 1000 that are as old as given in hours, and 50 bytes of other things.
fn stock(incidents: &[&str], blobs: &[(u8, i64)]) -> Stock {
    let blob = |(number, hours): &(u8, i64)| {
        (digest(*number), BlobFile { bytes: 1000, modified_ms: NOW_MS - hours * HOUR_MS })
    };
    Stock {
        newest: 7,
        incidents: incidents.iter().map(|incident| ((*incident).to_owned(), 100)).collect(),
        blobs: blobs.iter().map(blob).collect(),
        loose: BTreeMap::new(),
        other_bytes: 50,
    }
}

/// Checks which incidents and blobs go; incidents stay for 7 days.
#[track_caller]
fn check(stock: &Stock, cases: &[Case], bytes_max: u64, incidents: &[&str], blobs: &[u8]) {
    let plan = stock.plan(cases, Retention { bytes_max, keep_ms: 7 * DAY_MS }, NOW_MS);
    assert_eq!(plan.incidents, incidents);
    let blobs: Vec<_> = blobs.iter().map(|number| digest(*number)).collect();
    assert_eq!(plan.blobs, blobs);
    let there = incidents.iter().filter(|incident| stock.incidents.contains_key(**incident));
    let freed = 100 * there.count() as u64 + 1000 * blobs.len() as u64;
    assert_eq!((plan.bytes_before, plan.bytes_after), (stock.bytes(), stock.bytes() - freed));
    assert_eq!(plan.newest, 7);
}

#[test]
fn who_is_closed_longest_goes_first_and_no_more_than_needed() {
    let stock = stock(&["a", "b", "c", "d", "e"], &[(1, 99), (2, 99), (3, 99)]);
    let cases = [
        case("a", Some(8), &[1]),
        case("b", Some(30), &[2, 2]),
        case("c", None, &[3]),
        case("d", Some(6), &[]),
        case("e", Some(8), &[]),
    ];
    let bytes = stock.bytes();
    check(&stock, &cases, bytes, &[], &[]);
    check(&stock, &cases, bytes - 1, &["b"], &[2]);
    check(&stock, &cases, bytes - 1100, &["b"], &[2]);
    check(&stock, &cases, bytes - 1101, &["b", "a"], &[2, 1]);
    // The open one and the one closed six days ago stay, whatever the budget.
    check(&stock, &cases, 0, &["b", "a", "e"], &[2, 1]);
}

#[test]
fn a_blob_goes_with_the_last_incident_that_names_it() {
    let stock = stock(&["a", "b", "c"], &[(1, 99), (2, 99)]);
    let cases = [case("a", Some(10), &[1, 2]), case("b", Some(9), &[1]), case("c", None, &[2])];
    check(&stock, &cases, stock.bytes() - 1, &["a"], &[]);
    check(&stock, &cases, 0, &["a", "b"], &[1]);
}

#[test]
fn a_blob_that_nobody_names_goes_first_once_it_is_old_and_everybody_is_known() {
    let stock = stock(&["a"], &[(1, 2), (2, 0)]);
    let cases = [case("a", Some(10), &[])];
    check(&stock, &cases, u64::MAX, &[], &[1]);
    check(&stock, &cases, 0, &["a"], &[1]);
    // An incident that the caller does not know may name any blob.
    check(&stock, &[], 0, &[], &[]);
    // One that is gone already, but not its blob.
    check(&stock, &[case("a", None, &[]), case("gone", Some(10), &[1])], 0, &["gone"], &[1]);
}

prop_compose! {
    fn worlds()(
        incidents in prop::collection::btree_map("[a-h]", 0..2000_u64, 0..8),
        blobs in prop::collection::btree_map(0..8_u8, (0..2000_u64, -2..4_i64), 0..8),
        cases in prop::collection::btree_map(
            "[a-h]",
            (prop::option::of(-1..20_i64), prop::collection::vec(0..8_u8, 0..4)),
            0..8,
        ),
        other_bytes in 0..100_u64,
        bytes_max in 0..10_000_u64,
        keep_days in 0..12_i64,
    ) -> (Stock, Vec<Case>, Retention) {
        let blob = |(number, (bytes, hours))| (digest(number), BlobFile { bytes, modified_ms: NOW_MS - hours * HOUR_MS });
        let blobs: BTreeMap<_, _> = blobs.into_iter().map(blob).collect();
        let cases = cases.iter().map(|(incident, (days, blobs))| case(incident, *days, blobs)).collect();
        let stock = Stock { newest: 1, incidents, blobs, loose: BTreeMap::new(), other_bytes };
        (stock, cases, Retention { bytes_max, keep_ms: keep_days * DAY_MS })
    }
}

#[test]
fn entries_that_nobody_needs_go_first_and_only_where_there_is_too_much() {
    let mut stock = stock(&["a"], &[]);
    stock.loose = BTreeMap::from([(3, 20), (5, 10)]);
    let over = [case("a", Some(30), &[])];
    let plan = |bytes_max| {
        let plan = stock.plan(&over, Retention { bytes_max, keep_ms: 0 }, NOW_MS);
        (plan.loose, plan.incidents.len(), plan.bytes_after)
    };
    assert_eq!(plan(150), (vec![], 0, 150));
    assert_eq!(plan(120), (vec![3, 5], 0, 120));
    assert_eq!(plan(119), (vec![3, 5], 1, 20));
}

proptest! {
    #[test]
    fn what_must_stay_stays_and_the_budget_is_met_or_all_else_goes((stock, cases, retention) in worlds()) {
        let Plan { incidents, blobs, bytes_before, bytes_after, .. } = stock.plan(&cases, retention, NOW_MS);
        let goes: BTreeSet<_> = incidents.iter().collect();
        prop_assert_eq!(goes.len(), incidents.len());
        let may_go = |case: &&Case| case.closed_ms.is_some_and(|closed_ms| closed_ms <= NOW_MS - retention.keep_ms);
        let free: BTreeSet<_> = cases.iter().filter(may_go).map(|case| &case.incident).collect();
        prop_assert!(goes.is_subset(&free));

        let staying = cases.iter().filter(|case| !goes.contains(&case.incident));
        let named: BTreeSet<_> = staying.flat_map(|case| &case.blobs).collect();
        let old = |sha256: &Digest| stock.blobs[sha256].modified_ms < NOW_MS - HOUR_MS;
        prop_assert!(blobs.iter().all(|sha256| !named.contains(sha256) && old(sha256)));

        let of = |incident: &String| stock.incidents.get(incident).copied().unwrap_or(0);
        let freed = incidents.iter().map(of).sum::<u64>() + blobs.iter().map(|sha256| stock.blobs[sha256].bytes).sum::<u64>();
        prop_assert_eq!((bytes_before, bytes_after), (stock.bytes(), stock.bytes() - freed));
        prop_assert!(bytes_after <= retention.bytes_max || goes == free);

        // Longest closed first, and the last of them was needed.
        let closed = |incident: &String| cases.iter().find(|case| case.incident == *incident).unwrap().closed_ms;
        prop_assert!(incidents.is_sorted_by_key(closed));
        let next = free.iter().filter(|incident| !goes.contains(**incident)).map(|incident| closed(incident)).min();
        prop_assert!(incidents.last().is_none_or(|last| next.is_none_or(|next| closed(last) <= next)));
        if let Some((last, before)) = incidents.split_last() {
            let fewer = Retention { bytes_max: bytes_after, ..retention };
            prop_assert!(bytes_after + of(last) <= bytes_before);
            prop_assert_eq!(stock.plan(&cases, fewer, NOW_MS).bytes_after, bytes_after);
            prop_assert!(before.len() < incidents.len());
        }
    }
}
