//! Owns the reading of templates: words to a tree, and which variables there are where.

mod expression;

use std::collections::BTreeMap;

use super::ast::{Branch, Node};
use super::error::{Fault, TemplateError};
use super::lexer::{Token, TokenKind, tokens};

/// How deep actions and parentheses may be nested; the reader and the evaluation recurse as deep.
const DEPTH_MAX: usize = 50;
/// The variables that rule files have beside `$`.
const GIVEN: [&str; 5] = ["", "labels", "externalLabels", "externalURL", "value"];

type Named = BTreeMap<String, Vec<Node>>;

/// Reads a template; returns its nodes, and those of the templates that it defines.
pub(super) fn parse(text: &str) -> Result<(Vec<Node>, Named), TemplateError> {
    let parse = || {
        let mut parser = Parser {
            tokens: tokens(text)?,
            at: 0,
            end: text.len(),
            depth: 0,
            loops: 0,
            variables: GIVEN.map(str::to_owned).to_vec(),
            named: Named::new(),
        };
        let (main, end) = parser.nodes(true)?;
        match end {
            Last::Text => Ok((main, parser.named)),
            Last::End(offset) | Last::Else(offset) => {
                Err(Fault::new(offset, "`end` or `else` without an `if`, `range`, `with` or `define`"))
            }
        }
    };
    parse().map_err(|fault| TemplateError::of(text, fault))
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    end: usize,
    depth: usize,
    /// How many `range` stand around.
    loops: usize,
    /// The variables that can be seen, the innermost last.
    variables: Vec<String>,
    named: Named,
}

/// What ended a list of nodes.
enum Last {
    Text,
    End(usize),
    Else(usize),
}

enum Kind {
    If,
    Range,
    With,
}

