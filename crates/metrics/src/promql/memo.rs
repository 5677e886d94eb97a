//! Owns what a query remembers from one evaluation to the next: which group each series belongs to, and where its last
//! window began.
//!
//! A rule is evaluated every few seconds over the same series. As long as none of its metric comes or goes (the store has
//! a number for that), a series is known by its place, and its labels need not be looked at: they lie scattered in memory,
//! and looking at them costs more than all arithmetic.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::eval::Evaluator;
use super::index::{Index, Projection};
use super::syntax::{Expr, Selector};
use super::value::{ABSENT, KeyRef, Source, is_absent};
use crate::labels::Labels;
use crate::store::{Mark, Store};

/// Whoever evaluates the same query at the same time begins anew: what is known is taken out and put back.
#[derive(Default)]
pub(super) struct Memo {
    /// By the place of the expression that groups.
    tables: Mutex<HashMap<usize, Table>>,
    /// By the place of the selector.
    marks: Mutex<HashMap<usize, Marks>>,
}

/// Where the last windows of the series of one selector began, by their places.
#[derive(Default)]
pub(super) struct Marks {
    shape: u64,
    from_ms: i64,
    marks: Vec<Mark>,
}

/// What is known for one expression that groups.
struct Table {
    index: Index,
    /// The labels that count of each group.
    labels: Vec<Labels>,
    /// How many groups the last evaluation had.
    n_used: usize,
    selected: Vec<Selected>,
}

/// What is known of the series of one selector, by their places.
struct Selected {
    selector: u32,
    /// Of the series of its metric.
    shape: u64,
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

/// Groups of which nothing is left are forgotten once there are twice as many as are needed, and some.
const GROUPS_SPARE: usize = 64;

// === impl Memo ===

impl Memo {
    /// Returns where the windows of a selector began, for windows that begin at this moment.
    pub(super) fn take_marks(&self, store: &Store, selector: &Selector, from_ms: i64) -> Marks {
        let shape = store.shape(selector.metric_name());
        let known = self.marks.lock().unwrap_or_else(PoisonError::into_inner).remove(&selector.offset);
        let known = known.filter(|marks| marks.shape == shape && marks.from_ms <= from_ms);
        Marks { shape, from_ms, marks: known.unwrap_or_default().marks }
    }

    pub(super) fn keep_marks(&self, selector: &Selector, marks: Marks) {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).insert(selector.offset, marks);
    }
}

// === impl Marks ===

impl Marks {
    /// Returns the mark of a series of the selector.
    #[inline]
    pub(super) fn of(&mut self, series: Source) -> &mut Mark {
        let place = series.ordinal as usize;
        if place >= self.marks.len() {
            self.marks.resize(place + 1, Mark::default());
        }
        &mut self.marks[place]
    }
}

// === impl Grouper ===

impl<'e> Grouper<'e> {
    /// Goes on with what an earlier evaluation knew of the series that are still the same.
    pub(super) fn new(evaluator: &Evaluator<'e>, expr: &Expr, projection: Projection) -> Self {
        let (memo, place) = (evaluator.memo, expr.offset);
        let known = memo.tables.lock().unwrap_or_else(PoisonError::into_inner).remove(&place);
        let known = known.filter(|table| table.labels.len() <= 2 * table.n_used + GROUPS_SPARE);
        let mut table = known.unwrap_or_else(|| Table::new(projection.clone()));
        let mut before = std::mem::take(&mut table.selected);
        expr.selectors(&mut |selector| {
            let (shape, selector) =
                (evaluator.store.shape(selector.metric_name()), Source::series(selector.offset, 0).selector);
            let known = before.iter().position(|known| known.selector == selector && known.shape == shape);
            table.selected.push(match known {
                Some(known) => before.swap_remove(known),
                None => Selected { selector, shape, groups: Vec::new(), facts: Vec::new() },
            });
        });
        Self { memo, place, projection, table, numbers: Vec::new(), order: Vec::new() }
    }

    /// Returns the number of the group that a row belongs to.
    pub(super) fn number(&mut self, key: KeyRef<'_>) -> usize {
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
    pub(super) fn fact(&mut self, key: KeyRef<'_>, read: fn(&Labels) -> f64) -> f64 {
        match self.table.at(key.source) {
            Some((_, fact)) => {
                if is_absent(*fact) {
                    *fact = read(key.labels);
                }
                *fact
            }
            None => read(key.labels),
        }
    }

    /// Returns the labels that count of each group, in the order of their numbers, and remembers what was learned.
    pub(super) fn finish(mut self) -> Vec<Labels> {
        let labels = self.order.iter().map(|group| self.table.labels[*group as usize].clone()).collect();
        self.table.n_used = self.order.len();
        self.memo.tables.lock().unwrap_or_else(PoisonError::into_inner).insert(self.place, self.table);
        labels
    }

    /// Finds the group of a row by its labels.
    fn look(&mut self, key: KeyRef<'_>) -> u32 {
        let group = self.table.index.number(key.labels);
        if group == self.table.labels.len() {
            self.table.labels.push(self.projection.apply(key.labels));
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
    fn new(projection: Projection) -> Self {
        Self { index: Index::new(projection), labels: Vec::new(), n_used: 0, selected: Vec::new() }
    }

    /// Returns what is known of a series; nothing can be known of labels that were computed.
    fn at(&mut self, series: Source) -> Option<(&mut u32, &mut f64)> {
        let is_it = |selected: &&mut Selected| selected.selector == series.selector;
        let Selected { groups, facts, .. } = self.selected.iter_mut().find(is_it)?;
        let place = series.ordinal as usize;
        if place >= groups.len() {
            groups.resize(place + 1, UNKNOWN);
            facts.resize(place + 1, ABSENT);
        }
        Some((&mut groups[place], &mut facts[place]))
    }
}
