//! Owns the walk through the tree of a query at one moment.

use std::cell::Cell;

use promql_parser::parser::Expr;

use super::value::{Operand, Point, Window};
use super::{QueryError, Series, Steps, Value, aggregate, binary, functions, selector, value};
use crate::store::Store;

/// The limit of Prometheus; here a series that is looked at and a step of a subquery count like a sample, so that no
/// query takes longer than seconds.
const SAMPLES_MAX: usize = 50_000_000;

/// One evaluation: where samples come from, the whole stretch of time, and what may still be read.
pub(super) struct Evaluator<'s> {
    pub(super) store: &'s Store,
    /// The whole stretch, which `@ start()` and `range()` speak of.
    pub(super) steps: Steps,
    samples_left: Cell<usize>,
}

// === impl Evaluator ===

impl<'s> Evaluator<'s> {
    pub(super) fn new(store: &'s Store, steps: Steps) -> Self {
        Self { store, steps, samples_left: Cell::new(SAMPLES_MAX) }
    }

    /// Evaluates a whole query.
    pub(super) fn value(&self, expr: &Expr, at_ms: i64) -> Result<Value, QueryError> {
        match unwrapped(expr) {
            range @ (Expr::MatrixSelector(_) | Expr::Subquery(_)) => self.matrix(range, at_ms),
            expr => self.eval(expr, at_ms)?.finish(),
        }
    }

    /// Evaluates any part that is not a range of samples.
    pub(super) fn eval(&self, expr: &Expr, at_ms: i64) -> Result<Operand, QueryError> {
        match expr {
            Expr::NumberLiteral(number) => Ok(Operand::Scalar(number.val)),
            Expr::StringLiteral(text) => Ok(Operand::Text(text.val.clone())),
            Expr::Paren(paren) => self.eval(&paren.expr, at_ms),
            Expr::Unary(unary) => self.negated(&unary.expr, at_ms),
            Expr::Binary(expr) => binary::evaluate(self, expr, at_ms),
            Expr::Aggregate(expr) => aggregate::evaluate(self, expr, at_ms).map(Operand::Vector),
            Expr::Call(call) => functions::evaluate(self, call, at_ms),
            Expr::VectorSelector(expr) => {
                let found = selector::instant(self, expr, at_ms)?;
                Ok(Operand::Vector(found.into_iter().map(|(point, _)| point).collect()))
            }
            Expr::MatrixSelector(_) | Expr::Subquery(_) => {
                Err(QueryError::Type { expected: "instant vector", got: "range vector" })
            }
            Expr::Extension(_) => Err(QueryError::Type { expected: "PromQL", got: "extension" }),
        }
    }

    pub(super) fn scalar(&self, expr: &Expr, at_ms: i64) -> Result<f64, QueryError> {
        match self.eval(expr, at_ms)? {
            Operand::Scalar(value) => Ok(value),
            other => Err(QueryError::Type { expected: "scalar", got: other.kind() }),
        }
    }

    pub(super) fn vector(&self, expr: &Expr, at_ms: i64) -> Result<Vec<Point>, QueryError> {
        match self.eval(expr, at_ms)? {
            Operand::Vector(points) => Ok(points),
            other => Err(QueryError::Type { expected: "instant vector", got: other.kind() }),
        }
    }

    pub(super) fn text(&self, expr: &Expr, at_ms: i64) -> Result<String, QueryError> {
        match self.eval(expr, at_ms)? {
            Operand::Text(text) => Ok(text),
            other => Err(QueryError::Type { expected: "string", got: other.kind() }),
        }
    }

    /// Hands each series of a range, with its samples, to `visit`; series without samples are left out.
    pub(super) fn windows(
        &self,
        expr: &Expr,
        at_ms: i64,
        visit: &mut dyn FnMut(Window<'_>),
    ) -> Result<(), QueryError> {
        match unwrapped(expr) {
            Expr::MatrixSelector(matrix) => selector::windows(self, matrix, at_ms, visit),
            Expr::Subquery(subquery) => selector::subquery(self, subquery, at_ms, visit),
            other => {
                let got = self.eval(other, at_ms)?.kind();
                Err(QueryError::Type { expected: "range vector", got })
            }
        }
    }

    /// Takes samples, series or steps off what may be read.
    pub(super) fn spend(&self, samples: usize) -> Result<(), QueryError> {
        match self.samples_left.get().checked_sub(samples) {
            Some(left) => {
                self.samples_left.set(left);
                Ok(())
            }
            None => Err(QueryError::TooMuch { limit: SAMPLES_MAX, unit: "samples" }),
        }
    }

    fn negated(&self, expr: &Expr, at_ms: i64) -> Result<Operand, QueryError> {
        match self.eval(expr, at_ms)? {
            Operand::Scalar(value) => Ok(Operand::Scalar(-value)),
            Operand::Vector(points) => {
                let negated = points.into_iter().map(|point| Point::nameless(point.labels, -point.value));
                Ok(Operand::Vector(negated.collect()))
            }
            Operand::Text(_) => Err(QueryError::Type { expected: "scalar or instant vector", got: "string" }),
        }
    }

    fn matrix(&self, expr: &Expr, at_ms: i64) -> Result<Value, QueryError> {
        let mut all = Vec::new();
        self.windows(expr, at_ms, &mut |window| {
            let point = Point { labels: window.labels.clone(), value: 0.0, drop_name: window.drop_name };
            all.push(Series { labels: point.final_labels(), samples: window.samples.to_vec() });
        })?;
        value::check_unique(all.iter().map(|series| &series.labels))?;
        Ok(Value::Matrix(all))
    }
}

/// Returns the expression inside any parentheses.
pub(super) fn unwrapped(mut expr: &Expr) -> &Expr {
    while let Expr::Paren(paren) = expr {
        expr = &paren.expr;
    }
    expr
}
