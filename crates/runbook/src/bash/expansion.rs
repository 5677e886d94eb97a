//! Owns what a `$` or a backtick begins: variables, substitutions, arithmetic and quotes with escapes.

use super::ast::{Operation, Part, Quoting, Variable, Word};
use super::cursor::{Error, Parser};

impl Parser<'_> {
    pub(super) fn dollar(&mut self, quoting: Quoting, word: &mut Word) -> Result<(), Error> {
        let start = self.at;
        let after = &self.rest()[1..];
        let Some(c) = after.chars().next() else { return self.literal_dollar(quoting, word) };
        match c {
            '(' => {
                let part = self.deeper(|parser| parser.substitution(quoting))?;
                word.parts.push(part);
                Ok(())
            }
            '{' => {
                let variable = self.deeper(|parser| parser.braces(quoting))?;
                word.parts.push(Part::Variable { variable, quoting });
                Ok(())
            }
            '[' => self.fail("it uses `$[`"),
            '\'' if quoting == Quoting::Unquoted => self.escaped_quotes(word),
            '"' if quoting == Quoting::Unquoted => {
                self.skip(1)?;
                self.double_quotes(word)
            }
            _ => {
                let length = name_length(after);
                if length == 0 {
                    return self.literal_dollar(quoting, word);
                }
                let name = after[..length].to_owned();
                self.skip(1 + length)?;
                self.not_joined()?;
                let variable =
                    Variable { name, subscript: None, operation: Operation::Value, span: start..self.at };
                word.parts.push(Part::Variable { variable, quoting });
                Ok(())
            }
        }
    }

    fn literal_dollar(&mut self, quoting: Quoting, word: &mut Word) -> Result<(), Error> {
        self.take(1, quoting, word)?;
        self.not_joined()
    }

    /// A name goes on behind a joined line.
    fn not_joined(&self) -> Result<(), Error> {
        if self.starts_with("\\\n") { self.fail("an expansion is broken over lines") } else { Ok(()) }
    }

    /// `$(( ... ))` where it closes as such, otherwise `$( ... )`.
    fn substitution(&mut self, quoting: Quoting) -> Result<Part, Error> {
        if self.starts_with("$((") {
            let mark = self.mark();
            self.skip(3)?;
            if let Some(expression) = self.arithmetic()? {
                return Ok(Part::Arithmetic { expression, quoting });
            }
            self.go_back(&mark);
        }
        self.skip(2)?;
        let items = self.list(&[])?;
        self.expect(")")?;
        Ok(Part::Substitution { items, quoting })
    }

    /// What stands in backticks is read in place, so escapes of its own level are refused.
    pub(super) fn backticks(&mut self, quoting: Quoting, word: &mut Word) -> Result<(), Error> {
        let inner = &self.rest()[1..];
        let Some(end) = inner.find('`') else { return self.fail("its backticks do not close") };
        if inner[..end].contains('\\') {
            return self.fail("it uses backslashes within backticks");
        }
        self.skip(1)?;
        self.in_backticks = true;
        let items = self.list(&[]);
        self.in_backticks = false;
        self.expect("`")?;
        word.parts.push(Part::Substitution { items: items?, quoting });
        Ok(())
    }

    fn braces(&mut self, quoting: Quoting) -> Result<Variable, Error> {
        let start = self.at;
        self.skip(2)?;
        let rest = self.rest();
        let mut operation = None;
        if rest.starts_with('#') && !rest[1..].starts_with('}') && name_length(&rest[1..]) > 0 {
            self.skip(1)?;
            operation = Some(Operation::Length);
        } else if rest.starts_with('!')
            && !rest[1..].starts_with(['}', ':', '-', '+', '=', '?', '%', '/', '#'])
        {
            self.skip(1)?;
            operation = Some(Operation::Indirect);
        }
        let length = match self.rest() {
            rest if rest.starts_with(|c: char| c.is_ascii_digit()) => {
                rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())
            }
            rest => name_length(rest),
        };
        if length == 0 {
            return self.fail("its expansion names no variable");
        }
        let name = self.rest()[..length].to_owned();
        self.skip(length)?;
        let subscript = if self.eat("[")? { Some(self.word_until(']', quoting)?) } else { None };
        let operation = match operation {
            Some(Operation::Length) => {
                self.expect("}")?;
                Operation::Length
            }
            Some(_) => {
                self.word_until('}', quoting)?;
                Operation::Indirect
            }
            None => self.operation(quoting)?,
        };
        Ok(Variable { name, subscript, operation, span: start..self.at })
    }

    fn operation(&mut self, quoting: Quoting) -> Result<Operation, Error> {
        let colon = self.eat(":")?;
        let make: fn(Word) -> Operation = match self.peek() {
            Some('}') if !colon => {
                self.skip(1)?;
                return Ok(Operation::Value);
            }
            Some('-') => Operation::Default,
            Some('=') => Operation::Assign,
            Some('+') => Operation::Alternative,
            Some('?') => Operation::Require,
            Some(_) if colon => return self.word_until('}', quoting).map(Operation::Slice),
            Some('#' | '%' | '/' | '^' | ',') => Operation::Edit,
            Some('@') => {
                self.word_until('}', quoting)?;
                return Ok(Operation::Indirect);
            }
            _ => return self.fail("its expansion can not be read"),
        };
        self.skip(1)?;
        Ok(make(self.word_until('}', quoting)?))
    }

    /// `$'...'`: backslashes as in C.
    fn escaped_quotes(&mut self, word: &mut Word) -> Result<(), Error> {
        self.skip(2)?;
        word.push_str("", Quoting::Quoted);
        loop {
            let Some(c) = self.peek() else { return self.fail("its quotes do not close") };
            self.skip(c.len_utf8())?;
            let c = match c {
                '\'' => return Ok(()),
                '\\' => {
                    let escaped = self.peek();
                    self.skip(escaped.map_or(0, char::len_utf8))?;
                    match escaped {
                        Some('n') => '\n',
                        Some('t') => '\t',
                        Some('r') => '\r',
                        Some('a') => '\u{7}',
                        Some('e') => '\u{1b}',
                        Some(c @ ('\\' | '\'' | '"' | '?')) => c,
                        // Numbers spell out characters that nobody sees.
                        _ => return self.fail("it spells out characters by their numbers"),
                    }
                }
                c => c,
            };
            word.push(c, Quoting::Quoted);
        }
    }
}

/// How many bytes of `text` name a variable as they stand behind a `$`: a name, one digit, or one special character.
fn name_length(text: &str) -> usize {
    let Some(first) = text.chars().next() else { return 0 };
    if first.is_ascii_digit() || "@*#?$!-".contains(first) {
        return 1;
    }
    if first.is_ascii_alphabetic() || first == '_' {
        return text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    }
    0
}
