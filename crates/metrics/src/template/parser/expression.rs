//! Owns the reading of what stands within an action: pipelines, commands, operands.

use super::{Parser, shown};
use crate::template::ast::{Base, Command, Operand, Pipeline};
use crate::template::error::Fault;
use crate::template::functions;
use crate::template::lexer::{Token, TokenKind};
use crate::template::number::number;

// === impl Parser ===

impl Parser {
    pub(super) fn pipeline(&mut self, context: &str) -> Result<Pipeline, Fault> {
        let offset = self.offset();
        let (variables, assigns) = self.declared(context)?;
        let mut commands = Vec::new();
        loop {
            let command = self.command()?;
            if let (false, Some(first)) = (commands.is_empty(), command.operands.first())
                && !takes_arguments(first)
            {
                return Err(Fault::new(
                    first.offset,
                    "a value in the middle of a pipeline takes no argument",
                ));
            }
            commands.push(command);
            if !self.is_next(&TokenKind::Pipe) {
                break;
            }
            self.at += 1;
        }
        // What is declared can be seen from here on, not in its own value.
        if !assigns {
            self.variables.extend(variables.iter().cloned());
        }
        Ok(Pipeline { variables, assigns, commands, offset })
    }

    /// Reads `$a :=`, `$a =` or `$a, $b :=`, where they are there.
    fn declared(&mut self, context: &str) -> Result<(Vec<String>, bool), Fault> {
        let kind = |at: usize| self.tokens.get(at).map(|token| &token.kind);
        let Some(TokenKind::Variable(first)) = kind(self.at) else { return Ok((Vec::new(), false)) };
        let (mut names, mut length) = (vec![first.clone()], 1);
        if let (Some(TokenKind::Comma), Some(TokenKind::Variable(second))) =
            (kind(self.at + 1), kind(self.at + 2))
            && context == "range"
        {
            names.push(second.clone());
            length = 3;
        }
        let assigns = match kind(self.at + length) {
            Some(TokenKind::Declare) => false,
            Some(TokenKind::Assign) => true,
            _ if length == 1 => return Ok((Vec::new(), false)),
            _ => return Err(Fault::new(self.offset(), "`range` can only declare variables with `:=`")),
        };
        if assigns && let Some(unknown) = names.iter().find(|name| !self.variables.contains(name)) {
            return Err(Fault::new(self.offset(), format!("undefined variable `${unknown}`")));
        }
        self.at += length + 1;
        Ok((names, assigns))
    }

    fn command(&mut self) -> Result<Command, Fault> {
        let offset = self.offset();
        let mut operands: Vec<Operand> = Vec::new();
        while let Some(token) = self.peek() {
            match token.kind {
                TokenKind::Close | TokenKind::RightParen | TokenKind::Pipe => break,
                _ if token.is_joined && !operands.is_empty() => {
                    let message = format!("expected a space before {}", shown(Some(&token.kind)));
                    return Err(Fault::new(token.offset, message));
                }
                _ => operands.push(self.deeper(Self::operand)?),
            }
        }
        if operands.is_empty() { Err(Fault::new(offset, "missing value")) } else { Ok(Command { operands }) }
    }

    fn operand(&mut self) -> Result<Operand, Fault> {
        let offset = self.offset();
        let Some(token) = self.next() else { return Err(Fault::new(offset, "missing value")) };
        let mut fields = Vec::new();
        let base = match token.kind {
            TokenKind::Dot => Base::Dot,
            TokenKind::Field(name) => {
                fields.push(name);
                Base::Dot
            }
            TokenKind::Str(text) => Base::Text(text),
            TokenKind::Char(c) => Base::Int(i64::from(u32::from(c))),
            TokenKind::Number(written) => {
                number(&written).ok_or_else(|| Fault::new(offset, format!("bad number `{written}`")))?
            }
            TokenKind::Variable(name) => {
                if !self.variables.contains(&name) {
                    return Err(Fault::new(offset, format!("undefined variable `${name}`")));
                }
                Base::Variable(name)
            }
            TokenKind::Word(word) => word_operand(&word, offset)?,
            TokenKind::LeftParen => {
                let pipeline = self.pipeline("parenthesized pipeline")?;
                if !self.is_next(&TokenKind::RightParen) {
                    return Err(Fault::new(self.offset(), "`)` is missing"));
                }
                self.at += 1;
                Base::Pipeline(Box::new(pipeline))
            }
            kind => return Err(Fault::new(offset, format!("unexpected {}", shown(Some(&kind))))),
        };
        while let Some(Token { kind: TokenKind::Field(name), is_joined: true, .. }) = self.peek() {
            fields.push(name.clone());
            self.at += 1;
        }
        let is_plain =
            matches!(base, Base::Nil | Base::Bool(_) | Base::Int(_) | Base::Float(_) | Base::Text(_));
        if is_plain && !fields.is_empty() {
            return Err(Fault::new(offset, "a constant has no fields"));
        }
        Ok(Operand { base, fields, offset })
    }
}

fn word_operand(word: &str, offset: usize) -> Result<Base, Fault> {
    Ok(match word {
        "true" => Base::Bool(true),
        "false" => Base::Bool(false),
        "nil" => Base::Nil,
        "if" | "else" | "end" | "range" | "with" | "define" | "template" | "block" => {
            return Err(Fault::new(offset, format!("`{word}` cannot stand here")));
        }
        _ => Base::Function(
            functions::named(word)
                .ok_or_else(|| Fault::new(offset, format!("function `{word}` is not defined")))?,
        ),
    })
}

/// Whether what begins a later command of a pipeline can be given the value of the one before.
fn takes_arguments(operand: &Operand) -> bool {
    match operand.base {
        Base::Nil | Base::Bool(_) | Base::Int(_) | Base::Float(_) | Base::Text(_) => false,
        Base::Dot => !operand.fields.is_empty(),
        Base::Variable(_) | Base::Function(_) | Base::Pipeline(_) => true,
    }
}
