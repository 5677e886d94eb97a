//! Owns the operators that make one element of two: one-to-one, and many-to-one with grouping.

use std::collections::HashMap;

use super::super::QueryError;
use super::super::eval::Evaluator;
use super::super::index::{Index, Projection};
use super::super::syntax::{Expr, Group, Grouping, Matching};
use super::super::value::{Key, Vector};
use super::Computation;
use crate::labels::{Labels, METRIC_NAME, quoted};

/// Applies an operator to each pair of matching elements at each step.
pub(super) fn join(
    evaluator: &Evaluator<'_>,
    expr: &Expr,
    computation: Computation,
    matching: &Matching,
    (left, right): (&Vector, &Vector),
) -> Result<Vector, QueryError> {
    let swapped = matches!(matching.group, Group::Right(_));
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    let mut index = Index::new(Projection::of(&matching.labels));
    let sides = Sides {
        one_numbers: one.keys.iter().map(|key| index.number(&key.labels)).collect(),
        many_numbers: many.keys.iter().map(|key| index.number(&key.labels)).collect(),
        many,
        one,
        swapped,
    };
    let steps = left.steps;
    let joined = Vector::empty(steps);
    let (pairs, places, marks) = (HashMap::new(), HashMap::new(), Vec::new());
    let mut join = Join { evaluator, expr, computation, matching, sides, joined, pairs, places, marks };
    let mut slots = vec![Slot::default(); index.len()];
    for step in 0..steps {
        slots.iter_mut().for_each(|slot| *slot = Slot::default());
        join.step(step, &mut slots)?;
    }
    let mut joined = join.joined;
    joined.compact();
    // At one step, two elements with the same labels may still be told apart by what follows.
    if steps > 1 { evaluator.merged(expr, joined) } else { Ok(joined) }
}

/// The two sides, and the number of the match group of each row.
struct Sides<'v> {
    many: &'v Vector,
    one: &'v Vector,
    many_numbers: Vec<usize>,
    one_numbers: Vec<usize>,
    /// The side with several elements is the right one.
    swapped: bool,
}

/// What is known of a match group at one step.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Its element on the side where there may be only one.
    one: Option<usize>,
    /// Whether an element of the other side met it.
    met: bool,
    /// Whether two of its elements met.
    paired: bool,
}

struct Join<'j> {
    evaluator: &'j Evaluator<'j>,
    expr: &'j Expr,
    computation: Computation,
    matching: &'j Matching,
    sides: Sides<'j>,
    joined: Vector,
    /// The row of the result that a pair of rows goes to; a side is missing where a value is filled in.
    pairs: HashMap<(Option<usize>, Option<usize>), usize>,
    /// The row of the result for a match group and these labels.
    places: HashMap<(usize, Labels), usize>,
    /// The last step at which a pair came to each row of the result.
    marks: Vec<Option<usize>>,
}

// === impl Join ===