// === impl Parser ===

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn offset(&self) -> usize {
        self.peek().map_or(self.end, |token| token.offset)
    }

    fn is_next(&self, kind: &TokenKind) -> bool {
        self.peek().is_some_and(|token| token.kind == *kind)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek().map(|token| &token.kind), Some(TokenKind::Word(found)) if found == word)
    }

    fn expect_close(&mut self, what: &str) -> Result<(), Fault> {
        let offset = self.offset();
        match self.next().map(|token| token.kind) {
            Some(TokenKind::Close) => Ok(()),
            found => Err(Fault::new(offset, format!("unexpected {} in {what}", shown(found.as_ref())))),
        }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.depth >= DEPTH_MAX {
            return Err(Fault::new(self.offset(), format!("nested deeper than {DEPTH_MAX}")));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// Reads nodes up to what ends them; `define` is allowed only where `is_outermost`.
    fn nodes(&mut self, is_outermost: bool) -> Result<(Vec<Node>, Last), Fault> {
        let mut nodes = Vec::new();
        while let Some(token) = self.next() {
            if let TokenKind::Text(text) = token.kind {
                nodes.push(Node::Text(text));
                continue;
            }
            let offset = token.offset;
            let word = match self.peek().map(|token| &token.kind) {
                Some(TokenKind::Word(word)) => word.clone(),
                _ => String::new(),
            };
            match word.as_str() {
                "end" => {
                    self.at += 1;
                    self.expect_close("end")?;
                    return Ok((nodes, Last::End(offset)));
                }
                "else" => {
                    self.at += 1;
                    return Ok((nodes, Last::Else(offset)));
                }
                "define" if is_outermost => self.define()?,
                "define" => return Err(Fault::new(offset, "`define` stands inside of another action")),
                _ => {
                    let node = self.deeper(|parser| parser.action(&word, offset))?;
                    nodes.extend(node);
                }
            }
        }
        Ok((nodes, Last::Text))
    }

    fn action(&mut self, word: &str, offset: usize) -> Result<Option<Node>, Fault> {
        let known = ["if", "range", "with", "template", "block", "break", "continue"].contains(&word);
        if known {
            self.at += 1;
        }
        Ok(Some(match word {
            "if" => Node::If(self.branch(&Kind::If)?),
            "range" => Node::Range(self.branch(&Kind::Range)?),
            "with" => Node::With(self.branch(&Kind::With)?),
            "template" => self.call(offset)?,
            "block" => self.block(offset)?,
            "break" | "continue" => {
                self.expect_close(word)?;
                if self.loops == 0 {
                    return Err(Fault::new(offset, format!("`{word}` outside of `range`")));
                }
                if word == "break" { Node::Break } else { Node::Continue }
            }
            _ => {
                let pipeline = self.pipeline("command")?;
                self.expect_close("command")?;
                Node::Action(pipeline)
            }
        }))
    }

    fn branch(&mut self, kind: &Kind) -> Result<Branch, Fault> {
        let context = match kind {
            Kind::If => "if",
            Kind::Range => "range",
            Kind::With => "with",
        };
        let mark = self.variables.len();
        let pipeline = self.pipeline(context)?;
        self.expect_close(context)?;
        let looping = usize::from(matches!(kind, Kind::Range));
        self.loops += looping;
        let (body, end) = self.nodes(false)?;
        self.loops -= looping;
        let otherwise = match end {
            Last::End(_) => Vec::new(),
            Last::Text => return Err(Fault::new(self.end, format!("`end` of `{context}` is missing"))),
            Last::Else(offset) => self.otherwise(kind, context, offset)?,
        };
        self.variables.truncate(mark);
        Ok(Branch { pipeline, body, otherwise })
    }

    /// Reads what follows `else`: `}}` and nodes, or another condition.
    fn otherwise(&mut self, kind: &Kind, context: &str, offset: usize) -> Result<Vec<Node>, Fault> {
        let chains = !matches!(kind, Kind::Range) && self.is_word(context);
        if chains {
            self.at += 1;
            let node = self.deeper(|parser| {
                let branch = parser.branch(kind)?;
                Ok(if matches!(kind, Kind::If) { Node::If(branch) } else { Node::With(branch) })
            })?;
            return Ok(vec![node]);
        }
        self.expect_close("else")?;
        match self.nodes(false)? {
            (nodes, Last::End(_)) => Ok(nodes),
            (_, Last::Else(again)) => Err(Fault::new(again, "expected `end`; found a second `else`")),
            (_, Last::Text) => Err(Fault::new(offset, format!("`end` of `{context}` is missing"))),
        }
    }

    fn name(&mut self, context: &str) -> Result<String, Fault> {
        let offset = self.offset();
        match self.next().map(|token| token.kind) {
            Some(TokenKind::Str(name)) => Ok(name),
            found => Err(Fault::new(
                offset,
                format!("expected a quoted name after `{context}`, found {}", shown(found.as_ref())),
            )),
        }
    }

    fn call(&mut self, offset: usize) -> Result<Node, Fault> {
        let name = self.name("template")?;
        let argument = match self.is_next(&TokenKind::Close) {
            true => None,
            false => Some(self.pipeline("template")?),
        };
        self.expect_close("template")?;
        Ok(Node::Call { name, argument, offset })
    }

    fn define(&mut self) -> Result<(), Fault> {
        self.at += 1;
        let name = self.name("define")?;
        self.expect_close("define")?;
        let nodes = self.apart("define")?;
        self.named.insert(name, nodes);
        Ok(())
    }

    /// `block` defines a template and calls it at once.
    fn block(&mut self, offset: usize) -> Result<Node, Fault> {
        let name = self.name("block")?;
        let argument = self.pipeline("block")?;
        self.expect_close("block")?;
        let nodes = self.apart("block")?;
        self.named.insert(name.clone(), nodes);
        Ok(Node::Call { name, argument: Some(argument), offset })
    }

    /// Reads the nodes of another template, which sees no variable of this one.
    fn apart(&mut self, context: &str) -> Result<Vec<Node>, Fault> {
        let outer = std::mem::replace(&mut self.variables, vec![String::new()]);
        let loops = std::mem::take(&mut self.loops);
        let (nodes, end) = self.deeper(|parser| parser.nodes(false))?;
        (self.variables, self.loops) = (outer, loops);
        match end {
            Last::End(_) => Ok(nodes),
            Last::Else(offset) => Err(Fault::new(offset, format!("unexpected `else` in `{context}`"))),
            Last::Text => Err(Fault::new(self.end, format!("`end` of `{context}` is missing"))),
        }
    }
}

/// A token as a message names it.
fn shown(kind: Option<&TokenKind>) -> String {
    match kind {
        None => "the end of the template".to_owned(),
        Some(TokenKind::Text(_)) => "text".to_owned(),
        Some(TokenKind::Open) => "`{{`".to_owned(),
        Some(TokenKind::Close) => "`}}`".to_owned(),
        Some(TokenKind::Word(word)) => format!("`{word}`"),
        Some(TokenKind::Field(name)) => format!("`.{name}`"),
        Some(TokenKind::Variable(name)) => format!("`${name}`"),
        Some(TokenKind::Dot) => "`.`".to_owned(),
        Some(TokenKind::Str(text)) => format!("{text:?}"),
        Some(TokenKind::Number(written)) => format!("`{written}`"),
        Some(TokenKind::Char(c)) => format!("{c:?}"),
        Some(TokenKind::Pipe) => "`|`".to_owned(),
        Some(TokenKind::Comma) => "`,`".to_owned(),
        Some(TokenKind::Declare) => "`:=`".to_owned(),
        Some(TokenKind::Assign) => "`=`".to_owned(),
        Some(TokenKind::LeftParen) => "`(`".to_owned(),
        Some(TokenKind::RightParen) => "`)`".to_owned(),
    }
}
