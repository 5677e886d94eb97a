//! Owns the grammar of expressions: operators by how tightly they bind, what follows an operand, and operands.

use super::ast::{At, Expr, Kind, Matching, Type, When};
use super::lexer::{Token, TokenKind, tokens};
use super::literal::{self, Unquoted};
use super::operator::{Aggregation, Operator, Precedence};
use crate::promql::{Position, QueryError};

/// Each level of nesting costs stack, here and in the evaluation. `a or b or c` nests too.
const DEPTH_MAX: usize = 64;
/// A quoted text can be as long as the query; a message shows its beginning.
const NEAR_CHARACTERS_MAX: usize = 40;
/// Moments further away than this would overflow on the way.
const AT_SECONDS_MAX: f64 = 9_000_000_000_000.0;

const BAD_ESCAPE: &str = "bad escape in quoted text";
/// Why what works on native histograms is refused.
pub(super) const NATIVE: &str = "it needs native histograms, which are not stored here";

pub(super) struct Parser<'q> {
    text: &'q str,
    tokens: Vec<Token<'q>>,
    next: usize,
    depth: usize,
}

// === impl Parser ===

impl<'q> Parser<'q> {
    pub(super) fn new(text: &'q str) -> Self {
        Self { text, tokens: tokens(text), next: 0, depth: 0 }
    }

    /// Reads the whole query.
    pub(super) fn query(mut self) -> Result<Expr, QueryError> {
        let expr = self.expression(Precedence::Or)?;
        let rest = self.peek();
        match rest.kind {
            TokenKind::End => Ok(expr),
            TokenKind::Sign if matches!(rest.text, "</" | ">/") => Err(self.unsupported(rest, NATIVE)),
            TokenKind::Unclosed => Err(self.fault(rest.offset, "the quote is never closed")),
            TokenKind::Stray => Err(self.fault(rest.offset, "unexpected character")),
            _ => Err(self.fault(rest.offset, "expected an operator or the end")),
        }
    }

