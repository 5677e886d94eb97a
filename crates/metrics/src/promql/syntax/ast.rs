//! Owns the tree of a query: what each piece is, and where in the text it begins.

use regex::Regex;

use super::operator::{Aggregation, Operator};
use crate::labels::METRIC_NAME;
use crate::promql::functions::Signature;

/// A piece of a query that has a value.
#[derive(Debug, Clone)]
pub(in crate::promql) struct Expr {
    pub(in crate::promql) kind: Kind,
    /// Bytes of the query before this piece.
    pub(in crate::promql) offset: usize,
    /// How many pieces are nested in it, itself included.
    pub(super) depth: usize,
}

/// What a piece is.
#[derive(Debug, Clone)]
pub(in crate::promql) enum Kind {
    Number(f64),
    Text(String),
    /// A quoted text whose bytes are none, as it is shown.
    Bytes(String),
    /// The newest sample of each selected series.
    Selector(Selector),
    /// The samples of a stretch of time of each selected series.
    Range {
        selector: Selector,
        range: Length,
    },
    /// The values of an expression at regular moments of a stretch of time.
    Subquery {
        inner: Box<Expr>,
        range: Length,
        step: Option<Length>,
        when: When,
    },
    Call {
        function: Signature,
        arguments: Vec<Expr>,
    },
    Aggregate {
        aggregation: Aggregation,
        grouping: Grouping,
        param: Option<Box<Expr>>,
        inner: Box<Expr>,
    },
    Negated(Box<Expr>),
    Binary {
        operator: Operator,
        left: Box<Expr>,
        right: Box<Expr>,
        matching: Matching,
        /// A comparison yields 1 or 0 (`bool`) and leaves nothing out.
        is_bool: bool,
    },
    Paren(Box<Expr>),
}

/// What type of value a piece has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::promql) enum Type {
    Scalar,
    Vector,
    Range,
    Text,
}

/// Which series, and from which moment they are looked at.
#[derive(Debug, Clone)]
pub(in crate::promql) struct Selector {
    /// The name of the metric is one of them.
    pub(in crate::promql) matchers: Vec<Matcher>,
    pub(in crate::promql) when: When,
    /// Bytes of the query before it: no two selectors of a query begin at the same place.
    pub(in crate::promql) offset: usize,
}

/// A condition for one label; an absent label counts as empty.
#[derive(Debug, Clone)]
pub(in crate::promql) struct Matcher {
    pub(in crate::promql) name: String,
    pub(in crate::promql) condition: Condition,
}

#[derive(Debug, Clone)]
pub(in crate::promql) enum Condition {
    Equal(String),
    NotEqual(String),
    Matches(Regex),
    MatchesNot(Regex),
}

/// What moves the moment at which something is looked at.
#[derive(Debug, Clone, Default)]
pub(in crate::promql) struct When {
    pub(in crate::promql) at: Option<At>,
    pub(in crate::promql) offset: Option<Length>,
}

/// A moment that does not move with the evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::promql) enum At {
    Start,
    End,
    Millis(i64),
}

/// A length of time, perhaps one that depends on the steps of the query.
#[derive(Debug, Clone)]
pub(in crate::promql) struct Length {
    pub(in crate::promql) kind: LengthKind,
    pub(in crate::promql) offset: usize,
}

#[derive(Debug, Clone)]
pub(in crate::promql) enum LengthKind {
    Seconds(f64),
    /// `step()`: the time between two steps of a range query.
    Step,
    /// `range()`: the time from the first to the last step.
    Range,
    Negated(Box<Length>),
    Arithmetic(fn(f64, f64) -> f64, Box<Length>, Box<Length>),
}

/// By which labels elements are put together.
#[derive(Debug, Clone)]
pub(in crate::promql) enum Grouping {
    By(Vec<String>),
    Without(Vec<String>),
}

