//! Owns the walk through the tree of a query: each part is evaluated once, at all steps together.

use std::cell::RefCell;
use std::collections::HashMap;

use super::annotation::{Annotation, AnnotationKind, Annotations};
use super::bounds::{Budget, QueryBounds};
use super::grid::{Grid, Steps};
use super::memo::Memo;
use super::syntax::{Expr, Kind, Length};
use super::value::{Element, Key, Operand, RowVisitor, Series, Value, Vector, brief, is_absent};
use super::{Position, QueryError, aggregate, functions, matching, selector, window};
use crate::labels::Labels;
use crate::store::Store;

/// One evaluation: where samples come from, the steps of the whole query, what may still be used, what there is to say.
pub(super) struct Evaluator<'e> {
    pub(super) store: &'e Store,
    text: &'e str,
    /// The steps of the whole query, which `@ start()` and `range()` speak of.
    pub(super) steps: Steps,
    pub(super) budget: Budget<'e>,
    annotations: RefCell<Annotations>,
    /// What earlier evaluations of the same query found out about labels.
    pub(super) memo: &'e Memo,
}

// === impl Evaluator ===

impl<'e> Evaluator<'e> {
    pub(super) fn new(
        store: &'e Store,
        (text, memo): (&'e str, &'e Memo),
        steps: Steps,
        bounds: QueryBounds<'e>,
    ) -> Self {
        let (budget, annotations) = (Budget::new(bounds), RefCell::default());
        Self { store, text, steps, budget, annotations, memo }
    }

    /// Evaluates a whole query at one moment.
    pub(super) fn at_one(&self, expr: &Expr) -> Result<Value, QueryError> {
        let grid = self.steps.grid();
        if let Kind::Range { .. } | Kind::Subquery { .. } = expr.unwrapped().kind {
            return self.matrix(expr, grid);
        }
        match self.eval(expr, grid)? {
            Operand::Scalar(values) => Ok(Value::Scalar(values.first().copied().unwrap_or(f64::NAN))),
            Operand::Text(text) => Ok(Value::Text(text)),
            Operand::Vector(vector) => {
                let keys = vector.keys.into_iter().zip(vector.values);
                let there = keys.filter(|(_, value)| !is_absent(*value));
                let elements: Vec<Element> =
                    there.map(|(key, value)| Element { labels: key.into_final(), value }).collect();
                self.check_unique(expr, elements.iter().map(|element| &element.labels))?;
                Ok(Value::Vector(elements))
            }
        }
    }

    /// Evaluates a whole query at each of its steps.
    pub(super) fn at_all(&self, expr: &Expr) -> Result<Vec<Series>, QueryError> {
        let grid = self.steps.grid();
        self.budget.steps(grid.count)?;
        if grid.count == 0 {
            return Ok(Vec::new());
        }
        if let Kind::Range { .. } | Kind::Subquery { .. } = expr.unwrapped().kind {
            return Err(QueryError::NoSteps { got: "range vector" });
        }
        let mut all = match self.eval(expr, grid)? {
            Operand::Text(_) => return Err(QueryError::NoSteps { got: "string" }),
            Operand::Scalar(values) => {
                let samples = grid.moments().zip(values).collect();
                return Ok(vec![Series { labels: Labels::empty(), samples }]);
            }
            Operand::Vector(vector) => vector,
        };
        all.keys = std::mem::take(&mut all.keys).into_iter().map(|key| Key::of(key.into_final())).collect();
        let all = self.merged(expr, all)?;
        let mut series: Vec<Series> = all
            .rows()
            .map(|(key, row)| Series { labels: key.labels.clone(), samples: samples(grid, row).collect() })
            .filter(|series: &Series| !series.samples.is_empty())
            .collect();
        series.sort_by(|left, right| left.labels.cmp(&right.labels));
        Ok(series)
    }