    /// Reads an expression whose operators bind at least this tightly.
    pub(super) fn expression(&mut self, least: Precedence) -> Result<Expr, QueryError> {
        self.descend()?;
        let mut left = self.operand()?;
        loop {
            let token = self.peek();
            let found = match token.kind {
                TokenKind::Word | TokenKind::Sign => Operator::of(token.text),
                _ => None,
            };
            let Some((operator, precedence)) = found.filter(|(_, precedence)| *precedence >= least) else {
                break;
            };
            self.advance();
            let (is_bool, matching) = self.modifiers()?;
            let right = self.expression(precedence.tighter())?;
            left = self.binary((token, operator), left, right, matching, is_bool)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    /// Fails if the text nests too deeply; whoever calls it takes one off `depth` at the end.
    pub(super) fn descend(&mut self) -> Result<(), QueryError> {
        self.depth += 1;
        match self.depth > DEPTH_MAX + 1 {
            true => Err(QueryError::TooLarge { limit: DEPTH_MAX, unit: "levels of nesting" }),
            false => Ok(()),
        }
    }

    pub(super) fn ascend(&mut self) {
        self.depth -= 1;
    }

    /// Makes a piece of the tree; `inside` is the depth of what it contains.
    pub(super) fn node(&self, kind: Kind, offset: usize, inside: usize) -> Result<Expr, QueryError> {
        match inside > DEPTH_MAX {
            true => Err(QueryError::TooLarge { limit: DEPTH_MAX, unit: "levels of nesting" }),
            false => Ok(Expr { kind, offset, depth: inside + 1 }),
        }
    }

    fn binary(
        &self,
        (token, operator): (Token<'_>, Operator),
        left: Expr,
        right: Expr,
        matching: Option<Matching>,
        is_bool: bool,
    ) -> Result<Expr, QueryError> {
        for side in [&left, &right] {
            if !matches!(side.value_type(), Type::Scalar | Type::Vector) {
                let reason = "binary expression must contain only scalar and instant vector types";
                return Err(self.fault(side.offset, reason));
            }
        }
        let types = (left.value_type(), right.value_type());
        let is_set = matches!(operator, Operator::Set(_));
        if is_bool && !matches!(operator, Operator::Comparison(_)) {
            return Err(self.fault(token.offset, "bool modifier can only be used on comparison operators"));
        }
        if types == (Type::Scalar, Type::Scalar) && matches!(operator, Operator::Comparison(_)) && !is_bool {
            return Err(self.fault(token.offset, "comparisons between scalars must use BOOL modifier"));
        }
        if is_set && types != (Type::Vector, Type::Vector) {
            return Err(self.fault(token.offset, "set operator not allowed in binary scalar expression"));
        }
        if matching.is_some() && types != (Type::Vector, Type::Vector) {
            return Err(self.fault(token.offset, "vector matching only allowed between instant vectors"));
        }
        let matching = matching.unwrap_or_default();
        if is_set && !matching.suits_sets() {
            return Err(self.fault(token.offset, "no grouping or fill allowed for set operation"));
        }
        let (offset, inside) = (left.offset, left.depth.max(right.depth));
        let (left, right) = (Box::new(left), Box::new(right));
        self.node(Kind::Binary { operator, left, right, matching, is_bool }, offset, inside)
    }

    /// Reads an operand with its sign and with what follows it: a range, a subquery, `offset`, `@`.
    fn operand(&mut self) -> Result<Expr, QueryError> {
        let first = self.peek();
        if self.eat("-") {
            let inner = self.signed()?;
            let depth = inner.depth;
            return self.node(Kind::Negated(Box::new(inner)), first.offset, depth);
        }
        if self.eat("+") {
            return self.signed();
        }
        let mut expr = self.primary()?;
        loop {
            let token = self.peek();
            if self.eat("[") {
                expr = self.brackets(expr)?;
            } else if self.eat_word("offset") {
                let offset = self.signed_length()?;
                let when = self.when(&mut expr, token, "offset")?;
                if when.offset.replace(offset).is_some() {
                    return Err(self.fault(token.offset, "offset may not be set multiple times"));
                }
            } else if self.eat("@") {
                let at = self.moment()?;
                let when = self.when(&mut expr, token, "@")?;
                if when.at.replace(at).is_some() {
                    return Err(self.fault(token.offset, "@ <timestamp> may not be set multiple times"));
                }
            } else if token.is_word("anchored") || token.is_word("smoothed") {
                return Err(self.unsupported(token, "it is experimental in Prometheus"));
            } else {
                return Ok(expr);
            }
        }
    }

    fn signed(&mut self) -> Result<Expr, QueryError> {
        let inner = self.expression(Precedence::Power)?;
        match inner.value_type() {
            Type::Scalar | Type::Vector => Ok(inner),
            other => {
                let reason = "unary expression only allowed on expressions of type scalar or instant vector";
                let reason = format!("{reason}, got {}", other.name());
                Err(self.fault(inner.offset, &reason))
            }
        }
    }

    /// Returns what a modifier changes; only selectors and subqueries have it.
    fn when<'e>(
        &self,
        expr: &'e mut Expr,
        token: Token<'_>,
        modifier: &str,
    ) -> Result<&'e mut When, QueryError> {
        match &mut expr.kind {
            Kind::Selector(selector) | Kind::Range { selector, .. } => Ok(&mut selector.when),
            Kind::Subquery { when, .. } => Ok(when),
            _ => {
                let reason = format!(
                    "{modifier} modifier must be preceded by an instant vector selector or range vector selector or \
                     a subquery"
                );
                Err(self.fault(token.offset, &reason))
            }
        }
    }

    /// Reads the rest of `[5m]` or `[1h:5m]`.
    fn brackets(&mut self, expr: Expr) -> Result<Expr, QueryError> {
        let opened = self.peek().offset;
        let range = self.length()?;
        if self.eat(":") {
            let step = if self.peek().text == "]" { None } else { Some(self.length()?) };
            self.expect("]")?;
            if expr.value_type() != Type::Vector {
                let got = expr.value_type().name();
                let reason = format!("subquery is only allowed on instant vector, got {got} instead");
                return Err(self.fault(expr.offset, &reason));
            }
            let (offset, depth) = (expr.offset, expr.depth);
            let kind = Kind::Subquery { inner: Box::new(expr), range, step, when: When::default() };
            return self.node(kind, offset, depth);
        }
        self.expect("]")?;
        match expr.kind {
            Kind::Selector(selector) if selector.when.at.is_none() && selector.when.offset.is_none() => {
                self.node(Kind::Range { selector, range }, expr.offset, 1)
            }
            Kind::Selector(_) => Err(self.fault(opened, "no offset or @ modifiers allowed before range")),
            _ => Err(self.fault(opened, "ranges only allowed for vector selectors")),
        }
    }

    fn moment(&mut self) -> Result<At, QueryError> {
        let token = self.peek();
        for (name, at) in [("start", At::Start), ("end", At::End)] {
            if self.eat_word(name) {
                self.expect("(")?;
                self.expect(")")?;
                return Ok(at);
            }
        }
        let sign = if self.eat("-") { -1.0 } else { 1.0 };
        self.eat("+");
        let number = self.advance();
        let seconds = match number.kind {
            TokenKind::Number => literal::number(number.text),
            _ => None,
        };
        let seconds = seconds.filter(|seconds| seconds.abs() <= AT_SECONDS_MAX);
        let seconds = seconds.ok_or_else(|| self.fault(token.offset, "expected a timestamp in seconds"))?;
        Ok(At::Millis((sign * seconds * 1000.0).round() as i64))
    }

    fn primary(&mut self) -> Result<Expr, QueryError> {
        let token = self.peek();
        match token.kind {
            TokenKind::Number => {
                self.advance();
                let number = literal::number(token.text);
                let number =
                    number.ok_or_else(|| self.fault(token.offset, "bad number or duration syntax"))?;
                self.node(Kind::Number(number), token.offset, 0)
            }
            TokenKind::Text => {
                self.advance();
                let kind = match literal::unquoted(token.text) {
                    Some(Unquoted::Text(text)) => Kind::Text(text),
                    Some(Unquoted::Bytes(shown)) => Kind::Bytes(shown),
                    None => return Err(self.fault(token.offset, BAD_ESCAPE)),
                };
                self.node(kind, token.offset, 0)
            }
            TokenKind::Sign if token.text == "(" => {
                self.advance();
                let inner = self.expression(Precedence::Or)?;
                self.expect(")")?;
                let depth = inner.depth;
                self.node(Kind::Paren(Box::new(inner)), token.offset, depth)
            }
            TokenKind::Sign if token.text == "{" => self.selector(None),
            TokenKind::Word => self.named(token),
            TokenKind::End => Err(self.fault(token.offset, "expected an expression")),
            TokenKind::Sign => Err(self.fault(token.offset, "expected an expression")),
            TokenKind::Unclosed => Err(self.fault(token.offset, "the quote is never closed")),
            TokenKind::Stray => Err(self.fault(token.offset, "unexpected character")),
        }
    }

    /// Reads what begins with a word: an aggregation, a call, or the name of a metric.
    fn named(&mut self, token: Token<'q>) -> Result<Expr, QueryError> {
        let after = self.peek_second();
        let grouped = after.is_word("by") || after.is_word("without");
        if let Some(aggregation) = Aggregation::of(token.text)
            && (after.text == "(" || grouped)
        {
            self.advance();
            return self.aggregate(token, aggregation);
        }
        if after.text == "(" {
            self.advance();
            return self.call(token);
        }
        self.advance();
        self.selector(Some(token))
    }

    pub(super) fn quoted(&mut self) -> Result<String, QueryError> {
        let token = self.advance();
        match literal::unquoted(token.text) {
            Some(Unquoted::Text(text)) => Ok(text),
            Some(Unquoted::Bytes(_)) => Err(self.fault(token.offset, "quoted text is not UTF-8")),
            None => Err(self.fault(token.offset, BAD_ESCAPE)),
        }
    }

    pub(super) fn peek(&self) -> Token<'q> {
        // The last piece is the end, and nobody goes past it.
        self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    pub(super) fn peek_second(&self) -> Token<'q> {
        self.tokens[(self.next + 1).min(self.tokens.len() - 1)]
    }

