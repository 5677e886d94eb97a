//! Owns the grammar of calls and aggregations, and of what stands between an operator and its right side.

use super::ast::{Expr, Group, Grouping, Kind, Matching, Type};
use super::lexer::{Token, TokenKind};
use super::literal;
use super::operator::{Aggregation, Precedence};
use super::parser::{NATIVE, Parser};
use crate::labels::is_label_name;
use crate::promql::QueryError;
use crate::promql::functions::{Signature, Support};

// === impl Parser ===

impl Parser<'_> {
    /// Reads the rest of a call whose name was read.
    pub(super) fn call(&mut self, name: Token<'_>) -> Result<Expr, QueryError> {
        let function = match Signature::find(name.text) {
            Support::Known(function) => function,
            Support::Unsupported => return Err(self.unsupported(name, NATIVE)),
            Support::Unknown => {
                let reason = format!("unknown function with name {:?}", name.text);
                return Err(self.fault(name.offset, &reason));
            }
        };
        let arguments = self.arguments(function.selects_at)?;
        let (least, most) = (function.required, function.most);
        if arguments.len() < least || most.is_some_and(|most| arguments.len() > most) {
            let wanted = match most {
                Some(most) if most == least => format!("{least}"),
                Some(most) if arguments.len() > most => format!("at most {most}"),
                _ => format!("at least {least}"),
            };
            let got = arguments.len();
            let reason = format!("expected {wanted} argument(s) in call to {:?}, got {got}", name.text);
            return Err(self.fault(name.offset, &reason));
        }
        for (index, argument) in arguments.iter().enumerate() {
            let place = format!("call to function {:?}", name.text);
            self.check_type(argument, function.argument(index), &place)?;
            let is_selector = matches!(argument.kind, Kind::Selector(_));
            if function.selects_at == Some(index) && !is_selector {
                return Err(self.fault(argument.offset, "expected label matchers in braces"));
            }
        }
        let depth = arguments.iter().map(|argument| argument.depth).max().unwrap_or_default();
        self.node(Kind::Call { function, arguments }, name.offset, depth)
    }

    /// Reads the rest of an aggregation whose operator was read.
    pub(super) fn aggregate(
        &mut self,
        name: Token<'_>,
        aggregation: Aggregation,
    ) -> Result<Expr, QueryError> {
        let before = self.grouping()?;
        let mut arguments = self.arguments(None)?;
        let grouping = match before {
            Some(grouping) => Some(grouping),
            None => self.grouping()?,
        };
        let wanted = 1 + usize::from(aggregation.has_param());
        if arguments.len() != wanted {
            let got = arguments.len();
            let reason =
                format!("wrong number of arguments for aggregate expression, expected {wanted}, got {got}");
            return Err(self.fault(name.offset, &reason));
        }
        let Some(inner) = arguments.pop() else {
            return Err(self.fault(name.offset, "expected an instant vector"));
        };
        self.check_type(&inner, Type::Vector, "aggregation expression")?;
        let param = arguments.pop();
        if let Some(param) = &param {
            let wanted = if aggregation == Aggregation::CountValues { Type::Text } else { Type::Scalar };
            self.check_type(param, wanted, "aggregation parameter")?;
        }
        let inside = param.iter().map(|param| param.depth).fold(inner.depth, usize::max);
        let grouping = grouping.unwrap_or(Grouping::By(Vec::new()));
        let (param, inner) = (param.map(Box::new), Box::new(inner));
        self.node(Kind::Aggregate { aggregation, grouping, param, inner }, name.offset, inside)
    }

    fn check_type(&self, argument: &Expr, wanted: Type, place: &str) -> Result<(), QueryError> {
        let got = argument.value_type();
        if got == wanted {
            return Ok(());
        }
        let reason = format!("expected type {} in {place}, got {}", wanted.name(), got.name());
        Err(self.fault(argument.offset, &reason))
    }

    /// Reads arguments in parentheses; the one at `selects_at` may be a selector that selects everything.
    fn arguments(&mut self, selects_at: Option<usize>) -> Result<Vec<Expr>, QueryError> {
        self.expect("(")?;
        let mut arguments = Vec::new();
        if self.eat(")") {
            return Ok(arguments);
        }
        loop {
            let argument = match selects_at == Some(arguments.len()) && self.peek().text == "{" {
                true => self.any_selector(None)?.0,
                false => self.expression(Precedence::Or)?,
            };
            arguments.push(argument);
            if !self.eat(",") {
                self.expect(")")?;
                return Ok(arguments);
            }
        }
    }

    /// Reads `by (…)` or `without (…)`, if it is there.
    fn grouping(&mut self) -> Result<Option<Grouping>, QueryError> {
        if self.eat_word("by") {
            return Ok(Some(Grouping::By(self.label_names()?)));
        }
        if self.eat_word("without") {
            return Ok(Some(Grouping::Without(self.label_names()?)));
        }
        Ok(None)
    }

    fn label_names(&mut self) -> Result<Vec<String>, QueryError> {
        self.expect("(")?;
        let mut names = Vec::new();
        while !self.eat(")") {
            let token = self.peek();
            names.push(match token.kind {
                TokenKind::Text => self.quoted()?,
                TokenKind::Word | TokenKind::Number if is_label_name(token.text) => {
                    self.advance();
                    token.text.to_owned()
                }
                _ => return Err(self.fault(token.offset, "expected a label name")),
            });
            if !self.eat(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(names)
    }

    /// Reads `bool`, `on`, `group_left`, `fill` and their kin; tells whether `bool` was there, and the rest if any was.
    pub(super) fn modifiers(&mut self) -> Result<(bool, Option<Matching>), QueryError> {
        let is_bool = self.eat_word("bool");
        let mut matching = None;
        if self.eat_word("on") {
            let labels = Grouping::By(self.label_names()?);
            matching = Some(Matching { labels, ..Matching::default() });
        } else if self.eat_word("ignoring") {
            let labels = Grouping::Without(self.label_names()?);
            matching = Some(Matching { labels, ..Matching::default() });
        }
        let token = self.peek();
        if token.is_word("group_left") || token.is_word("group_right") {
            self.advance();
            let Some(matching) = &mut matching else {
                return Err(self.fault(token.offset, "grouping must follow `on` or `ignoring`"));
            };
            let names = if self.peek().text == "(" { self.label_names()? } else { Vec::new() };
            if let Grouping::By(on) = &matching.labels
                && let Some(name) = names.iter().find(|name| on.contains(name))
            {
                let reason = format!("label {name:?} must not occur in ON and GROUP clause at once");
                return Err(self.fault(token.offset, &reason));
            }
            matching.group =
                if token.is_word("group_left") { Group::Left(names) } else { Group::Right(names) };
        }
        loop {
            let token = self.peek();
            let is_fill = ["fill", "fill_left", "fill_right"].iter().any(|word| token.is_word(word));
            // A metric may have such a name, but no metric is followed by a number in parentheses.
            if !is_fill || self.peek_second().text != "(" {
                return Ok((is_bool, matching));
            }
            self.advance();
            let value = Some(self.fill_value()?);
            let matching = matching.get_or_insert_with(Matching::default);
            if !token.is_word("fill_right") {
                matching.fill_left = value;
            }
            if !token.is_word("fill_left") {
                matching.fill_right = value;
            }
        }
    }

    fn fill_value(&mut self) -> Result<f64, QueryError> {
        self.expect("(")?;
        let sign = if self.eat("-") { -1.0 } else { 1.0 };
        self.eat("+");
        let token = self.advance();
        let number = if token.kind == TokenKind::Number { literal::number(token.text) } else { None };
        let number = number.ok_or_else(|| self.fault(token.offset, "expected a number to fill with"))?;
        self.expect(")")?;
        Ok(sign * number)
    }
}

// === impl Matching ===

impl Matching {
    /// Tells whether it says nothing that a set operator has no use for.
    pub(super) fn suits_sets(&self) -> bool {
        matches!(self.group, Group::None) && self.fill_left.is_none() && self.fill_right.is_none()
    }
}
