//! Owns the way from a text to a tree that can be evaluated: limits, the parser, checks, and where an error is.

use std::time::Duration;

use promql_parser::label::{MatchOp, Matcher, Matchers};
use promql_parser::parser::token::{T_EQL_REGEX, T_NEQ_REGEX};
use promql_parser::parser::{Expr, Offset, VectorMatchFillValues, VectorSelector, parse as parse_promql};

use super::scan::{self, Kind, Token};
use super::{Position, QueryError, functions};

/// A rule with more text than this is generated, and better written as several.
const QUERY_BYTES_MAX: usize = 16 * 1024;
/// The parser walks its tree recursively for each piece; with this many it stays far from the end of a stack.
const TOKENS_MAX: usize = 1_000;
/// Each level of nesting costs stack in the evaluation. `a or b or c` nests too.
const DEPTH_MAX: usize = 64;
/// A quoted text can be as long as the query; a message shows its beginning.
const NEAR_CHARACTERS_MAX: usize = 40;
/// No retention reaches further; larger numbers would overflow on the way.
const DURATION_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Reads a query; what is returned can be evaluated as far as its text tells.
pub(super) fn parse(text: &str) -> Result<Expr, QueryError> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(QueryError::TooLarge { limit: QUERY_BYTES_MAX, unit: "bytes" });
    }
    let tokens = scan::scan(text);
    if tokens.len() > TOKENS_MAX {
        return Err(QueryError::TooLarge { limit: TOKENS_MAX, unit: "words and signs" });
    }
    let checker = Checker { text, tokens };
    checker.numbers()?;
    let mut expr = parse_promql(text).map_err(|reason| checker.locate(&reason))?;
    checker.check(&mut expr, 0)?;
    Ok(expr)
}

struct Checker<'q> {
    text: &'q str,
    tokens: Vec<Token<'q>>,
}

// === impl Checker ===

