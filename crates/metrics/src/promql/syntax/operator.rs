//! Owns the operators: between two expressions, and over the elements of a vector.

/// An operator between two expressions.
#[derive(Debug, Clone, Copy)]
pub(in crate::promql) enum Operator {
    /// Yields a new number.
    Arithmetic(fn(f64, f64) -> f64),
    /// Yields yes or no.
    Comparison(fn(f64, f64) -> bool),
    Set(SetOperator),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::promql) enum SetOperator {
    And,
    Or,
    Unless,
}

/// How tightly an operator binds; a larger one binds first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Precedence {
    Or,
    And,
    Comparison,
    Sum,
    Product,
    Power,
}

/// An operator over the elements of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::promql) enum Aggregation {
    Avg,
    Bottomk,
    Count,
    CountValues,
    Group,
    LimitRatio,
    Limitk,
    Max,
    Min,
    Quantile,
    Stddev,
    Stdvar,
    Sum,
    Topk,
}

// === impl Operator ===

impl Operator {
    /// Returns the operator that a word or sign is, and how tightly it binds.
    pub(super) fn of(text: &str) -> Option<(Self, Precedence)> {
        let lower = text.to_ascii_lowercase();
        Some(match lower.as_str() {
            "+" => (Self::Arithmetic(|left, right| left + right), Precedence::Sum),
            "-" => (Self::Arithmetic(|left, right| left - right), Precedence::Sum),
            "*" => (Self::Arithmetic(|left, right| left * right), Precedence::Product),
            "/" => (Self::Arithmetic(|left, right| left / right), Precedence::Product),
            "%" => (Self::Arithmetic(|left, right| left % right), Precedence::Product),
            "atan2" => (Self::Arithmetic(f64::atan2), Precedence::Product),
            "^" => (Self::Arithmetic(f64::powf), Precedence::Power),
            "==" => (Self::Comparison(|left, right| left == right), Precedence::Comparison),
            "!=" => (Self::Comparison(|left, right| left != right), Precedence::Comparison),
            ">" => (Self::Comparison(|left, right| left > right), Precedence::Comparison),
            "<" => (Self::Comparison(|left, right| left < right), Precedence::Comparison),
            ">=" => (Self::Comparison(|left, right| left >= right), Precedence::Comparison),
            "<=" => (Self::Comparison(|left, right| left <= right), Precedence::Comparison),
            "and" => (Self::Set(SetOperator::And), Precedence::And),
            "unless" => (Self::Set(SetOperator::Unless), Precedence::And),
            "or" => (Self::Set(SetOperator::Or), Precedence::Or),
            _ => return None,
        })
    }
}

// === impl Precedence ===

impl Precedence {
    /// Returns what binds one step tighter: the right side of an operator that groups to the left.
    pub(super) fn tighter(self) -> Self {
        match self {
            Self::Or => Self::And,
            Self::And => Self::Comparison,
            Self::Comparison => Self::Sum,
            Self::Sum => Self::Product,
            Self::Product | Self::Power => Self::Power,
        }
    }
}

// === impl Aggregation ===

impl Aggregation {
    pub(super) fn of(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "avg" => Self::Avg,
            "bottomk" => Self::Bottomk,
            "count" => Self::Count,
            "count_values" => Self::CountValues,
            "group" => Self::Group,
            "limit_ratio" => Self::LimitRatio,
            "limitk" => Self::Limitk,
            "max" => Self::Max,
            "min" => Self::Min,
            "quantile" => Self::Quantile,
            "stddev" => Self::Stddev,
            "stdvar" => Self::Stdvar,
            "sum" => Self::Sum,
            "topk" => Self::Topk,
            _ => return None,
        })
    }

    /// Tells whether it takes a parameter before the vector.
    pub(super) fn has_param(self) -> bool {
        use Aggregation::{Bottomk, CountValues, LimitRatio, Limitk, Quantile, Topk};
        matches!(self, Bottomk | CountValues | LimitRatio | Limitk | Quantile | Topk)
    }
}
