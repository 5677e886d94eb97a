//! Owns binary operators: which element of one side belongs to which of the other, and what labels come of it.

mod join;
mod set;

use super::QueryError;
use super::eval::Evaluator;
use super::syntax::{Expr, Matching, Operator};
use super::value::{ABSENT, Operand, Vector};

/// What a comparison does with its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// Elements for which it is no are left out.
    Filters,
    /// It is 1 or 0 (`bool`).
    IsValue,
}

/// An operator that yields a number for two.
#[derive(Debug, Clone, Copy)]
struct Computation {
    operator: Operator,
    answer: Answer,
}

pub(super) fn binary(
    evaluator: &Evaluator<'_>,
    expr: &Expr,
    (operator, is_bool): (Operator, bool),
    matching: &Matching,
    operands: (Operand, Operand),
) -> Result<Operand, QueryError> {
    let answer = if is_bool { Answer::IsValue } else { Answer::Filters };
    let computation = Computation { operator, answer };
    match operands {
        (Operand::Vector(left), Operand::Vector(right)) => {
            let vector = match operator {
                Operator::Set(operator) => set::combine(evaluator, expr, operator, matching, left, right)?,
                _ => join::join(evaluator, expr, computation, matching, (&left, &right))?,
            };
            Ok(Operand::Vector(vector))
        }
        (Operand::Scalar(left), Operand::Scalar(right)) => {
            let computation = Computation { answer: Answer::IsValue, ..computation };
            let pairs = left.iter().zip(&right);
            Ok(Operand::Scalar(pairs.map(|(left, right)| computation.apply(*left, *right, *left)).collect()))
        }
        (Operand::Vector(vector), Operand::Scalar(scalar)) => {
            Ok(each(computation, vector, |step, value| computation.apply(value, scalar[step], value)))
        }
        (Operand::Scalar(scalar), Operand::Vector(vector)) => {
            Ok(each(computation, vector, |step, value| computation.apply(scalar[step], value, value)))
        }
        _ => Err(evaluator.invalid(expr, "a text has no operators")),
    }
}

fn each(computation: Computation, mut vector: Vector, compute: impl Fn(usize, f64) -> f64) -> Operand {
    vector.map(compute);
    if computation.drops_name() {
        vector.drop_names();
    } else {
        vector.compact();
    }
    Operand::Vector(vector)
}

// === impl Computation ===

impl Computation {
    /// Returns the value of an element, or none if it is left out; `kept` is what a comparison lets through.
    fn apply(self, left: f64, right: f64, kept: f64) -> f64 {
        match self.operator {
            Operator::Arithmetic(compute) => compute(left, right),
            Operator::Comparison(holds) => match self.answer {
                Answer::IsValue => f64::from(u8::from(holds(left, right))),
                Answer::Filters if holds(left, right) => kept,
                Answer::Filters => ABSENT,
            },
            Operator::Set(_) => ABSENT,
        }
    }

    fn is_arithmetic(self) -> bool {
        matches!(self.operator, Operator::Arithmetic(_))
    }

    /// Tells whether what comes out is no longer a value of the metric.
    fn drops_name(self) -> bool {
        self.is_arithmetic() || self.answer == Answer::IsValue
    }
}
