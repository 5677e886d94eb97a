//! Owns the way from a text to a tree that can be evaluated: words and signs, the grammar, types, and where an error is.

mod ast;
mod call;
mod length;
mod lexer;
mod literal;
mod operator;
mod parser;
mod selector;

pub(super) use ast::{
    At, Condition, Expr, Group, Grouping, Kind, Length, Matcher, Matching, Selector, Type, When,
};
pub(super) use literal::{DURATION_SECONDS_MAX, number};
pub(super) use operator::{Aggregation, Operator, SetOperator};
pub(super) use selector::anchored;

use super::QueryError;
use parser::Parser;

/// A rule with more text than this is generated, and better written as several.
const QUERY_BYTES_MAX: usize = 16 * 1024;

/// Reads a query.
pub(super) fn parse(text: &str) -> Result<Expr, QueryError> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(QueryError::TooLarge { limit: QUERY_BYTES_MAX, unit: "bytes" });
    }
    Parser::new(text).query()
}
