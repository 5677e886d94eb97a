//! Owns lengths of time within `[…]` and after `offset`: durations, and arithmetic with them.

use super::ast::{Length, LengthKind};
use super::lexer::TokenKind;
use super::literal::{self, DURATION_SECONDS_MAX};
use super::parser::Parser;
use crate::promql::QueryError;

// === impl Parser ===

impl Parser<'_> {
    /// Reads a length that is longer than nothing.
    pub(super) fn length(&mut self) -> Result<Length, QueryError> {
        let length = self.sum()?;
        if let Some(seconds) = length.constant()
            && !(0.001..=DURATION_SECONDS_MAX).contains(&seconds)
        {
            return Err(self.fault(length.offset, "duration is out of range"));
        }
        Ok(length)
    }

    /// Reads the length of an offset, which may be negative; arithmetic stands in parentheses.
    pub(super) fn signed_length(&mut self) -> Result<Length, QueryError> {
        let length = self.signed_operand()?;
        if let Some(seconds) = length.constant()
            && !(-DURATION_SECONDS_MAX..=DURATION_SECONDS_MAX).contains(&seconds)
        {
            return Err(self.fault(length.offset, "duration is out of range"));
        }
        Ok(length)
    }

    fn sum(&mut self) -> Result<Length, QueryError> {
        self.descend()?;
        let mut left = self.product()?;
        loop {
            let compute: fn(f64, f64) -> f64 = match self.peek().text {
                "+" => |left, right| left + right,
                "-" => |left, right| left - right,
                _ => break,
            };
            self.advance();
            left = Length::arithmetic(compute, left, self.product()?);
        }
        self.ascend();
        Ok(left)
    }

    fn product(&mut self) -> Result<Length, QueryError> {
        let mut left = self.signed_operand()?;
        loop {
            let compute: fn(f64, f64) -> f64 = match self.peek().text {
                "*" => |left, right| left * right,
                "/" => |left, right| left / right,
                "%" => |left, right| left % right,
                _ => return Ok(left),
            };
            self.advance();
            left = Length::arithmetic(compute, left, self.signed_operand()?);
        }
    }

    fn signed_operand(&mut self) -> Result<Length, QueryError> {
        self.descend()?;
        let offset = self.peek().offset;
        let length = if self.eat("-") {
            Length { kind: LengthKind::Negated(Box::new(self.signed_operand()?)), offset }
        } else if self.eat("+") {
            self.signed_operand()?
        } else {
            self.power()?
        };
        self.ascend();
        Ok(length)
    }

    fn power(&mut self) -> Result<Length, QueryError> {
        let base = self.length_operand()?;
        match self.eat("^") {
            true => Ok(Length::arithmetic(f64::powf, base, self.signed_operand()?)),
            false => Ok(base),
        }
    }

    fn length_operand(&mut self) -> Result<Length, QueryError> {
        let token = self.advance();
        let offset = token.offset;
        if token.kind == TokenKind::Number {
            let seconds = literal::number(token.text);
            let seconds = seconds.ok_or_else(|| self.fault(offset, "bad number or duration syntax"))?;
            return Ok(Length { kind: LengthKind::Seconds(seconds), offset });
        }
        if token.text == "(" {
            let inner = self.sum()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let lower = token.text.to_ascii_lowercase();
        let kind = match lower.as_str() {
            "step" | "range" => {
                self.expect("(")?;
                self.expect(")")?;
                if lower == "step" { LengthKind::Step } else { LengthKind::Range }
            }
            "min_of" | "max_of" | "min" | "max" => {
                self.expect("(")?;
                let left = Box::new(self.sum()?);
                self.expect(",")?;
                let right = Box::new(self.sum()?);
                self.expect(")")?;
                LengthKind::Arithmetic(
                    if lower.starts_with("min") { f64::min } else { f64::max },
                    left,
                    right,
                )
            }
            _ => return Err(self.fault(offset, "expected a duration")),
        };
        Ok(Length { kind, offset })
    }
}

// === impl Length ===

impl Length {
    fn arithmetic(compute: fn(f64, f64) -> f64, left: Self, right: Self) -> Self {
        let offset = left.offset;
        Self { kind: LengthKind::Arithmetic(compute, Box::new(left), Box::new(right)), offset }
    }

    /// Returns its seconds if they do not depend on the steps of the query.
    fn constant(&self) -> Option<f64> {
        match &self.kind {
            LengthKind::Seconds(seconds) => Some(*seconds),
            LengthKind::Step | LengthKind::Range => None,
            LengthKind::Negated(inner) => inner.constant().map(|seconds| -seconds),
            LengthKind::Arithmetic(compute, left, right) => {
                Some(compute(left.constant()?, right.constant()?))
            }
        }
    }

    /// Returns its seconds in a query with these steps.
    fn seconds(&self, step_s: f64, range_s: f64) -> f64 {
        match &self.kind {
            LengthKind::Seconds(seconds) => *seconds,
            LengthKind::Step => step_s,
            LengthKind::Range => range_s,
            LengthKind::Negated(inner) => -inner.seconds(step_s, range_s),
            LengthKind::Arithmetic(compute, left, right) => {
                compute(left.seconds(step_s, range_s), right.seconds(step_s, range_s))
            }
        }
    }

    /// Returns its milliseconds in a query with these steps; none if that is no length that can be counted with.
    pub(in crate::promql) fn millis(&self, step_ms: i64, range_ms: i64) -> Option<i64> {
        let seconds = self.seconds(step_ms as f64 / 1000.0, range_ms as f64 / 1000.0);
        (seconds.abs() <= DURATION_SECONDS_MAX).then_some((seconds * 1000.0).round() as i64)
    }
}