    pub(super) fn advance(&mut self) -> Token<'q> {
        let token = self.peek();
        self.next += 1;
        token
    }

    pub(super) fn eat(&mut self, sign: &str) -> bool {
        let token = self.peek();
        let found = token.kind == TokenKind::Sign && token.text == sign;
        self.next += usize::from(found);
        found
    }

    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.peek().is_word(word);
        self.next += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, sign: &str) -> Result<(), QueryError> {
        match self.eat(sign) {
            true => Ok(()),
            false => Err(self.fault(self.peek().offset, &format!("expected `{sign}`"))),
        }
    }

    pub(super) fn fault(&self, offset: usize, reason: &str) -> QueryError {
        let near = self.tokens.iter().find(|token| token.offset >= offset);
        let near = near.filter(|token| token.kind != TokenKind::End).map_or("end of query", |near| near.text);
        QueryError::Syntax {
            position: Position::of(self.text, offset),
            near: near.chars().take(NEAR_CHARACTERS_MAX).collect(),
            reason: reason.to_owned(),
        }
    }

    pub(super) fn unsupported(&self, token: Token<'_>, reason: &'static str) -> QueryError {
        let position = Position::of(self.text, token.offset);
        QueryError::Unsupported { name: token.text.to_owned(), position, reason }
    }
}

// === impl Token ===

impl Token<'_> {
    /// Tells whether it is this keyword, in letters of any case.
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(word)
    }
}
