//! Owns the words of a template: the text outside of the braces, and the tokens between them.

use super::error::Fault;

/// A word, and where it begins.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) offset: usize,
    /// Nothing is between it and the token before.
    pub(super) is_joined: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    /// Outside of the braces.
    Text(String),
    Open,
    Close,
    /// A name: a keyword or a function.
    Word(String),
    /// `.name`
    Field(String),
    /// `$name`, without the `$`.
    Variable(String),
    Dot,
    Str(String),
    /// A number as it is written.
    Number(String),
    Char(char),
    Pipe,
    Comma,
    Declare,
    Assign,
    LeftParen,
    RightParen,
}

const COMMENT_OPEN: &str = "/*";
const COMMENT_CLOSE: &str = "*/";
/// What counts as white space between the braces and at their edges.
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// Cuts a template into its words.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new(), trims_next: false };
    while lexer.at < text.len() {
        lexer.outside()?;
    }
    Ok(lexer.tokens)
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    tokens: Vec<Token>,
    /// The action before ended with `-}}`.
    trims_next: bool,
}

// === impl Lexer ===

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn push(&mut self, kind: TokenKind, offset: usize, is_joined: bool) {
        self.tokens.push(Token { kind, offset, is_joined });
    }

    /// Takes the text up to the next action, and that action.
    fn outside(&mut self) -> Result<(), Fault> {
        let (offset, rest) = (self.at, self.rest());
        let found = rest.find("{{");
        let mut outside = &rest[..found.unwrap_or(rest.len())];
        self.at += outside.len();
        if std::mem::take(&mut self.trims_next) {
            outside = outside.trim_start_matches(BLANKS);
        }
        let trims = found.is_some_and(|found| {
            let mut after = rest[found + 2..].chars();
            after.next() == Some('-') && after.next().is_some_and(|c| BLANKS.contains(&c))
        });
        if trims {
            outside = outside.trim_end_matches(BLANKS);
        }
        if !outside.is_empty() {
            self.push(TokenKind::Text(outside.to_owned()), offset, false);
        }
        if found.is_none() {
            return Ok(());
        }
        let opened = self.at;
        self.at += if trims { 3 } else { 2 };
        let inside = self.rest().trim_start_matches(BLANKS);
        if inside.starts_with(COMMENT_OPEN) && (trims || self.rest().starts_with(COMMENT_OPEN)) {
            self.at = self.text.len() - inside.len();
            return self.comment(opened);
        }
        self.push(TokenKind::Open, opened, false);
        self.inside(opened)
    }

    fn comment(&mut self, opened: usize) -> Result<(), Fault> {
        let length = self.rest().find(COMMENT_CLOSE).ok_or_else(|| Fault::new(opened, "unclosed comment"))?;
        self.at += length + COMMENT_CLOSE.len();
        if self.close() { Ok(()) } else { Err(Fault::new(opened, "comment ends before closing delimiter")) }
    }

    /// Takes `}}` or ` -}}`, if it is next.
    fn close(&mut self) -> bool {
        let rest = self.rest();
        if rest.starts_with("}}") {
            self.at += 2;
            return true;
        }
        let trimmed = rest.trim_start_matches(BLANKS);
        if trimmed.len() < rest.len() && trimmed.starts_with("-}}") {
            self.at = self.text.len() - trimmed.len() + 3;
            self.trims_next = true;
            return true;
        }
        false
    }

    /// Takes tokens up to the closing braces.
    fn inside(&mut self, opened: usize) -> Result<(), Fault> {
        loop {
            let before = self.at;
            if self.close() {
                self.push(TokenKind::Close, before, false);
                return Ok(());
            }
            self.at = self.text.len() - self.rest().trim_start_matches(BLANKS).len();
            if self.at > before && self.close() {
                self.push(TokenKind::Close, before, false);
                return Ok(());
            }
            let Some(first) = self.rest().chars().next() else {
                return Err(Fault::new(opened, "unclosed action: `}}` is missing"));
            };
            let (offset, is_joined) = (self.at, self.at == before);
            let kind = self.token(first)?;
            self.push(kind, offset, is_joined);
        }
    }

    fn token(&mut self, first: char) -> Result<TokenKind, Fault> {
        let simple = match first {
            '|' => Some(TokenKind::Pipe),
            ',' => Some(TokenKind::Comma),
            '(' => Some(TokenKind::LeftParen),
            ')' => Some(TokenKind::RightParen),
            '=' => Some(TokenKind::Assign),
            _ => None,
        };
        if let Some(kind) = simple {
            self.at += 1;
            return Ok(kind);
        }
        let second = self.rest().chars().nth(1);
        match first {
            ':' if second == Some('=') => {
                self.at += 2;
                Ok(TokenKind::Declare)
            }
            '"' => self.quoted(),
            '`' => self.raw(),
            '\'' => self.character(),
            '$' => {
                self.at += 1;
                Ok(TokenKind::Variable(self.name()))
            }
            '.' if second.is_none_or(|c| !c.is_ascii_digit()) => {
                self.at += 1;
                let name = self.name();
                Ok(if name.is_empty() { TokenKind::Dot } else { TokenKind::Field(name) })
            }
            '.' | '+' | '-' | '0'..='9' => self.number(),
            c if c.is_alphabetic() || c == '_' => Ok(TokenKind::Word(self.name())),
            c => Err(Fault::new(self.at, format!("unexpected `{}` in an action", c.escape_default()))),
        }
    }

    fn name(&mut self) -> String {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        self.at += end;
        rest[..end].to_owned()
    }

    fn number(&mut self) -> Result<TokenKind, Fault> {
        let rest = self.rest();
        let is_hex = rest.trim_start_matches(['+', '-']).to_ascii_lowercase().starts_with("0x");
        let mut end = 0;
        for (index, c) in rest.char_indices() {
            let after_exponent = index > 0 && !is_hex && rest[..index].ends_with(['e', 'E']);
            let is_sign = matches!(c, '+' | '-') && (index == 0 || after_exponent);
            if !(c.is_alphanumeric() || matches!(c, '.' | '_') || is_sign) {
                break;
            }
            end = index + c.len_utf8();
        }
        let written = &rest[..end];
        if !written.contains(|c: char| c.is_ascii_digit()) {
            return Err(Fault::new(self.at, format!("bad number `{written}`")));
        }
        self.at += end;
        Ok(TokenKind::Number(written.to_owned()))
    }

    fn raw(&mut self) -> Result<TokenKind, Fault> {
        let rest = &self.rest()[1..];
        let end = rest.find('`').ok_or_else(|| Fault::new(self.at, "unterminated raw quoted string"))?;
        self.at += end + 2;
        Ok(TokenKind::Str(rest[..end].to_owned()))
    }

    fn quoted(&mut self) -> Result<TokenKind, Fault> {
        let offset = self.at;
        self.at += 1;
        let mut text = Vec::new();
        loop {
            match self.rest().chars().next() {
                None | Some('\n') => return Err(Fault::new(offset, "unterminated quoted string")),
                Some('"') => {
                    self.at += 1;
                    let text = String::from_utf8_lossy(&text).into_owned();
                    return Ok(TokenKind::Str(text));
                }
                Some('\\') => self.escape(&mut text)?,
                Some(c) => {
                    self.at += c.len_utf8();
                    text.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
        }
    }

    fn character(&mut self) -> Result<TokenKind, Fault> {
        let offset = self.at;
        let fault = || Fault::new(offset, "malformed character constant");
        self.at += 1;
        let mut bytes = Vec::new();
        match self.rest().chars().next().ok_or_else(fault)? {
            '\\' => self.escape(&mut bytes)?,
            '\'' | '\n' => return Err(fault()),
            c => {
                self.at += c.len_utf8();
                bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        if !self.rest().starts_with('\'') {
            return Err(fault());
        }
        self.at += 1;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(TokenKind::Char(text.chars().next().ok_or_else(fault)?))
    }

    /// Takes a backslash and what follows it, as Go writes them.
    fn escape(&mut self, into: &mut Vec<u8>) -> Result<(), Fault> {
        let offset = self.at;
        let fault = || Fault::new(offset, "unknown escape sequence");
        let rest = &self.rest()[1..];
        let kind = rest.chars().next().ok_or_else(fault)?;
        let plain = match kind {
            'a' => Some(7),
            'b' => Some(8),
            'f' => Some(12),
            'n' => Some(b'\n'),
            'r' => Some(b'\r'),
            't' => Some(b'\t'),
            'v' => Some(11),
            '\\' | '\'' | '"' => Some(kind as u8),
            _ => None,
        };
        if let Some(byte) = plain {
            into.push(byte);
            self.at += 2;
            return Ok(());
        }
        let (digits, radix, skip) = match kind {
            'x' => (2, 16, 1),
            'u' => (4, 16, 1),
            'U' => (8, 16, 1),
            '0'..='7' => (3, 8, 0),
            _ => return Err(fault()),
        };
        let written = rest.get(skip..skip + digits).ok_or_else(fault)?;
        let number = u32::from_str_radix(written, radix).map_err(|_| fault())?;
        if matches!(kind, 'u' | 'U') {
            let c = char::from_u32(number).ok_or_else(fault)?;
            into.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            into.push(u8::try_from(number).map_err(|_| fault())?);
        }
        self.at += 1 + skip + digits;
        Ok(())
    }
}
