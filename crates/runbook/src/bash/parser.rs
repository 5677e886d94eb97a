//! Owns the order of commands: lists, and-or lists, pipelines and simple commands.

use super::ast::{
    AndOr, Assignment, Command, Ending, Item, Kind, Operator, Pipeline, Redirect, Script, Span, Target, Word,
};
use super::compound;
use super::cursor::{Error, Parser};

/// A longer fence is a script, and belongs in a file.
pub(super) const SOURCE_BYTES_MAX: usize = 64 * 1024;
/// Reads a text.
///
/// # Errors
///
/// Returns where and why the text is not bash, or not read.
pub(crate) fn parse(source: &str) -> Result<Script, Error> {
    let refuse = |offset, reason: String| Err(Error { offset, reason });
    if source.len() > SOURCE_BYTES_MAX {
        return refuse(0, format!("it is longer than {SOURCE_BYTES_MAX} bytes"));
    }
    if let Some((offset, c)) = control(source) {
        return refuse(offset, format!("it holds the control character {}", c.escape_unicode()));
    }
    let mut parser = Parser::new(source);
    let items = parser.list(&[])?;
    if parser.at < source.len() {
        return parser.fail(format!("`{}` stands where a command should", parser.unexpected()));
    }
    if let Some(pending) = parser.pending.first() {
        return refuse(pending.offset, "its here-document does not end".to_owned());
    }
    parser.script.items = items;
    Ok(parser.script)
}

/// Finds a control character that is no part of a text. Hardly any text has a byte of one, and bytes are quicker to ask.
fn control(source: &str) -> Option<(usize, char)> {
    let may_be = |byte: u8| (byte < b' ' && !matches!(byte, b'\n' | b'\t')) || matches!(byte, 0x7f | 0xc2);
    // Without an early end, many bytes are looked at at once.
    if !source.bytes().fold(false, |found, byte| found | may_be(byte)) {
        return None;
    }
    source.char_indices().find(|(_, c)| c.is_control() && !matches!(c, '\n' | '\t'))
}

