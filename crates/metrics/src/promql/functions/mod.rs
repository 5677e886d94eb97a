//! Owns the functions of PromQL: which there are, and how each gets at its arguments.

mod date;
mod elementwise;
mod label;
mod over_time;
mod rate;
mod whole;

use promql_parser::parser::{Call, Expr};

use super::QueryError;
use super::eval::Evaluator;
use super::value::{Operand, Point, Window};
use date::Date;

/// What a function is, by what it works on.
#[derive(Clone, Copy)]
enum Function {
    /// Makes a new number of each element of a vector; the name is lost.
    Element(fn(f64) -> f64),
    /// Reads the value of each element as a moment; without a vector, the moment of evaluation.
    Date(fn(Date) -> i64),
    /// Makes one number, or none, of each series of a range; the name is lost.
    Window(fn(Window<'_>) -> Option<f64>),
    /// Does as it likes.
    Whole(fn(Arguments<'_>) -> Result<Operand, QueryError>),
}

/// The arguments of one call, and what evaluates them.
#[derive(Clone, Copy)]
struct Arguments<'a> {
    evaluator: &'a Evaluator<'a>,
    call: &'a Call,
    at_ms: i64,
}

/// Tells whether a function is implemented.
pub(super) fn is_known(name: &str) -> bool {
    find(name).is_some()
}

fn find(name: &str) -> Option<Function> {
    elementwise::find(name)
        .or_else(|| over_time::find(name))
        .or_else(|| rate::find(name))
        .or_else(|| date::find(name))
        .or_else(|| label::find(name))
        .or_else(|| whole::find(name))
}

pub(super) fn evaluate(evaluator: &Evaluator<'_>, call: &Call, at_ms: i64) -> Result<Operand, QueryError> {
    let arguments = Arguments { evaluator, call, at_ms };
    match find(call.func.name) {
        Some(Function::Element(compute)) => elementwise::each(arguments.vector(0)?, compute),
        Some(Function::Date(part)) => date::evaluate(arguments, part),
        Some(Function::Window(compute)) => {
            arguments.each_window(0, |window| Some(Point::nameless(window.labels.clone(), compute(window)?)))
        }
        Some(Function::Whole(compute)) => compute(arguments),
        // Refused, with its place, when the query was parsed.
        None => Err(QueryError::Type { expected: "a known function", got: "another" }),
    }
}

// === impl Arguments ===

impl<'a> Arguments<'a> {
    fn len(self) -> usize {
        self.call.args.args.len()
    }

    fn expr(self, index: usize) -> Result<&'a Expr, QueryError> {
        let expr = self.call.args.args.get(index).map(AsRef::as_ref);
        expr.ok_or(QueryError::Type { expected: "an argument", got: "nothing" })
    }

    fn scalar(self, index: usize) -> Result<f64, QueryError> {
        self.evaluator.scalar(self.expr(index)?, self.at_ms)
    }

    fn vector(self, index: usize) -> Result<Vec<Point>, QueryError> {
        self.evaluator.vector(self.expr(index)?, self.at_ms)
    }

    fn text(self, index: usize) -> Result<String, QueryError> {
        self.evaluator.text(self.expr(index)?, self.at_ms)
    }

    /// Makes an element, or none, of each series of a range.
    fn each_window(
        self,
        index: usize,
        mut make: impl FnMut(Window<'_>) -> Option<Point>,
    ) -> Result<Operand, QueryError> {
        let mut points = Vec::new();
        self.evaluator.windows(self.expr(index)?, self.at_ms, &mut |window| {
            points.extend(make(window));
        })?;
        Ok(Operand::Vector(points))
    }
}
