//! Owns the grammar of selectors: names and matchers, and how regular expressions are understood.

use regex::{Regex, RegexBuilder};

use super::ast::{Condition, Expr, Kind, Matcher, Selector, When};
use super::lexer::{Token, TokenKind};
use super::parser::Parser;
use crate::labels::{METRIC_NAME, is_label_name};
use crate::promql::QueryError;

/// What one regular expression may take when it is compiled: enough for some thousand names in a row, too little for
/// `(.{1000}){1000}`.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// Words that join expressions and can never be the name of a metric.
const RESERVED: [&str; 6] = ["bool", "on", "ignoring", "group_left", "group_right", "atan2"];

// === impl Parser ===

impl Parser<'_> {
    /// Reads a selector, whose name was read already, and refuses one that selects everything.
    pub(super) fn selector(&mut self, name: Option<Token<'_>>) -> Result<Expr, QueryError> {
        let (expr, accepts_all) = self.any_selector(name)?;
        match accepts_all {
            true => {
                let reason = "vector selector must contain at least one non-empty matcher";
                Err(self.fault(expr.offset, reason))
            }
            false => Ok(expr),
        }
    }

    /// Reads a selector, and tells whether it selects everything.
    pub(super) fn any_selector(&mut self, name: Option<Token<'_>>) -> Result<(Expr, bool), QueryError> {
        let first = name.unwrap_or(self.peek());
        let mut matchers = Vec::new();
        if let Some(name) = name {
            if RESERVED.iter().any(|word| name.is_word(word)) {
                return Err(self.fault(name.offset, "unexpected keyword"));
            }
            matchers.push(Matcher::metric(name.text.to_owned()));
        }
        if self.eat("{") {
            while !self.eat("}") {
                let offset = self.peek().offset;
                let matcher = self.matcher()?;
                let names = |matcher: &Matcher| {
                    matcher.name == METRIC_NAME && matches!(matcher.condition, Condition::Equal(_))
                };
                if names(&matcher) && matchers.iter().any(names) {
                    return Err(self.fault(offset, "metric name must not be set twice"));
                }
                matchers.push(matcher);
                if !self.eat(",") {
                    self.expect("}")?;
                    break;
                }
            }
        }
        let accepts_all = matchers.iter().all(|matcher| matcher.accepts(""));
        let selector = Selector { matchers, when: When::default(), offset: first.offset };
        Ok((self.node(Kind::Selector(selector), first.offset, 0)?, accepts_all))
    }

    fn matcher(&mut self) -> Result<Matcher, QueryError> {
        let token = self.peek();
        let name = match token.kind {
            TokenKind::Text => {
                let name = self.quoted()?;
                if matches!(self.peek().text, "," | "}") {
                    return Ok(Matcher::metric(name));
                }
                name
            }
            TokenKind::Word | TokenKind::Number if is_label_name(token.text) => {
                self.advance();
                token.text.to_owned()
            }
            _ => return Err(self.fault(token.offset, "expected a label name")),
        };
        let operator = self.advance();
        let is_operator =
            operator.kind == TokenKind::Sign && matches!(operator.text, "=" | "!=" | "=~" | "!~");
        if !is_operator {
            return Err(self.fault(operator.offset, "expected one of `=`, `!=`, `=~`, `!~`"));
        }
        let value = self.peek();
        if value.kind != TokenKind::Text {
            let reason = match value.kind {
                TokenKind::Unclosed => "the quote is never closed",
                _ => "expected a quoted text",
            };
            return Err(self.fault(value.offset, reason));
        }
        let text = self.quoted()?;
        let regex = |text: &str| anchored(text).map_err(|reason| self.fault(value.offset, &reason));
        let condition = match operator.text {
            "=" => Condition::Equal(text),
            "!=" => Condition::NotEqual(text),
            "=~" => Condition::Matches(regex(&text)?),
            _ => Condition::MatchesNot(regex(&text)?),
        };
        Ok(Matcher { name, condition })
    }
}

// === impl Matcher ===

impl Matcher {
    fn metric(name: String) -> Self {
        Self { name: METRIC_NAME.to_owned(), condition: Condition::Equal(name) }
    }
}

/// Compiles a regular expression as Prometheus does: it matches whole texts, and a dot also matches a newline.
pub(in crate::promql) fn anchored(pattern: &str) -> Result<Regex, String> {
    let compile = |text: &str| RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).build();
    // First by itself: `a)|(b` would be valid only within the parentheses around it.
    let alone = compile(pattern).or_else(|_| compile(&with_literal_braces(pattern)));
    let anchored = alone.and_then(|alone| compile(&format!("^(?s:{})$", alone.as_str())));
    anchored.map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => format!("regular expression takes more than {limit} bytes"),
        _ => format!("`{pattern}` is no regular expression"),
    })
}

/// Escapes braces that repeat nothing: `a{b}` is a text in Go's regular expressions.
fn with_literal_braces(pattern: &str) -> String {
    let mut escaped = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\\' => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            _ => first.len_utf8(),
        };
        if first == '{' && !is_repetition(rest) {
            escaped.push('\\');
        }
        escaped.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    escaped
}

/// Tells whether a text begins with `{2}`, `{2,}` or `{2,3}`.
fn is_repetition(text: &str) -> bool {
    let Some((inside, _)) = text[1..].split_once('}') else { return false };
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    !least.is_empty() && least.bytes().chain(most.bytes()).all(|byte| byte.is_ascii_digit())
}
