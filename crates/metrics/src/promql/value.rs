//! Owns the values that queries yield, and those that their parts hand to one another.

use super::QueryError;
use crate::labels::{Labels, METRIC_NAME};

/// The result of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// One number.
    Scalar(f64),
    /// A number for each of some series; no label set occurs twice.
    Vector(Vec<Element>),
    /// The samples of each of some series: what a range selector selects, or what a range query yields.
    Matrix(Vec<Series>),
    /// A text.
    Text(String),
}

/// One series of a vector and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// What tells it from the others.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

/// One series and its samples in the order of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What tells it from the others.
    pub labels: Labels,
    /// Milliseconds since the Unix epoch, and the value.
    pub samples: Vec<(i64, f64)>,
}

/// What tells a row from the others on its way through an evaluation.
///
/// As in Prometheus 3, a function that loses the metric's name only marks it, and the name goes at the very end:
/// until then `label_replace` and `by (__name__)` can still see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) labels: Labels,
    pub(super) drop_name: bool,
    pub(super) source: Source,
}

/// A key that is lent: most rows are looked at once, and to count a reference to labels that lie scattered in memory
/// costs more than all arithmetic.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyRef<'k> {
    pub(super) labels: &'k Labels,
    pub(super) drop_name: bool,
    pub(super) source: Source,
}

/// Takes one row: whose it is, and its number, or none, at each step.
pub(super) type RowVisitor<'v> = dyn FnMut(KeyRef<'_>, &[f64]) -> Result<(), QueryError> + 'v;

/// Where the labels of a row come from, as long as they are those of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Source {
    /// The selector, by its place in the query.
    pub(super) selector: u32,
    /// The place of the series among those that the selector looks at.
    pub(super) ordinal: u32,
}

/// An instant vector at each of some steps: a row for each series, a number or none for each step.
#[derive(Debug, Clone)]
pub(super) struct Vector {
    pub(super) steps: usize,
    pub(super) keys: Vec<Key>,
    /// Row after row.
    pub(super) values: Vec<f64>,
}

/// What a part of a query evaluates to.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    /// A number for each step.
    Scalar(Vec<f64>),
    Vector(Vector),
    Text(String),
}

/// The number that is none: a NaN with bits of its own, which no sample and no arithmetic on samples has.
pub(super) const ABSENT: f64 = f64::from_bits(0x7ff8_a5e7_0000_0a0b);

pub(super) fn is_absent(value: f64) -> bool {
    value.to_bits() == ABSENT.to_bits()
}

// === impl Key ===

impl Key {
    pub(super) fn of(labels: Labels) -> Self {
        Self { labels, drop_name: false, source: Source::NONE }
    }

    /// A row whose metric name is lost.
    pub(super) fn nameless(labels: Labels) -> Self {
        Self { labels, drop_name: true, source: Source::NONE }
    }

    pub(super) fn lent(&self) -> KeyRef<'_> {
        KeyRef { labels: &self.labels, drop_name: self.drop_name, source: self.source }
    }

    pub(super) fn into_final(self) -> Labels {
        if self.drop_name { self.labels.without(METRIC_NAME) } else { self.labels }
    }
}

// === impl KeyRef ===

impl KeyRef<'_> {
    pub(super) fn to_key(self) -> Key {
        Key { labels: self.labels.clone(), drop_name: self.drop_name, source: self.source }
    }

    pub(super) fn nameless(self) -> Self {
        Self { drop_name: true, ..self }
    }
}

// === impl Source ===

impl Source {
    /// Labels that were computed.
    pub(super) const NONE: Self = Self { selector: u32::MAX, ordinal: 0 };

    /// The series at this place among those that a selector looks at; too far away is nowhere.
    pub(super) fn series(selector: usize, ordinal: usize) -> Self {
        match (u32::try_from(selector), u32::try_from(ordinal)) {
            (Ok(selector), Ok(ordinal)) => Self { selector, ordinal },
            _ => Self::NONE,
        }
    }
}

// === impl Vector ===

impl Vector {
    pub(super) fn empty(steps: usize) -> Self {
        Self { steps, keys: Vec::new(), values: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Adds a row without numbers, and returns where they go.
    pub(super) fn add(&mut self, key: Key) -> &mut [f64] {
        self.keys.push(key);
        let start = self.values.len();
        self.values.resize(start + self.steps, ABSENT);
        &mut self.values[start..]
    }

    /// Takes the last row away.
    pub(super) fn pop(&mut self) {
        self.keys.pop();
        self.values.truncate(self.keys.len() * self.steps);
    }

    /// Adds a row with the same number at each step.
    pub(super) fn add_constant(&mut self, key: Key, value: f64) {
        self.add(key).fill(value);
    }

    pub(super) fn row(&self, index: usize) -> &[f64] {
        &self.values[index * self.steps..][..self.steps]
    }

    pub(super) fn row_mut(&mut self, index: usize) -> &mut [f64] {
        &mut self.values[index * self.steps..][..self.steps]
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (&Key, &[f64])> {
        self.keys.iter().enumerate().map(|(index, key)| (key, self.row(index)))
    }

    pub(super) fn get(&self, row: usize, step: usize) -> Option<f64> {
        let value = self.values[row * self.steps + step];
        (!is_absent(value)).then_some(value)
    }

    /// Computes a new number, or none, of each number there is.
    pub(super) fn map(&mut self, mut compute: impl FnMut(usize, f64) -> f64) {
        for row in self.values.chunks_mut(self.steps.max(1)) {
            for (step, value) in row.iter_mut().enumerate() {
                if !is_absent(*value) {
                    *value = compute(step, *value);
                }
            }
        }
    }

    pub(super) fn drop_names(&mut self) {
        self.keys.iter_mut().for_each(|key| key.drop_name = true);
    }

    /// Drops the rows that have no number at any step.
    pub(super) fn compact(&mut self) {
        if self.steps == 0 {
            self.keys.clear();
            return;
        }
        let mut kept = 0;
        for row in 0..self.keys.len() {
            if self.row(row).iter().all(|value| is_absent(*value)) {
                continue;
            }
            if kept != row {
                self.keys.swap(kept, row);
                self.values.copy_within(row * self.steps..(row + 1) * self.steps, kept * self.steps);
            }
            kept += 1;
        }
        self.keys.truncate(kept);
        self.values.truncate(kept * self.steps);
    }

    /// Puts the rows into another order.
    pub(super) fn reorder(&mut self, order: &[usize]) {
        let mut ordered = Self::empty(self.steps);
        ordered.values.reserve(self.values.len());
        for row in order {
            ordered.keys.push(self.keys[*row].clone());
            ordered.values.extend_from_slice(self.row(*row));
        }
        *self = ordered;
    }
}

/// Returns a number as Prometheus writes it into labels and texts: without an exponent, infinities with their sign.
pub fn shown(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    value.to_string()
}

/// Returns a number as Prometheus writes it into messages: with an exponent if it is very large or very small.
pub(super) fn brief(value: f64) -> String {
    let scientific = format!("{value:e}");
    let parts = scientific.split_once('e').and_then(|(digits, exponent)| {
        let exponent: i32 = exponent.parse().ok()?;
        (!(-4..21).contains(&exponent)).then(|| (digits.to_owned(), exponent))
    });
    match parts {
        Some((digits, exponent)) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        None => shown(value),
    }
}
