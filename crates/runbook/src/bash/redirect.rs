//! Owns redirections and here-documents.

use super::ast::{HereDocument, Operator, Quoting, Redirect, Target, Word};
use super::cursor::{Error, Parser};
use crate::shell::is_name;

/// A here-document whose body is still to come.
#[derive(Debug)]
pub(super) struct Pending {
    /// Where its redirection stands.
    pub(super) offset: usize,
    /// Its place among the here-documents of the script.
    idx: usize,
    delimiter: String,
    strips_tabs: bool,
}

/// Longer ones first.
const OPERATORS: [(&str, Operator); 12] = [
    ("&>>", Operator::AppendBoth),
    ("<<<", Operator::HereString),
    ("<<-", Operator::HereDocument),
    ("&>", Operator::WriteBoth),
    ("<<", Operator::HereDocument),
    ("<>", Operator::ReadWrite),
    ("<&", Operator::Copy),
    (">&", Operator::Copy),
    (">>", Operator::Append),
    (">|", Operator::Write),
    ("<", Operator::Read),
    (">", Operator::Write),
];

impl Parser<'_> {
    /// Reads a redirection if one stands here.
    pub(super) fn redirect(&mut self) -> Result<Option<Redirect>, Error> {
        // Most words are none, and their first byte says so.
        if !self.byte().is_some_and(|b| b.is_ascii_digit() || matches!(b, b'{' | b'<' | b'>' | b'&')) {
            return Ok(None);
        }
        let start = self.at;
        let descriptor = descriptor(self.rest());
        let rest = &self.rest()[descriptor.len()..];
        if rest.starts_with("<(") || rest.starts_with(">(") {
            return Ok(None);
        }
        let Some((text, operator)) = OPERATORS.into_iter().find(|(text, _)| rest.starts_with(text)) else {
            return Ok(None);
        };
        if text.starts_with('&') && !descriptor.is_empty() {
            return Ok(None);
        }
        let descriptor = descriptor.to_owned();
        self.skip(descriptor.len() + text.len())?;
        self.blanks()?;
        let word = self.word()?;
        if word.parts.is_empty() {
            return self.fail("it redirects to nowhere");
        }
        let target = match operator {
            Operator::HereDocument => {
                let idx = self.here_document(&word, start, text == "<<-")?;
                Target::HereDocument(idx)
            }
            _ => Target::Word(word),
        };
        Ok(Some(Redirect { descriptor, operator, target, span: start..self.at }))
    }

    fn here_document(&mut self, word: &Word, offset: usize, strips_tabs: bool) -> Result<usize, Error> {
        let Some(delimiter) = word.literal().filter(|text| !text.is_empty() && !text.contains('\n')) else {
            return self.fail("the delimiter of its here-document is computed");
        };
        let idx = self.script.here_documents.len();
        let delimiter = delimiter.into_owned();
        let quoting = word.plain().is_none().then_some(Quoting::Quoted);
        self.script.here_documents.push(HereDocument { body: Word::default(), quoting });
        self.pending.push(Pending { offset, idx, delimiter, strips_tabs });
        Ok(idx)
    }

    /// Reads the bodies of the here-documents that were begun on the line before.
    pub(super) fn here_documents(&mut self) -> Result<(), Error> {
        for (idx, pending) in std::mem::take(&mut self.pending).into_iter().enumerate() {
            if idx > 0 {
                self.expect("\n")?;
            }
            self.read_body(&pending)?;
        }
        Ok(())
    }

    fn read_body(&mut self, pending: &Pending) -> Result<(), Error> {
        let start = self.at;
        let is_quoted = self.script.here_documents[pending.idx].quoting.is_some();
        let mut end = start;
        let mut is_joined = false;
        let length = loop {
            let line = self.source[end..].split('\n').next().unwrap_or_default();
            let text = if pending.strips_tabs { line.trim_start_matches('\t') } else { line };
            if text == pending.delimiter && !is_joined {
                break line.len();
            }
            let n_backslashes = line.len() - line.trim_end_matches('\\').len();
            is_joined = !is_quoted && n_backslashes % 2 == 1;
            end += line.len() + 1;
            if end >= self.source.len() {
                self.at = pending.offset;
                return self.fail("its here-document does not end");
            }
        };
        let mut body = if is_quoted {
            let mut word = Word::default();
            self.take(end - start, Quoting::Quoted, &mut word)?;
            word
        } else {
            self.body_word(end)?
        };
        if self.at != end {
            return self.fail("an expansion in its here-document does not close");
        }
        self.skip(length)?;
        // With the line that ends it: the statement reaches that far.
        body.span = start..self.at;
        self.script.here_documents[pending.idx].body = body;
        Ok(())
    }
}

/// The digits or `{NAME}` right before a `<` or `>`.
fn descriptor(rest: &str) -> &str {
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let length = match rest.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
        Some((name, _)) if is_name(name) => name.len() + 2,
        _ => digits,
    };
    if rest[length..].starts_with(['<', '>']) { &rest[..length] } else { "" }
}