impl Parser<'_> {
    /// Reads items up to the end, a closing parenthesis or backtick, `;;`, or one of the reserved words given, none
    /// of which it takes.
    pub(super) fn list(&mut self, closing: &[&str]) -> Result<Vec<Item>, Error> {
        self.deeper(|parser| parser.items(closing))
    }

    fn items(&mut self, closing: &[&str]) -> Result<Vec<Item>, Error> {
        let mut items: Vec<Item> = Vec::new();
        // Items of this line whose here-documents are still to come.
        let mut waiting: Vec<(usize, usize)> = Vec::new();
        loop {
            self.breaks()?;
            if self.pending.is_empty() {
                for (idx, document) in waiting.drain(..) {
                    let end = self.script.here_documents[document].body.span.end;
                    items[idx].span.end = items[idx].span.end.max(end);
                }
            }
            if self.is_closed(closing) {
                return Ok(items);
            }
            let documents = self.script.here_documents.len();
            let mut item = self.item()?;
            let has_more = self.separator(&mut item)?;
            if self.script.here_documents.len() > documents {
                waiting.push((items.len(), self.script.here_documents.len() - 1));
            }
            items.push(item);
            if !has_more && !self.is_closed(closing) {
                return self.fail(format!("`{}` stands where a command should end", self.unexpected()));
            }
            // What follows on this line belongs to the list whose item it closes.
            if !has_more {
                return Ok(items);
            }
        }
    }

    fn is_closed(&self, closing: &[&str]) -> bool {
        match self.byte() {
            None | Some(b')') => true,
            Some(b';') => self.starts_with(";;") || self.starts_with(";&"),
            Some(b'`') => self.in_backticks,
            Some(_) => !closing.is_empty() && closing.contains(&self.bare_word()),
        }
    }

    /// Reads `;`, `&` or looks for a line break; returns whether another item may follow.
    fn separator(&mut self, item: &mut Item) -> Result<bool, Error> {
        self.blanks()?;
        if self.starts_with("&") {
            self.skip(1)?;
            item.ending = Ending::Background;
            item.span.end = self.at;
            return Ok(true);
        }
        if self.starts_with(";;") || self.starts_with(";&") {
            return Ok(false);
        }
        Ok(self.eat(";")? || self.starts_with("\n"))
    }

    fn item(&mut self) -> Result<Item, Error> {
        let start = self.at;
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        let mut end = first.span.end;
        loop {
            self.blanks()?;
            let joint = match self.rest() {
                text if text.starts_with("&&") => AndOr::And,
                text if text.starts_with("||") => AndOr::Or,
                _ => return Ok(Item { first, rest, ending: Ending::Foreground, span: start..end }),
            };
            self.skip(2)?;
            self.breaks()?;
            let pipeline = self.pipeline()?;
            end = pipeline.span.end;
            rest.push((joint, pipeline));
        }
    }

    fn pipeline(&mut self) -> Result<Pipeline, Error> {
        let start = self.at;
        let (mut negated, mut timed) = (false, false);
        loop {
            self.blanks()?;
            if self.keyword("!")? {
                negated = !negated;
            } else if self.keyword("time")? {
                timed = true;
                self.blanks()?;
                if self.rest().starts_with("-p ") {
                    self.skip(3)?;
                }
            } else {
                break;
            }
        }
        let mut stages = vec![self.command()?];
        loop {
            self.blanks()?;
            if !self.starts_with("|") || self.starts_with("||") {
                break;
            }
            let operator = self.at;
            self.skip(1)?;
            if self.eat("&")?
                && let Some(stage) = stages.last_mut()
            {
                stage.redirects.push(stderr_to_stdout(operator..self.at));
            }
            self.breaks()?;
            stages.push(self.command()?);
        }
        let end = stages.last().map_or(start, |stage| stage.span.end);
        Ok(Pipeline { negated, timed, stages, span: start..end })
    }

    pub(super) fn command(&mut self) -> Result<Command, Error> {
        self.blanks()?;
        let start = self.at;
        let compound = self.deeper(Self::compound)?;
        let mut redirects = Vec::new();
        let kind = match compound {
            Some(kind) => {
                let mut end = self.at;
                loop {
                    self.blanks()?;
                    match self.redirect()? {
                        Some(redirect) => redirects.push(redirect),
                        None => break,
                    }
                    end = self.at;
                }
                return Ok(Command { kind, redirects, span: start..end });
            }
            None => self.simple(&mut redirects)?,
        };
        let end = match &kind {
            Kind::Simple { assignments, words } => end_of(assignments, words, &redirects).unwrap_or(start),
            _ => self.at,
        };
        Ok(Command { kind, redirects, span: start..end })
    }

    fn simple(&mut self, redirects: &mut Vec<Redirect>) -> Result<Kind, Error> {
        let mut assignments = Vec::new();
        let mut words: Vec<Word> = Vec::new();
        loop {
            self.blanks()?;
            if let Some(redirect) = self.redirect()? {
                redirects.push(redirect);
                continue;
            }
            let Some(c) = self.peek() else { break };
            if c == '(' && words.len() == 1 && assignments.is_empty() && redirects.is_empty() {
                return self.function_after(&words[0]);
            }
            let is_process = self.starts_with("<(") || self.starts_with(">(");
            if self.ends_word(c) && !is_process {
                break;
            }
            if words.is_empty()
                && let Some(assignment) = self.assignment()?
            {
                assignments.push(assignment);
                continue;
            }
            let declares = words.first().and_then(Word::plain).is_some_and(is_declaration);
            words.push(if declares { self.declared_word()? } else { self.word()? });
            let is_late = !(assignments.is_empty() && redirects.is_empty());
            if words.len() == 1 && is_late && words[0].plain().is_some_and(compound::is_reserved) {
                return self.fail("a reserved word stands where a command should");
            }
            // Joined, it might be an assignment or a reserved word.
            if words.len() == 1 && self.source[words[0].span.clone()].contains("\\\n") {
                return self.fail("the name of a command is broken over lines");
            }
        }
        if assignments.is_empty() && words.is_empty() && redirects.is_empty() {
            return self.fail(match self.peek() {
                None => "a command is missing at its end".to_owned(),
                Some(_) => format!("`{}` stands where a command should", self.unexpected()),
            });
        }
        Ok(Kind::Simple { assignments, words })
    }
}

/// Builtins whose arguments are assignments, lists included.
fn is_declaration(name: &str) -> bool {
    matches!(name, "declare" | "export" | "local" | "readonly" | "typeset")
}

fn stderr_to_stdout(span: Span) -> Redirect {
    let one = Word::unquoted("1", span.clone());
    Redirect { descriptor: "2".to_owned(), operator: Operator::Copy, target: Target::Word(one), span }
}

fn end_of(assignments: &[Assignment], words: &[Word], redirects: &[Redirect]) -> Option<usize> {
    let assignments = assignments.last().map(|assignment| assignment.span.end);
    let words = words.last().map(|word| word.span.end);
    let redirects = redirects.iter().map(|redirect| redirect.span.end).max();
    assignments.max(words).max(redirects)
}
