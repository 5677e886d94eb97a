//! Owns binary operators: what each does with two numbers, and operands of which at most one is a vector.

use promql_parser::parser::BinaryExpr;
use promql_parser::parser::token::{
    T_ADD, T_ATAN2, T_DIV, T_EQLC, T_GTE, T_GTR, T_LAND, T_LOR, T_LSS, T_LTE, T_LUNLESS, T_MOD, T_MUL, T_NEQ,
    T_POW, T_SUB, TokenType,
};

use super::eval::Evaluator;
use super::value::{Operand, Point};
use super::{QueryError, matching};

/// An operator between two expressions.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operator {
    /// Yields a new number.
    Arithmetic(fn(f64, f64) -> f64),
    /// Yields yes or no.
    Comparison(fn(f64, f64) -> bool),
    Set(SetOperator),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum SetOperator {
    And,
    Or,
    Unless,
}

/// What a comparison does with its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Elements for which it is no are left out.
    Filters,
    /// It is 1 or 0 (`bool`).
    IsValue,
}

// === impl Operator ===

impl Operator {
    fn of(token: TokenType) -> Result<Self, QueryError> {
        Ok(match token.id() {
            T_ADD => Self::Arithmetic(|left, right| left + right),
            T_SUB => Self::Arithmetic(|left, right| left - right),
            T_MUL => Self::Arithmetic(|left, right| left * right),
            T_DIV => Self::Arithmetic(|left, right| left / right),
            T_MOD => Self::Arithmetic(|left, right| left % right),
            T_POW => Self::Arithmetic(f64::powf),
            T_ATAN2 => Self::Arithmetic(f64::atan2),
            T_EQLC => Self::Comparison(|left, right| left == right),
            T_NEQ => Self::Comparison(|left, right| left != right),
            T_GTR => Self::Comparison(|left, right| left > right),
            T_LSS => Self::Comparison(|left, right| left < right),
            T_GTE => Self::Comparison(|left, right| left >= right),
            T_LTE => Self::Comparison(|left, right| left <= right),
            T_LAND => Self::Set(SetOperator::And),
            T_LOR => Self::Set(SetOperator::Or),
            T_LUNLESS => Self::Set(SetOperator::Unless),
            _ => return Err(QueryError::Type { expected: "binary operator", got: "another word" }),
        })
    }

    /// Returns the value of an element and whether its name is lost; none if the element is left out.
    ///
    /// `kept` is the value that a comparison lets through.
    pub(super) fn apply(self, left: f64, right: f64, kept: f64, answer: Answer) -> Option<(f64, bool)> {
        match self {
            Self::Arithmetic(compute) => Some((compute(left, right), true)),
            Self::Comparison(holds) => match answer {
                Answer::IsValue => Some((f64::from(u8::from(holds(left, right))), true)),
                Answer::Filters => holds(left, right).then_some((kept, false)),
            },
            Self::Set(_) => None,
        }
    }
}

pub(super) fn evaluate(
    evaluator: &Evaluator<'_>,
    expr: &BinaryExpr,
    at_ms: i64,
) -> Result<Operand, QueryError> {
    let operator = Operator::of(expr.op)?;
    let answer = if expr.return_bool() { Answer::IsValue } else { Answer::Filters };
    let left = evaluator.eval(&expr.lhs, at_ms)?;
    let right = evaluator.eval(&expr.rhs, at_ms)?;
    match (left, right) {
        (Operand::Vector(left), Operand::Vector(right)) => {
            let vector = match operator {
                Operator::Set(set) => matching::set(set, left, right, expr.modifier.as_ref()),
                operator => matching::join(operator, answer, &left, &right, expr.modifier.as_ref())?,
            };
            Ok(Operand::Vector(vector))
        }
        (Operand::Scalar(left), Operand::Scalar(right)) => {
            match operator.apply(left, right, left, Answer::IsValue) {
                Some((value, _)) => Ok(Operand::Scalar(value)),
                None => Err(QueryError::Type { expected: "instant vector", got: "scalar" }),
            }
        }
        (Operand::Vector(points), Operand::Scalar(scalar)) => {
            Ok(each(points, |value| operator.apply(value, scalar, value, answer)))
        }
        (Operand::Scalar(scalar), Operand::Vector(points)) => {
            Ok(each(points, |value| operator.apply(scalar, value, value, answer)))
        }
        _ => Err(QueryError::Type { expected: "scalar or instant vector", got: "string" }),
    }
}

fn each(points: Vec<Point>, apply: impl Fn(f64) -> Option<(f64, bool)>) -> Operand {
    let applied = points.into_iter().filter_map(|point| {
        let (value, nameless) = apply(point.value)?;
        Some(Point { value, drop_name: point.drop_name || nameless, ..point })
    });
    Operand::Vector(applied.collect())
}