impl Checker<'_> {
    /// Refuses numbers that the parser would panic on where it takes them for durations.
    fn numbers(&self) -> Result<(), QueryError> {
        let is_duration = |index: usize| {
            let before = self.tokens[..index].iter().rev().find(|token| !matches!(token.text, "+" | "-"));
            self.tokens[index].in_brackets
                || before.is_some_and(|token| token.text.eq_ignore_ascii_case("offset"))
        };
        for (index, token) in self.tokens.iter().enumerate() {
            if token.kind == Kind::Number
                && let Ok(seconds) = token.text.parse::<f64>()
                && !(0.0..=DURATION_MAX.as_secs_f64()).contains(&seconds)
                && is_duration(index)
            {
                return Err(self.syntax(token.offset, "duration is out of range"));
            }
        }
        Ok(())
    }

    /// Checks a tree from the top, and makes its regular expressions match as Prometheus' do.
    fn check(&self, expr: &mut Expr, depth: usize) -> Result<(), QueryError> {
        if depth > DEPTH_MAX {
            return Err(QueryError::TooLarge { limit: DEPTH_MAX, unit: "levels of nesting" });
        }
        match expr {
            Expr::Aggregate(aggregate) => {
                if let Some(param) = &mut aggregate.param {
                    self.check(param, depth + 1)?;
                }
                self.check(&mut aggregate.expr, depth + 1)
            }
            Expr::Unary(unary) => self.check(&mut unary.expr, depth + 1),
            Expr::Paren(paren) => self.check(&mut paren.expr, depth + 1),
            Expr::Binary(binary) => {
                let fill = binary.modifier.as_ref().map(|modifier| &modifier.fill_values);
                if fill.is_some_and(|fill| *fill != VectorMatchFillValues::default()) {
                    return Err(self.unsupported("fill"));
                }
                self.check(&mut binary.lhs, depth + 1)?;
                self.check(&mut binary.rhs, depth + 1)
            }
            Expr::Subquery(subquery) => {
                self.duration(subquery.range)?;
                subquery.step.map_or(Ok(()), |step| self.duration(step))?;
                self.offset(subquery.offset.as_ref())?;
                self.check(&mut subquery.expr, depth + 1)
            }
            Expr::VectorSelector(selector) => self.selector(selector),
            Expr::MatrixSelector(matrix) => {
                self.duration(matrix.range)?;
                self.selector(&mut matrix.vs)
            }
            Expr::Call(call) => {
                if !functions::is_known(call.func.name) {
                    return Err(self.unsupported(call.func.name));
                }
                call.args.args.iter_mut().try_for_each(|argument| self.check(argument, depth + 1))
            }
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Ok(()),
            Expr::Extension(_) => Err(self.unsupported("extension")),
        }
    }

    fn selector(&self, selector: &mut VectorSelector) -> Result<(), QueryError> {
        self.offset(selector.offset.as_ref())?;
        let Matchers { matchers, or_matchers } = &mut selector.matchers;
        if !or_matchers.is_empty() {
            return Err(self.unsupported("or"));
        }
        for matcher in matchers {
            let token = match matcher.op {
                MatchOp::Re(_) => T_EQL_REGEX,
                MatchOp::NotRe(_) => T_NEQ_REGEX,
                MatchOp::Equal | MatchOp::NotEqual => continue,
            };
            // Prometheus 3 lets `.` match a newline as well.
            let compiled =
                Matcher::new_matcher(token, matcher.name.clone(), format!("(?s:{})", matcher.value));
            matcher.op = compiled.map_err(|reason| self.locate(&reason))?.op;
        }
        Ok(())
    }

    fn offset(&self, offset: Option<&Offset>) -> Result<(), QueryError> {
        match offset {
            // An offset of zero is one, unlike a range.
            Some(Offset::Pos(duration) | Offset::Neg(duration)) if duration.is_zero() => Ok(()),
            Some(Offset::Pos(duration) | Offset::Neg(duration)) => self.duration(*duration),
            None => Ok(()),
        }
    }

    fn duration(&self, duration: Duration) -> Result<(), QueryError> {
        // What is below a millisecond is nothing in a store that counts in milliseconds.
        if duration < Duration::from_millis(1) || duration > DURATION_MAX {
            let bracketed = self.tokens.iter().find(|token| token.in_brackets).map(|token| token.offset);
            let offset = bracketed.or_else(|| scan::word(&self.tokens, "offset"));
            return Err(self.syntax(offset.unwrap_or_default(), "duration is out of range"));
        }
        Ok(())
    }

    fn unsupported(&self, name: &str) -> QueryError {
        let offset = scan::call(&self.tokens, name).or_else(|| scan::word(&self.tokens, name));
        let position = Position::of(self.text, offset.unwrap_or_default());
        QueryError::Unsupported { name: name.to_owned(), position }
    }

    /// Finds the place that one of the parser's messages speaks about.
    fn locate(&self, reason: &str) -> QueryError {
        let named = reason.split('\'').nth(1);
        let quoted = ["duration syntax: ", "regex for "].iter().find_map(|before| reason.split_once(before));
        let quoted = quoted.and_then(|(_, text)| self.tokens.iter().find(|token| token.text.contains(text)));
        let offset = named
            .and_then(|name| scan::call(&self.tokens, name).or_else(|| scan::word(&self.tokens, name)))
            .or(quoted.map(|token| token.offset))
            .or_else(|| scan::misplaced(&self.tokens, self.text.len()))
            .unwrap_or_default();
        self.syntax(offset, reason)
    }

    fn syntax(&self, offset: usize, reason: &str) -> QueryError {
        let near = self.tokens.iter().find(|token| token.offset >= offset);
        let near = near.map_or("end of query", |token| token.text);
        QueryError::Syntax {
            position: Position::of(self.text, offset),
            near: near.chars().take(NEAR_CHARACTERS_MAX).collect(),
            reason: reason.to_owned(),
        }
    }
}
