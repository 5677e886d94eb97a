//! Owns the state of the reader: where it is in the text, how deep, how long already; blanks and comments.

use super::ast::{Quoting, Script, Word};
use super::redirect::Pending;

/// Why a text is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Error {
    /// Where, in bytes.
    pub(crate) offset: usize,
    /// A fragment about the text: `its quotes do not close`.
    pub(crate) reason: String,
}

/// Deeper nesting is no text for people; the bound keeps the stack small.
const DEPTH_MAX: usize = 40;
/// Looks at a character, for each byte of the text: what is tried as arithmetic and is none is read twice, and that
/// within itself again.
const STEPS_PER_BYTE: usize = 40;

pub(super) struct Parser<'s> {
    pub(super) source: &'s str,
    pub(super) at: usize,
    pub(super) script: Script,
    /// Here-documents whose bodies follow the next line break.
    pub(super) pending: Vec<Pending>,
    depth: usize,
    steps: usize,
    pub(super) in_backticks: bool,
}

/// Where a reader can go back to.
pub(super) struct Mark {
    at: usize,
    depth: usize,
    here_documents: usize,
    comments: usize,
    pending: usize,
}

// === impl Parser ===

impl<'s> Parser<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        Self {
            source,
            at: 0,
            script: Script::default(),
            pending: Vec::new(),
            depth: 0,
            steps: 0,
            in_backticks: false,
        }
    }

    pub(super) fn fail<T>(&self, reason: impl Into<String>) -> Result<T, Error> {
        Err(Error { offset: self.at, reason: reason.into() })
    }

    pub(super) fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Whatever ends or begins something is ASCII, so that one byte tells.
    pub(super) fn byte(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied()
    }

    pub(super) fn starts_with(&self, text: &str) -> bool {
        self.rest().starts_with(text)
    }

    pub(super) fn skip(&mut self, bytes: usize) -> Result<(), Error> {
        self.at += bytes;
        self.steps += 1;
        if self.steps > STEPS_PER_BYTE * (self.source.len() + 64) {
            return self.fail("it takes too long to read");
        }
        Ok(())
    }

    /// Adds what stands here to a word, and skips it.
    pub(super) fn take(&mut self, bytes: usize, quoting: Quoting, word: &mut Word) -> Result<(), Error> {
        word.push_str(&self.rest()[..bytes], quoting);
        self.skip(bytes)
    }

    /// Skips `text` if it stands here.
    pub(super) fn eat(&mut self, text: &str) -> Result<bool, Error> {
        let found = self.starts_with(text);
        if found {
            self.skip(text.len())?;
        }
        Ok(found)
    }

    pub(super) fn expect(&mut self, text: &str) -> Result<(), Error> {
        if self.eat(text)? { Ok(()) } else { self.fail(format!("`{text}` is missing in it")) }
    }

    pub(super) fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth == DEPTH_MAX {
            return self.fail(format!("it is nested deeper than {DEPTH_MAX} levels"));
        }
        self.depth += 1;
        let outcome = read(self);
        self.depth -= 1;
        outcome
    }

    pub(super) fn mark(&self) -> Mark {
        let Script { here_documents, comments, .. } = &self.script;
        Mark {
            at: self.at,
            depth: self.depth,
            here_documents: here_documents.len(),
            comments: comments.len(),
            pending: self.pending.len(),
        }
    }

    pub(super) fn go_back(&mut self, mark: &Mark) {
        self.at = mark.at;
        self.depth = mark.depth;
        self.script.here_documents.truncate(mark.here_documents);
        self.script.comments.truncate(mark.comments);
        self.pending.truncate(mark.pending);
    }

    /// Skips blanks, joined lines and a comment, up to the end of the line.
    #[inline]
    pub(super) fn blanks(&mut self) -> Result<(), Error> {
        match self.byte() {
            Some(b' ' | b'\t' | b'\\' | b'#') => self.skip_blanks(),
            _ => Ok(()),
        }
    }

    fn skip_blanks(&mut self) -> Result<(), Error> {
        loop {
            let rest = self.rest();
            match self.byte() {
                Some(b' ' | b'\t') => {
                    self.skip(rest.bytes().take_while(|b| matches!(b, b' ' | b'\t')).count())?;
                }
                Some(b'\\') if rest.starts_with("\\\n") => self.skip(2)?,
                Some(b'#') if self.begins_word() => {
                    let length = rest.find('\n').unwrap_or(rest.len());
                    // A backtick ends the command, and with it the comment.
                    let length =
                        if self.in_backticks { rest.find(['\n', '`']).unwrap_or(length) } else { length };
                    self.script.comments.push(self.at..self.at + length);
                    self.skip(length)?;
                }
                _ => return Ok(()),
            }
        }
    }

    /// Skips blanks, comments and line breaks; the bodies of here-documents follow line breaks.
    pub(super) fn breaks(&mut self) -> Result<(), Error> {
        loop {
            self.blanks()?;
            if !self.eat("\n")? {
                return Ok(());
            }
            self.here_documents()?;
        }
    }

    fn begins_word(&self) -> bool {
        self.source[..self.at].chars().next_back().is_none_or(|c| c == '`' || separates(c))
    }

    /// Returns the word that stands here bare, if a separator follows it: what reserved words have to be.
    pub(super) fn bare_word(&self) -> &'s str {
        let rest = self.rest();
        let is_bare =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'{' | b'}' | b'!' | b'[' | b']');
        let end = rest.bytes().position(|b| !is_bare(b)).unwrap_or(rest.len());
        let ended = rest.as_bytes().get(end).is_none_or(|b| self.ends_word(char::from(*b)));
        if ended { &rest[..end] } else { "" }
    }

    /// Skips a reserved word if it stands here.
    pub(super) fn keyword(&mut self, word: &str) -> Result<bool, Error> {
        if !self.starts_with(word) || self.bare_word() != word {
            return Ok(false);
        }
        self.eat(word)
    }

    pub(super) fn ends_word(&self, c: char) -> bool {
        separates(c) || (self.in_backticks && c == '`')
    }

    pub(super) fn unexpected(&self) -> String {
        match self.bare_word() {
            "" => self.peek().map_or_else(|| "the end".to_owned(), |c| c.to_string()),
            word => word.to_owned(),
        }
    }
}

/// Whether a character ends a word that is not quoted.
fn separates(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>')
}