/// How the elements of two sides find one another.
#[derive(Debug, Clone)]
pub(in crate::promql) struct Matching {
    /// `on` is `By`, `ignoring` is `Without`.
    pub(in crate::promql) labels: Grouping,
    pub(in crate::promql) group: Group,
    /// The value of an element that is missing on the left…
    pub(in crate::promql) fill_left: Option<f64>,
    /// … and on the right.
    pub(in crate::promql) fill_right: Option<f64>,
}

/// Which side may have several elements for one of the other, and the labels that it takes over from there.
#[derive(Debug, Clone)]
pub(in crate::promql) enum Group {
    None,
    Left(Vec<String>),
    Right(Vec<String>),
}

// === impl Expr ===

impl Expr {
    pub(in crate::promql) fn value_type(&self) -> Type {
        match &self.kind {
            Kind::Number(_) => Type::Scalar,
            Kind::Text(_) | Kind::Bytes(_) => Type::Text,
            Kind::Selector(_) | Kind::Aggregate { .. } => Type::Vector,
            Kind::Range { .. } | Kind::Subquery { .. } => Type::Range,
            Kind::Call { function, .. } => function.returns,
            Kind::Negated(inner) | Kind::Paren(inner) => inner.value_type(),
            Kind::Binary { left, right, .. } => match (left.value_type(), right.value_type()) {
                (Type::Scalar, Type::Scalar) => Type::Scalar,
                _ => Type::Vector,
            },
        }
    }

    /// Returns the expression inside any parentheses.
    pub(in crate::promql) fn unwrapped(&self) -> &Self {
        let mut expr = self;
        while let Kind::Paren(inner) = &expr.kind {
            expr = inner;
        }
        expr
    }

    /// Hands each selector in it to `visit`, from left to right.
    pub(in crate::promql) fn selectors<'e>(&'e self, visit: &mut dyn FnMut(&'e Selector)) {
        match &self.kind {
            Kind::Selector(selector) | Kind::Range { selector, .. } => visit(selector),
            Kind::Subquery { inner, .. } | Kind::Negated(inner) | Kind::Paren(inner) => {
                inner.selectors(visit);
            }
            Kind::Call { arguments, .. } => arguments.iter().for_each(|inner| inner.selectors(visit)),
            Kind::Aggregate { param, inner, .. } => {
                param.iter().for_each(|param| param.selectors(visit));
                inner.selectors(visit);
            }
            Kind::Binary { left, right, .. } => {
                left.selectors(visit);
                right.selectors(visit);
            }
            Kind::Number(_) | Kind::Text(_) | Kind::Bytes(_) => {}
        }
    }
}

// === impl Type ===

impl Type {
    pub(in crate::promql) fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Range => "range vector",
            Self::Text => "string",
        }
    }
}

// === impl Selector ===

impl Selector {
    /// Returns the one metric name that it selects, if it does.
    pub(in crate::promql) fn metric_name(&self) -> Option<&str> {
        self.matchers.iter().find_map(|matcher| match &matcher.condition {
            Condition::Equal(name) if matcher.name == METRIC_NAME && !name.is_empty() => Some(name.as_str()),
            _ => None,
        })
    }
}

// === impl Matcher ===

impl Matcher {
    pub(in crate::promql) fn accepts(&self, value: &str) -> bool {
        match &self.condition {
            Condition::Equal(wanted) => value == wanted,
            Condition::NotEqual(unwanted) => value != unwanted,
            Condition::Matches(regex) => regex.is_match(value),
            Condition::MatchesNot(regex) => !regex.is_match(value),
        }
    }
}

// === impl Grouping ===

impl Grouping {
    pub(in crate::promql) fn names(&self) -> &[String] {
        match self {
            Self::By(names) | Self::Without(names) => names,
        }
    }
}

// === impl Matching ===

impl Default for Matching {
    fn default() -> Self {
        Self { labels: Grouping::Without(Vec::new()), group: Group::None, fill_left: None, fill_right: None }
    }
}
