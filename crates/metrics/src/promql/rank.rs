//! Owns the aggregations that keep some elements of each group as they are: the largest, the smallest, a few, a part.

use std::cmp::Ordering;

use super::aggregate::by_value;
use super::groups::Groups;
use super::syntax::Aggregation;
use super::value::{ABSENT, Vector};
use crate::fingerprint::Fingerprint;
use crate::labels::Labels;

/// Keeps those elements of each group that the aggregation selects; at one step, in the order that it says.
pub(super) fn selected(aggregation: Aggregation, vector: Vector, groups: &Groups, params: &[f64]) -> Vector {
    let mut kept = Vector { values: vec![ABSENT; vector.values.len()], ..Vector::empty(vector.steps) };
    let mut order: Vec<usize> = Vec::new();
    let places: Vec<f64> = match aggregation {
        Aggregation::LimitRatio => vector.keys.iter().map(|key| place(&key.labels)).collect(),
        _ => Vec::new(),
    };
    let mut rows: Vec<(u32, f64)> = Vec::new();
    for group in groups.iter() {
        for (step, param) in params.iter().enumerate() {
            rows.clear();
            let there = group.iter().filter_map(|row| Some((*row, vector.get(*row as usize, step)?)));
            rows.extend(there);
            // Less than one is none; what is too much was refused.
            let count = param.max(0.0) as usize;
            match aggregation {
                Aggregation::Topk => ranked(&mut rows, count, Ordering::Greater),
                Aggregation::Bottomk => ranked(&mut rows, count, Ordering::Less),
                Aggregation::LimitRatio => rows.retain(|(row, _)| is_sampled(places[*row as usize], *param)),
                _ => rows.truncate(count),
            }
            for (row, value) in &rows {
                kept.values[*row as usize * vector.steps + step] = *value;
            }
            if vector.steps == 1 {
                order.extend(rows.iter().map(|(row, _)| *row as usize));
            }
        }
    }
    kept.keys = vector.keys;
    if kept.steps == 1 {
        kept.reorder(&order);
    } else {
        kept.compact();
    }
    kept
}

/// Keeps the elements with the largest or smallest values, in order; NaN is last either way.
fn ranked(rows: &mut Vec<(u32, f64)>, count: usize, first: Ordering) {
    let compare =
        |left: &(u32, f64), right: &(u32, f64)| by_value(left.1, right.1, first).then(left.0.cmp(&right.0));
    if count == 0 {
        rows.clear();
    } else if count < rows.len() {
        rows.select_nth_unstable_by(count - 1, compare);
        rows.truncate(count);
    }
    rows.sort_unstable_by(compare);
}

/// Returns a number from 0 to 1 for a label set: always the same one, and spread evenly.
fn place(labels: &Labels) -> f64 {
    // The fingerprint of similar labels is similar in its upper bits, and those decide.
    let mut bits = Fingerprint::of(labels).number();
    for factor in [0xff51_afd7_ed55_8ccd_u64, 0xc4ce_b9fe_1a85_ec53] {
        bits = (bits ^ (bits >> 33)).wrapping_mul(factor);
    }
    (bits ^ (bits >> 33)) as f64 / u64::MAX as f64
}

/// Tells whether an element belongs to this part of all: the same ones each time, and the others for `ratio - 1`.
fn is_sampled(place: f64, ratio: f64) -> bool {
    if ratio >= 0.0 { place < ratio } else { place >= 1.0 + ratio }
}