impl Join<'_> {
    fn step(&mut self, step: usize, slots: &mut [Slot]) -> Result<(), QueryError> {
        for row in 0..self.sides.one.len() {
            if self.sides.one.get(row, step).is_none() {
                continue;
            }
            let slot = &mut slots[self.sides.one_numbers[row]];
            if let Some(other) = slot.one.replace(row) {
                // Elements that nobody asks for do no harm, but Prometheus refuses them too, unless one side is empty.
                let any = (0..self.sides.many.len()).any(|row| self.sides.many.get(row, step).is_some());
                if any || self.fills() {
                    return Err(self.ambiguous(row, other));
                }
            }
        }
        let (fill_one, fill_many) = match self.sides.swapped {
            false => (self.matching.fill_right, self.matching.fill_left),
            true => (self.matching.fill_left, self.matching.fill_right),
        };
        for row in 0..self.sides.many.len() {
            let Some(value) = self.sides.many.get(row, step) else { continue };
            let group = self.sides.many_numbers[row];
            let slot = &mut slots[group];
            slot.met = true;
            match (slot.one, fill_one) {
                (Some(one), _) => {
                    let other = self.sides.one.get(one, step).unwrap_or(f64::NAN);
                    self.pair((step, group), slot, (Some(row), value), (Some(one), other))?;
                }
                (None, Some(fill)) => self.pair((step, group), slot, (Some(row), value), (None, fill))?,
                (None, None) => {}
            }
        }
        let Some(fill) = fill_many else { return Ok(()) };
        for row in 0..self.sides.one.len() {
            let Some(value) = self.sides.one.get(row, step) else { continue };
            let group = self.sides.one_numbers[row];
            let slot = &mut slots[group];
            if !slot.met {
                self.pair((step, group), slot, (None, fill), (Some(row), value))?;
            }
        }
        Ok(())
    }

    /// Puts what two elements yield into the result. A comparison that leaves them out can still find that they are
    /// one pair too many.
    fn pair(
        &mut self,
        (step, group): (usize, usize),
        slot: &mut Slot,
        (many, many_value): (Option<usize>, f64),
        (one, one_value): (Option<usize>, f64),
    ) -> Result<(), QueryError> {
        if slot.paired && matches!(self.matching.group, Group::None) {
            let reason =
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
            return Err(self.evaluator.invalid(self.expr, reason));
        }
        slot.paired = true;
        let place = match self.pairs.get(&(many, one)) {
            Some(place) => *place,
            None => {
                let place = self.place(group, many, one)?;
                self.pairs.insert((many, one), place);
                place
            }
        };
        if self.marks[place].replace(step) == Some(step) {
            let reason = "multiple matches for labels: grouping labels must ensure unique matches";
            return Err(self.evaluator.invalid(self.expr, reason));
        }
        let (left, right) =
            if self.sides.swapped { (one_value, many_value) } else { (many_value, one_value) };
        self.joined.row_mut(place)[step] = self.computation.apply(left, right, left);
        Ok(())
    }

    /// Returns the row of the result for a pair of rows.
    fn place(&mut self, group: usize, many: Option<usize>, one: Option<usize>) -> Result<usize, QueryError> {
        let many_key = many.map(|row| &self.sides.many.keys[row]);
        let one_key = one.map(|row| &self.sides.one.keys[row]);
        let labels = self.labels(many_key, one_key);
        let next = self.joined.len();
        let place = *self.places.entry((group, labels.clone())).or_insert(next);
        if place == next {
            let drop_name = many_key.is_some_and(|key| key.drop_name) || self.computation.drops_name();
            self.evaluator.budget.numbers(1, self.joined.steps)?;
            self.joined.add(Key { drop_name, ..Key::of(labels) });
            self.marks.push(None);
        }
        Ok(place)
    }

    /// Returns the labels of what a pair yields. A side that is filled in has the labels that the sides share.
    fn labels(&self, many: Option<&Key>, one: Option<&Key>) -> Labels {
        let shared = |key: &Key| Projection::of(&self.matching.labels).apply(&key.labels);
        let one_labels = one.map(|key| key.labels.clone()).or_else(|| many.map(shared)).unwrap_or_default();
        let mut labels = many.map(|key| key.labels.clone()).or_else(|| one.map(shared)).unwrap_or_default();
        if self.computation.is_arithmetic() {
            labels = labels.without(METRIC_NAME);
        }
        let included = match &self.matching.group {
            Group::None => {
                let named = |name: &str| self.matching.labels.names().iter().any(|label| label == name);
                let on = matches!(self.matching.labels, Grouping::By(_));
                return labels.filtered(|name| named(name) == on);
            }
            Group::Left(included) | Group::Right(included) => included,
        };
        for name in included {
            labels = labels.with(name, one_labels.get(name).unwrap_or_default());
        }
        labels
    }

    fn fills(&self) -> bool {
        self.matching.fill_left.is_some() || self.matching.fill_right.is_some()
    }

    fn ambiguous(&self, row: usize, other: usize) -> QueryError {
        let side = if self.sides.swapped { "left" } else { "right" };
        let keys = &self.sides.one.keys;
        let on = matches!(self.matching.labels, Grouping::By(_));
        let names = self.matching.labels.names();
        let group = keys[row].labels.filtered(|name| {
            let named = names.iter().any(|label| label == name);
            if on { named } else { name != METRIC_NAME && !named }
        });
        let reason = format!(
            "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];\
             many-to-many matching not allowed: matching labels must be unique on one side",
            in_braces(&group),
            in_braces(&keys[other].labels),
            in_braces(&keys[row].labels),
        );
        self.evaluator.invalid(self.expr, reason)
    }
}

/// Returns labels as Prometheus shows them in this message: the name inside the braces like any other.
fn in_braces(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}
