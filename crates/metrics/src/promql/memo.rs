//! Owns what a query remembers of labels from one evaluation to the next: which group each series belongs to.
//!
//! A rule is evaluated every few seconds over the same series. As long as none comes or goes (the store has a number for
//! that), a series is known by its place, and its labels need not be looked at: they lie scattered in memory, and looking
//! at them costs more than all arithmetic.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::eval::Evaluator;
use super::index::{Index, Projection};
use super::syntax::Expr;
use super::value::{ABSENT, Key, Source, is_absent};
use crate::labels::Labels;

/// By the place of the expression that groups.
#[derive(Default)]
pub(super) struct Memo(Mutex<HashMap<usize, Table>>);

/// What is known for one expression and one set of series.
struct Table {
    shape: u64,
    index: Index,
    /// The labels that count of each group.
    labels: Vec<Labels>,
    selected: Vec<Selected>,
}

/// What is known of the series of one selector, by their places.
struct Selected {
    selector: u32,
    groups: Vec<u32>,
    facts: Vec<f64>,
}

/// Numbers rows by the labels that count, in the order in which their groups first occur.
pub(super) struct Grouper<'e> {
    memo: &'e Memo,
    place: usize,
    projection: Projection,
    table: Table,
    /// The number of each group of the table in this evaluation.
    numbers: Vec<u32>,
    /// The groups of this evaluation, in their order.
    order: Vec<u32>,
}

/// No group, or a group without a number.
const UNKNOWN: u32 = u32::MAX;

// === impl Grouper ===

impl<'e> Grouper<'e> {
    /// Goes on with what an earlier evaluation knew, if the series are still the same.
    pub(super) fn new(evaluator: &Evaluator<'e>, expr: &Expr, projection: Projection) -> Self {
        let (memo, place, shape) = (evaluator.memo, expr.offset, evaluator.store.shape());
        // Whoever evaluates the same query at the same time begins anew.
        let known = memo.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&place);
        let table = known.filter(|table| table.shape == shape).unwrap_or_else(|| Table {
            shape,
            index: Index::new(projection.clone()),
            labels: Vec::new(),
            selected: Vec::new(),
        });
        Self { memo, place, projection, table, numbers: Vec::new(), order: Vec::new() }
    }

    /// Returns the number of the group that a row belongs to.
    pub(super) fn number(&mut self, key: &Key) -> usize {
        let group = match self.table.at(key.source).map(|(group, _)| *group) {
            Some(group) if group != UNKNOWN => group,
            _ => self.look(key),
        };
        let place = group as usize;
        if place >= self.numbers.len() {
            self.numbers.resize(place + 1, UNKNOWN);
        }
        if self.numbers[place] == UNKNOWN {
            self.numbers[place] = self.order.len() as u32;
            self.order.push(group);
        }
        self.numbers[place] as usize
    }

    /// Returns what the labels of a row tell by themselves; `read` always reads the same.
    pub(super) fn fact(&mut self, key: &Key, read: fn(&Labels) -> f64) -> f64 {
        match self.table.at(key.source) {
            Some((_, fact)) => {
                if is_absent(*fact) {
                    *fact = read(&key.labels);
                }
                *fact
            }
            None => read(&key.labels),
        }
    }

    /// Returns the labels that count of each group, in the order of their numbers, and remembers what was learned.
    pub(super) fn finish(self) -> Vec<Labels> {
        let labels = self.order.iter().map(|group| self.table.labels[*group as usize].clone()).collect();
        self.memo.0.lock().unwrap_or_else(PoisonError::into_inner).insert(self.place, self.table);
        labels
    }

    /// Finds the group of a row by its labels.
    fn look(&mut self, key: &Key) -> u32 {
        let group = self.table.index.number(&key.labels);
        if group == self.table.labels.len() {
            self.table.labels.push(self.projection.apply(&key.labels));
        }
        // There are fewer groups than 2^32: each takes more than one byte.
        let group = group as u32;
        if let Some((known, _)) = self.table.at(key.source) {
            *known = group;
        }
        group
    }
}

// === impl Table ===

impl Table {
    /// Returns what is known of a series; nothing can be known of labels that were computed.
    fn at(&mut self, source: Source) -> Option<(&mut u32, &mut f64)> {
        if source.selector == Source::NONE.selector {
            return None;
        }
        let found = self.selected.iter().position(|selected| selected.selector == source.selector);
        let index = found.unwrap_or_else(|| {
            let (groups, facts) = (Vec::new(), Vec::new());
            self.selected.push(Selected { selector: source.selector, groups, facts });
            self.selected.len() - 1
        });
        let Selected { groups, facts, .. } = &mut self.selected[index];
        let place = source.ordinal as usize;
        if place >= groups.len() {
            groups.resize(place + 1, UNKNOWN);
            facts.resize(place + 1, ABSENT);
        }
        Some((&mut groups[place], &mut facts[place]))
    }
}
