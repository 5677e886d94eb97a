//! Owns groups of rows: which rows belong together, and the labels that they have in common.

use super::eval::Evaluator;
use super::index::Projection;
use super::memo::Grouper;
use super::syntax::Expr;
use super::value::{ABSENT, Key, KeyRef, Vector, is_absent};
use crate::labels::Labels;

/// The rows of each group, and the labels that they have in common.
pub(super) struct Groups {
    pub(super) keys: Vec<Key>,
    /// The rows of all groups, group after group, in the order of the rows.
    rows: Vec<u32>,
    /// Where each group ends in `rows`.
    ends: Vec<usize>,
}

/// Which group each row belongs to.
pub(super) struct Members<'e> {
    grouper: Grouper<'e>,
    /// The number of the group of each row.
    numbers: Vec<u32>,
    /// Of each group.
    drop_names: Vec<bool>,
}

// === impl Members ===

impl<'e> Members<'e> {
    pub(super) fn new(evaluator: &Evaluator<'e>, expr: &Expr, projection: Projection) -> Self {
        let grouper = Grouper::new(evaluator, expr, projection);
        Self { grouper, numbers: Vec::new(), drop_names: Vec::new() }
    }

    /// See [`Grouper::fact`].
    pub(super) fn fact(&mut self, key: KeyRef<'_>, read: fn(&Labels) -> f64) -> f64 {
        self.grouper.fact(key, read)
    }

    /// Adds the next row.
    pub(super) fn add(&mut self, key: KeyRef<'_>) {
        let number = self.grouper.number(key);
        if number == self.drop_names.len() {
            self.drop_names.push(key.drop_name);
        }
        self.numbers.push(number as u32);
    }

    /// Puts the rows into groups, in the order in which the groups first occurred.
    pub(super) fn groups(self) -> Groups {
        let Self { grouper, numbers, drop_names } = self;
        let mut ends = vec![0; drop_names.len()];
        numbers.iter().for_each(|number| ends[*number as usize] += 1);
        let mut end = 0;
        for count in &mut ends {
            let start = end;
            end += *count;
            *count = start;
        }
        // Each begins where the one before ends; filling it moves its mark to its own end.
        let mut rows = vec![0; numbers.len()];
        for (row, number) in numbers.iter().enumerate() {
            let end = &mut ends[*number as usize];
            rows[*end] = row as u32;
            *end += 1;
        }
        let keys = grouper.finish().into_iter().zip(drop_names);
        let keys = keys.map(|(labels, drop_name)| Key { drop_name, ..Key::of(labels) }).collect();
        Groups { keys, rows, ends }
    }
}

// === impl Groups ===

impl Groups {
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns the rows of each group.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u32]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.rows[start..*end])
    }

    /// Makes one row of each group.
    pub(super) fn reduced(
        &self,
        (steps, all): (usize, &[f64]),
        mut reduce: impl FnMut(usize, &mut Vec<f64>) -> f64,
    ) -> Vector {
        let mut reduced = Vector::empty(steps);
        let mut values = Vec::new();
        for (key, rows) in self.keys.iter().zip(self.iter()) {
            let row = reduced.add(key.clone());
            for (step, result) in row.iter_mut().enumerate() {
                values.clear();
                let there = rows.iter().map(|row| all[*row as usize * steps + step]);
                values.extend(there.filter(|value| !is_absent(*value)));
                *result = if values.is_empty() { ABSENT } else { reduce(step, &mut values) };
            }
        }
        reduced.compact();
        reduced
    }
}
