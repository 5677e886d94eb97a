//! Owns words: quotes, backslashes, assignments, and texts that end with a character of their own.

use super::ast::{Assignment, Part, Quoting, Word};
use super::cursor::{Error, Parser};
use crate::shell::is_name;

/// Where a word stands: what ends it, and what in it is special.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// An argument: blanks and operators end it.
    Argument,
    /// On the right of `==` or `=~` in double brackets: blanks outside parentheses end it.
    Pattern,
    /// Ends with this character, which is taken; blanks are text.
    Until(char, Quoting),
    /// Up to this byte; nothing but expansions is special.
    Body(usize),
    /// Up to `))`, which is taken.
    Arithmetic,
}

impl Parser<'_> {
    pub(super) fn word(&mut self) -> Result<Word, Error> {
        self.read_word(Place::Argument)
    }

    pub(super) fn pattern_word(&mut self) -> Result<Word, Error> {
        self.read_word(Place::Pattern)
    }

    /// Reads up to `close`, and takes it.
    pub(super) fn word_until(&mut self, close: char, quoting: Quoting) -> Result<Word, Error> {
        self.deeper(|parser| parser.read_word(Place::Until(close, quoting)))
    }

    /// Reads the body of a here-document.
    pub(super) fn body_word(&mut self, end: usize) -> Result<Word, Error> {
        self.deeper(|parser| parser.read_word(Place::Body(end)))
    }

    /// Reads an expression up to `))`, and takes them; `None` where it is no expression after all.
    pub(super) fn arithmetic(&mut self) -> Result<Option<Word>, Error> {
        let word = self.deeper(|parser| parser.read_word(Place::Arithmetic))?;
        Ok(self.eat("))")?.then_some(word))
    }

    fn read_word(&mut self, place: Place) -> Result<Word, Error> {
        let mut word = Word { parts: Vec::new(), span: self.at..self.at };
        let mut parentheses = 0_usize;
        // In arithmetic they hide parentheses, and nothing else.
        let mut in_quotes = false;
        while let Some(c) = self.peek() {
            match place {
                Place::Body(end) if self.at >= end => break,
                Place::Until(close, _) if c == close => break,
                Place::Arithmetic if c == '\'' => in_quotes = !in_quotes,
                Place::Arithmetic if in_quotes => {}
                Place::Arithmetic if c == ')' && parentheses == 0 => break,
                Place::Argument if self.ends_word(c) && !self.begins_process() => break,
                Place::Pattern if parentheses == 0 && (" \t\n;&)".contains(c) || self.starts_with("||")) => {
                    break;
                }
                Place::Pattern | Place::Arithmetic if c == '(' => parentheses += 1,
                Place::Pattern | Place::Arithmetic if c == ')' => parentheses -= 1,
                _ => {}
            }
            self.piece(c, place, &mut word)?;
        }
        word.span.end = self.at;
        if let Place::Until(close, _) = place {
            self.expect(close.encode_utf8(&mut [0; 4]))?;
        }
        Ok(word)
    }

    fn begins_process(&self) -> bool {
        self.starts_with("<(") || self.starts_with(">(")
    }

    /// One character, quoted text or expansion.
    fn piece(&mut self, c: char, place: Place, word: &mut Word) -> Result<(), Error> {
        let quoting = match place {
            Place::Body(_) | Place::Until(_, Quoting::Quoted) | Place::Arithmetic => Quoting::Quoted,
            _ => Quoting::Unquoted,
        };
        match c {
            '$' => return self.dollar(quoting, word),
            '`' if self.in_backticks => return self.fail("its backticks do not close"),
            '`' => return self.backticks(quoting, word),
            '\\' => return self.escape(place, word),
            '"' if !matches!(place, Place::Body(_)) => return self.double_quotes(word),
            '\'' if quoting == Quoting::Unquoted => return self.single_quotes(word),
            '<' | '>' if place == Place::Argument => return self.process(word),
            '(' if matches!(word.parts.as_slice(), [Part::Array(_)]) => {
                return self.fail("its list can not be read");
            }
            _ => {}
        }
        if self.plain(place, quoting, word)? {
            return Ok(());
        }
        self.take(c.len_utf8(), quoting, word)
    }

    /// Takes a run of characters that mean themselves here, all at once.
    fn plain(&mut self, place: Place, quoting: Quoting, word: &mut Word) -> Result<bool, Error> {
        let rest = self.rest().as_bytes();
        let length = match place {
            Place::Body(end) => {
                let within = &rest[..end.saturating_sub(self.at).min(rest.len())];
                let special = within.iter().position(|byte| matches!(byte, b'$' | b'`' | b'\\'));
                special.unwrap_or(within.len())
            }
            _ => rest.iter().position(|byte| !is_plain(*byte)).unwrap_or(rest.len()),
        };
        if length > 0 {
            self.take(length, quoting, word)?;
        }
        Ok(length > 0)
    }

    fn escape(&mut self, place: Place, word: &mut Word) -> Result<(), Error> {
        let Some(c) = self.rest()[1..].chars().next() else { return self.fail("it ends with a backslash") };
        let special = match place {
            Place::Body(_) | Place::Arithmetic => "$`\\",
            Place::Until(_, Quoting::Quoted) => "$`\"\\}",
            _ => "",
        };
        if c == '\n' {
            return self.skip(2);
        }
        if special.is_empty() || special.contains(c) {
            self.at += 1;
            return self.take(c.len_utf8(), Quoting::Quoted, word);
        }
        self.take(1 + c.len_utf8(), Quoting::Quoted, word)
    }

    fn single_quotes(&mut self, word: &mut Word) -> Result<(), Error> {
        let inner = &self.rest()[1..];
        let Some(end) = inner.find('\'') else { return self.fail("its quotes do not close") };
        self.at += 1;
        self.take(end, Quoting::Quoted, word)?;
        self.at += 1;
        Ok(())
    }

    pub(super) fn double_quotes(&mut self, word: &mut Word) -> Result<(), Error> {
        let open = self.at;
        let n_parts = word.parts.len();
        self.skip(1)?;
        loop {
            let Some(c) = self.peek() else {
                self.at = open;
                return self.fail("its quotes do not close");
            };
            match c {
                '"' => {
                    if word.parts.len() == n_parts {
                        word.push_str("", Quoting::Quoted);
                    }
                    return self.skip(1);
                }
                '$' => self.dollar(Quoting::Quoted, word)?,
                '`' if self.in_backticks => return self.fail("its backticks do not close"),
                '`' => self.backticks(Quoting::Quoted, word)?,
                '\\' => {
                    let Some(escaped) = self.rest()[1..].chars().next() else {
                        return self.fail("its quotes do not close");
                    };
                    match escaped {
                        '\n' => self.skip(2)?,
                        '$' | '`' | '"' | '\\' => {
                            self.at += 1;
                            self.take(1, Quoting::Quoted, word)?;
                        }
                        other => self.take(1 + other.len_utf8(), Quoting::Quoted, word)?,
                    }
                }
                _ => {
                    let special = |byte| matches!(byte, b'"' | b'$' | b'`' | b'\\');
                    let length = self.rest().bytes().position(special).unwrap_or(self.rest().len());
                    self.take(length, Quoting::Quoted, word)?;
                }
            }
        }
    }

    fn process(&mut self, word: &mut Word) -> Result<(), Error> {
        self.skip(2)?;
        let items = self.list(&[])?;
        self.expect(")")?;
        word.parts.push(Part::Process { items });
        Ok(())
    }

    /// Reads `NAME=VALUE` if it stands here.
    pub(super) fn assignment(&mut self) -> Result<Option<Assignment>, Error> {
        let start = self.at;
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let name = &rest[..end];
        if !is_name(name) || !rest[end..].starts_with(['=', '+', '[']) {
            return Ok(None);
        }
        let mark = self.mark();
        self.skip(end)?;
        let subscript = if self.eat("[")? { Some(self.word_until(']', Quoting::Unquoted)?) } else { None };
        let appends = self.eat("+")?;
        if !self.eat("=")? {
            self.go_back(&mark);
            return Ok(None);
        }
        let value = if self.starts_with("(") { self.array()? } else { self.word()? };
        let name = name.to_owned();
        Ok(Some(Assignment { name, subscript, appends, value, span: start..self.at }))
    }

    /// A word behind `declare` and its like: `NAME=(...)` is a list there as well.
    pub(super) fn declared_word(&mut self) -> Result<Word, Error> {
        let start = self.at;
        let mut word = self.word()?;
        let is_list = word.plain().is_some_and(|text| {
            text.strip_suffix('=').map(|name| name.strip_suffix('+').unwrap_or(name)).is_some_and(is_name)
        });
        if is_list && self.starts_with("(") {
            word.parts.extend(self.array()?.parts);
            word.span = start..self.at;
        }
        Ok(word)
    }

    fn array(&mut self) -> Result<Word, Error> {
        let start = self.at;
        self.skip(1)?;
        let words = self.deeper(|parser| {
            let mut words = Vec::new();
            loop {
                parser.breaks()?;
                if parser.eat(")")? {
                    return Ok(words);
                }
                if parser.peek().is_none_or(|c| parser.ends_word(c)) && !parser.begins_process() {
                    return parser.fail("its list does not close");
                }
                words.push(parser.word()?);
            }
        })?;
        Ok(Word { parts: vec![Part::Array(words)], span: start..self.at })
    }
}

/// Whether a byte belongs to a character that means itself wherever it stands in a word.
fn is_plain(byte: u8) -> bool {
    let separates = matches!(byte, 0..=b' ' | b'&' | b';' | b'<' | b'>' | b'(' | b')' | b'|');
    let begins = matches!(byte, b'"' | b'\'' | b'$' | b'`' | b'\\');
    // These may be the end of what the word is in.
    let closes = matches!(byte, b']' | b'}');
    !separates && !begins && !closes
}

// === impl Word ===

impl Word {
    pub(super) fn push(&mut self, c: char, quoting: Quoting) {
        self.push_str(c.encode_utf8(&mut [0; 4]), quoting);
    }

    pub(super) fn push_str(&mut self, piece: &str, quoting: Quoting) {
        match self.parts.last_mut() {
            Some(Part::Literal { text, quoting: last }) if *last == quoting => text.push_str(piece),
            _ => {
                // Most words are one text.
                self.parts.reserve_exact(usize::from(self.parts.is_empty()));
                self.parts.push(Part::Literal { text: piece.to_owned(), quoting });
            }
        }
    }
}
