//! Owns the words of the sublanguage of bash whose effect is known: everything else is refused by name.
//!
//! Refusing is always safe here, so no rule tries to be complete; accepting something that bash reads differently is
//! not, so every accepted character is listed.

use crate::shell::is_name;

/// A word, or what stands between words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Word(Word),
    /// `&&`, `||`
    AndOr,
    /// `|`
    Pipe,
    /// `;` or a line break
    End(char),
}

/// One shell word before expansion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) parts: Vec<Part>,
    /// Whether an unquoted `*`, `?` or `[` stands in it.
    pub(super) pattern: bool,
}

/// A piece of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Bare(String),
    Quoted(String),
    /// `$NAME` or `${NAME}`, in double quotes or not.
    Variable(Quoting),
}

/// Whether the value of a variable may fall apart into several words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoting {
    Quoted,
    Unquoted,
}

// === impl Word ===

impl Word {
    /// Returns the text of a word in which nothing is quoted or expanded.
    pub(super) fn plain(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Bare(text)] => Some(text),
            _ => None,
        }
    }

    /// Returns the text of a word that holds no variable.
    pub(super) fn literal(&self) -> Option<String> {
        let (text, rest) = self.literal_prefix();
        rest.is_none().then_some(text)
    }

    /// Returns what stands before the first variable, and how that variable is quoted.
    pub(super) fn literal_prefix(&self) -> (String, Option<Quoting>) {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Bare(piece) | Part::Quoted(piece) => text.push_str(piece),
                Part::Variable(quoting) => return (text, Some(*quoting)),
            }
        }
        (text, None)
    }

    /// Returns the text with a NUL, which no word holds, in the place of each variable.
    pub(super) fn shape(&self) -> String {
        let piece = |part: &Part| match part {
            Part::Bare(piece) | Part::Quoted(piece) => piece.clone(),
            Part::Variable(_) => "\0".to_owned(),
        };
        self.parts.iter().map(piece).collect()
    }

    /// Whether the word stays one word, whatever its variables hold.
    pub(super) fn is_one_word(&self) -> bool {
        !self.parts.contains(&Part::Variable(Quoting::Unquoted)) && !self.pattern
    }

    fn push(&mut self, c: char) {
        match self.parts.last_mut() {
            Some(Part::Bare(text)) => text.push(c),
            _ => self.parts.push(Part::Bare(c.to_string())),
        }
    }
}

/// Cuts a statement into tokens.
///
/// # Errors
///
/// Returns what was met that is not in the sublanguage.
pub(super) fn tokens(statement: &str) -> Result<Vec<Token>, String> {
    if let Some(control) = statement.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err(format!("it holds the control character {}", control.escape_unicode()));
    }
    let mut scanner = Scanner { rest: statement, tokens: Vec::new(), word: None, next: Next::Argument };
    while let Some(c) = scanner.rest.chars().next() {
        scanner.step(c)?;
    }
    scanner.end_command()?;
    Ok(scanner.tokens)
}

struct Scanner<'s> {
    rest: &'s str,
    tokens: Vec<Token>,
    word: Option<Word>,
    next: Next,
}

/// What the next word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Argument,
    /// The file after a `<`.
    InputFile,
}

// === impl Scanner ===