    /// Evaluates any part that is not a range of samples.
    pub(super) fn eval(&self, expr: &Expr, grid: Grid) -> Result<Operand, QueryError> {
        match &expr.kind {
            Kind::Number(number) => Ok(Operand::Scalar(vec![*number; self.scalars(grid)?])),
            Kind::Text(text) | Kind::Bytes(text) => Ok(Operand::Text(text.clone())),
            Kind::Paren(inner) => self.eval(inner, grid),
            Kind::Negated(inner) => self.negated(inner, grid),
            Kind::Binary { operator, left, right, matching, is_bool } => {
                let (left, right) = (self.eval(left, grid)?, self.eval(right, grid)?);
                matching::binary(self, expr, (*operator, *is_bool), matching, (left, right))
            }
            Kind::Aggregate { .. } => aggregate::evaluate(self, expr, grid).map(Operand::Vector),
            Kind::Call { function, arguments } => functions::evaluate(self, expr, *function, arguments, grid),
            Kind::Selector(found) => {
                selector::instant(self, found, grid, |_, value| value).map(Operand::Vector)
            }
            Kind::Range { .. } | Kind::Subquery { .. } => {
                Err(self.invalid(expr, "a range cannot stand here"))
            }
        }
    }

    pub(super) fn scalar(&self, expr: &Expr, grid: Grid) -> Result<Vec<f64>, QueryError> {
        match self.eval(expr, grid)? {
            Operand::Scalar(values) => Ok(values),
            _ => Err(self.invalid(expr, "expected a scalar")),
        }
    }

    pub(super) fn vector(&self, expr: &Expr, grid: Grid) -> Result<Vector, QueryError> {
        match self.eval(expr, grid)? {
            Operand::Vector(vector) => Ok(vector),
            _ => Err(self.invalid(expr, "expected an instant vector")),
        }
    }

    /// Hands each row of an instant vector to `visit`, in order; where rows are made one by one, none is kept.
    pub(super) fn each_row(
        &self,
        expr: &Expr,
        grid: Grid,
        visit: &mut RowVisitor<'_>,
    ) -> Result<(), QueryError> {
        if functions::each_row(self, expr.unwrapped(), grid, visit)? {
            return Ok(());
        }
        self.vector(expr, grid)?.rows().try_for_each(|(key, row)| visit(key.lent(), row))
    }

    pub(super) fn string(&self, expr: &Expr) -> Result<String, QueryError> {
        match &expr.unwrapped().kind {
            Kind::Text(text) => Ok(text.clone()),
            Kind::Bytes(shown) => Err(self.invalid(expr, format!("invalid label name {shown}"))),
            _ => Err(self.invalid(expr, "expected a quoted text")),
        }
    }

    /// Returns the number of steps, of which each is about to hold a number.
    pub(super) fn scalars(&self, grid: Grid) -> Result<usize, QueryError> {
        self.budget.numbers(1, grid.count)?;
        Ok(grid.count)
    }

    /// Returns the milliseconds of a length, which may depend on the steps of the query.
    pub(super) fn millis(&self, length: &Length) -> Result<i64, QueryError> {
        let Steps { start_ms, end_ms, step_ms } = self.steps;
        let millis = length.millis(step_ms, end_ms.saturating_sub(start_ms));
        millis.ok_or_else(|| self.invalid_at(length.offset, "duration is out of range"))
    }

    /// Returns the milliseconds of a length that must be longer than nothing.
    pub(super) fn range_millis(&self, length: &Length) -> Result<i64, QueryError> {
        let millis = self.millis(length)?;
        match millis > 0 {
            true => Ok(millis),
            false => Err(self.invalid_at(length.offset, "duration must be greater than 0")),
        }
    }

    /// Puts rows with the same labels together; fails if two of them have a number at the same step.
    pub(super) fn merged(&self, expr: &Expr, vector: Vector) -> Result<Vector, QueryError> {
        let mut places: HashMap<Labels, usize> = HashMap::with_capacity(vector.len());
        if vector.keys.iter().enumerate().all(|(row, key)| places.insert(key.labels.clone(), row).is_none()) {
            return Ok(vector);
        }
        places.clear();
        let mut merged = Vector::empty(vector.steps);
        for (key, row) in vector.rows() {
            let next = merged.len();
            let place = *places.entry(key.labels.clone()).or_insert(next);
            if place == next {
                merged.add(key.clone()).copy_from_slice(row);
                continue;
            }
            for (known, value) in merged.row_mut(place).iter_mut().zip(row) {
                match (is_absent(*known), is_absent(*value)) {
                    (_, true) => {}
                    (true, false) => *known = *value,
                    (false, false) => return Err(self.duplicate(expr, key.labels.clone())),
                }
            }
        }
        Ok(merged)
    }