impl<'s> Scanner<'s> {
    fn step(&mut self, c: char) -> Result<(), String> {
        match c {
            ' ' | '\t' => {
                self.end_word()?;
                self.skip(1);
            }
            '\n' | ';' => {
                self.end_command()?;
                if c == ';' && self.rest.starts_with(";;") {
                    return Err("it uses `;;`".to_owned());
                }
                self.tokens.push(Token::End(c));
                self.skip(1);
            }
            '#' if self.word.is_none() => self.skip(self.rest.find('\n').unwrap_or(self.rest.len())),
            '&' | '|' => self.operator()?,
            '<' | '>' => self.redirect()?,
            '\'' => self.single_quoted()?,
            '"' => self.double_quoted()?,
            '$' => {
                self.variable(Quoting::Unquoted)?;
            }
            '\\' => self.escape()?,
            '*' | '?' | '[' | ']' => {
                let word = self.word.get_or_insert_default();
                word.pattern = true;
                word.push(c);
                self.skip(1);
            }
            c if c.is_ascii_alphanumeric() || "_./:=,@%+^-!#".contains(c) => {
                self.word.get_or_insert_default().push(c);
                self.skip(1);
            }
            '`' => return Err("it uses a command substitution".to_owned()),
            '(' | ')' => return Err("it uses parentheses (a subshell, a function or an array)".to_owned()),
            '{' | '}' => return Err("it uses braces".to_owned()),
            '~' => return Err("it uses `~`".to_owned()),
            other => return Err(format!("it uses `{other}` outside quotes")),
        }
        Ok(())
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn end_word(&mut self) -> Result<(), String> {
        let Some(word) = self.word.take() else { return Ok(()) };
        if self.next == Next::Argument {
            self.tokens.push(Token::Word(word));
            return Ok(());
        }
        self.next = Next::Argument;
        let (prefix, _) = word.literal_prefix();
        // Bash opens network connections for some names below /dev.
        if prefix.is_empty() || super::reader::names_device(&prefix) {
            return Err("it reads from a device or a computed file".to_owned());
        }
        Ok(())
    }

    fn end_command(&mut self) -> Result<(), String> {
        self.end_word()?;
        match self.next {
            Next::Argument => Ok(()),
            Next::InputFile => Err("it redirects input from nowhere".to_owned()),
        }
    }

    fn operator(&mut self) -> Result<(), String> {
        self.end_command()?;
        let (token, length) = match self.rest {
            rest if rest.starts_with("&&") || rest.starts_with("||") => (Token::AndOr, 2),
            rest if rest.starts_with("|&") => return Err("it uses `|&`".to_owned()),
            rest if rest.starts_with("&>") => return Err("it redirects output to a file".to_owned()),
            rest if rest.starts_with('|') => (Token::Pipe, 1),
            _ => return Err("it starts a background job".to_owned()),
        };
        self.tokens.push(token);
        self.skip(length);
        Ok(())
    }

    /// Redirections that write nothing and open no device: `2>&1`, `>/dev/null`, `< FILE`.
    fn redirect(&mut self) -> Result<(), String> {
        // Digits right before it are the number of the file, and no word.
        let is_number = |word: &str| word.bytes().all(|b| b.is_ascii_digit());
        if let Some(number) = self.word.take_if(|word| word.plain().is_some_and(is_number))
            && !matches!(number.plain(), Some("0" | "1" | "2"))
        {
            return Err("it redirects a numbered file".to_owned());
        }
        self.end_command()?;
        if let Some(rest) = [">&1", ">&2"].iter().find_map(|copy| self.rest.strip_prefix(copy)) {
            self.rest = Some(rest).filter(|rest| ends_word(rest)).ok_or("it redirects output to a file")?;
            return Ok(());
        }
        if let Some(target) = self.rest.strip_prefix('>') {
            let after = target.trim_start_matches([' ', '\t']).strip_prefix("/dev/null");
            self.rest = after.filter(|rest| ends_word(rest)).ok_or("it redirects output to a file")?;
            return Ok(());
        }
        self.skip(1);
        if self.rest.starts_with(['<', '>', '&', '(']) {
            return Err("it uses a here-document, a process substitution or a copied file".to_owned());
        }
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        self.next = Next::InputFile;
        Ok(())
    }

    fn single_quoted(&mut self) -> Result<(), String> {
        let inner = &self.rest[1..];
        let end = inner.find('\'').ok_or("its quotes do not close")?;
        self.word.get_or_insert_default().parts.push(Part::Quoted(inner[..end].to_owned()));
        self.rest = &inner[end + 1..];
        Ok(())
    }

    fn double_quoted(&mut self) -> Result<(), String> {
        self.skip(1);
        let mut text = String::new();
        self.word.get_or_insert_default();
        loop {
            let Some(c) = self.rest.chars().next() else { return Err("its quotes do not close".to_owned()) };
            match c {
                '"' => break,
                '`' => return Err("it uses a command substitution".to_owned()),
                '$' => {
                    self.quoted(std::mem::take(&mut text));
                    self.variable(Quoting::Quoted)?;
                    continue;
                }
                '\\' => {
                    let escaped = self.rest[1..].chars().next().ok_or("its quotes do not close")?;
                    match escaped {
                        '\n' => {}
                        '$' | '`' | '"' | '\\' => text.push(escaped),
                        other => text.extend(['\\', other]),
                    }
                    self.skip(1 + escaped.len_utf8());
                    continue;
                }
                other => text.push(other),
            }
            self.skip(c.len_utf8());
        }
        self.skip(1);
        self.quoted(text);
        Ok(())
    }

    fn quoted(&mut self, text: String) {
        self.word.get_or_insert_default().parts.push(Part::Quoted(text));
    }

    /// `$NAME` and `${NAME}`, nothing else.
    fn variable(&mut self, quoting: Quoting) -> Result<(), String> {
        let after = &self.rest[1..];
        let (name, rest) = match after.strip_prefix('{') {
            Some(inner) => {
                let end = inner.find('}').ok_or("its braces do not close")?;
                (&inner[..end], &inner[end + 1..])
            }
            None => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                (&after[..end], &after[end..])
            }
        };
        if !is_name(name) {
            return Err(refused_expansion(after));
        }
        self.word.get_or_insert_default().parts.push(Part::Variable(quoting));
        self.rest = rest;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        let c = self.rest[1..].chars().next().ok_or("it ends with a backslash")?;
        // A backslash before a line break joins the lines, within a word too.
        if c != '\n' {
            if !c.is_ascii() {
                return Err(format!("it uses `{c}` outside quotes"));
            }
            self.quoted(c.to_string());
        }
        self.skip(1 + c.len_utf8());
        Ok(())
    }
}

fn refused_expansion(after: &str) -> String {
    match after.chars().next() {
        Some('(') if after.starts_with("((") => "it uses an arithmetic expansion".to_owned(),
        Some('(') => "it uses a command substitution".to_owned(),
        Some('{') => "it uses an expansion that does more than name a variable".to_owned(),
        Some('\'' | '"') => "it uses `$` quotes".to_owned(),
        Some(c) if c.is_ascii_digit() || "@*#?$!-".contains(c) => format!("it uses `${c}`"),
        _ => "it uses a lone `$`".to_owned(),
    }
}

fn ends_word(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with([' ', '\t', '\n', ';', '&', '|'])
}