    pub(super) fn position(&self, offset: usize) -> Position {
        Position::of(self.text, offset)
    }

    pub(super) fn invalid(&self, expr: &Expr, reason: impl Into<String>) -> QueryError {
        self.invalid_at(expr.offset, reason)
    }

    pub(super) fn duplicate(&self, expr: &Expr, labels: Labels) -> QueryError {
        QueryError::Duplicate { labels, position: self.position(expr.offset) }
    }

    pub(super) fn warn(&self, expr: &Expr, text: String) {
        self.annotate(AnnotationKind::Warning, expr, text);
    }

    pub(super) fn inform(&self, expr: &Expr, text: String) {
        self.annotate(AnnotationKind::Info, expr, text);
    }

    /// Warns of numbers that are no quantile.
    pub(super) fn check_quantiles(&self, expr: &Expr, quantiles: &[f64]) {
        let mut odd: Vec<f64> = quantiles.iter().copied().filter(|q| !(0.0..=1.0).contains(q)).collect();
        odd.sort_by(f64::total_cmp);
        odd.dedup_by(|left, right| left.total_cmp(right).is_eq());
        // The extremes say it all.
        for q in [odd.first(), odd.last()].into_iter().flatten() {
            let q = brief(*q);
            self.warn(expr, format!("quantile value should be between 0 and 1, got {q}"));
        }
    }

    pub(super) fn into_annotations(self) -> Vec<Annotation> {
        self.annotations.into_inner().into_list()
    }

    fn annotate(&self, kind: AnnotationKind, expr: &Expr, text: String) {
        let position = self.position(expr.offset);
        self.annotations.borrow_mut().add(Annotation { kind, position, text });
    }

    fn invalid_at(&self, offset: usize, reason: impl Into<String>) -> QueryError {
        QueryError::Invalid { reason: reason.into(), position: self.position(offset) }
    }

    fn check_unique<'l>(&self, expr: &Expr, all: impl Iterator<Item = &'l Labels>) -> Result<(), QueryError> {
        let mut seen = std::collections::HashSet::new();
        for labels in all {
            if !seen.insert(labels) {
                return Err(self.duplicate(expr, labels.clone()));
            }
        }
        Ok(())
    }

    fn negated(&self, inner: &Expr, grid: Grid) -> Result<Operand, QueryError> {
        match self.eval(inner, grid)? {
            Operand::Scalar(values) => Ok(Operand::Scalar(values.into_iter().map(|value| -value).collect())),
            Operand::Vector(mut vector) => {
                vector.map(|_, value| -value);
                vector.drop_names();
                Ok(Operand::Vector(vector))
            }
            Operand::Text(_) => Err(self.invalid(inner, "a text has no sign")),
        }
    }

    fn matrix(&self, expr: &Expr, grid: Grid) -> Result<Value, QueryError> {
        let mut all = Vec::new();
        window::each_series(self, expr, grid, &mut |key, run| {
            let samples = run.windows().next().map_or(&[][..], |(_, window)| window.samples);
            if !samples.is_empty() {
                all.push(Series { labels: key.to_key().into_final(), samples: samples.to_vec() });
            }
            Ok(())
        })?;
        self.check_unique(expr, all.iter().map(|series| &series.labels))?;
        Ok(Value::Matrix(all))
    }
}

/// Returns the numbers of a row that are there, and their moments.
pub(super) fn samples(grid: Grid, row: &[f64]) -> impl Iterator<Item = (i64, f64)> + '_ {
    let all = row.iter().enumerate().map(move |(step, value)| (grid.at(step), *value));
    all.filter(|(_, value)| !is_absent(*value))
}
