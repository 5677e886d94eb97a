//! Owns the pieces that a query's text is made of, before anything is known of what they mean.

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A name or a keyword.
    Word,
    /// A number or a duration.
    Number,
    /// A quoted text, quotes included.
    Text,
    /// An operator, a bracket, a comma, a colon within `[…]`.
    Sign,
    /// A quote that is never closed.
    Unclosed,
    /// A character that PromQL has no use for.
    Stray,
    /// The end of the query.
    End,
}

/// A piece of a query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'q> {
    pub(super) kind: TokenKind,
    pub(super) text: &'q str,
    /// Bytes of the query before it.
    pub(super) offset: usize,
}

/// Splits a query into its pieces; blanks and comments are left out. The last piece is the end.
pub(super) fn tokens(query: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut in_brackets = false;
    let mut offset = 0;
    while let Some(first) = query[offset..].chars().next() {
        let rest = &query[offset..];
        let (kind, length) = piece(rest, first, in_brackets);
        match first {
            '[' => in_brackets = true,
            ']' => in_brackets = false,
            _ => {}
        }
        tokens.extend(kind.map(|kind| Token { kind, text: &rest[..length], offset }));
        offset += length;
    }
    tokens.push(Token { kind: TokenKind::End, text: "", offset });
    tokens
}

/// Returns the kind of the first piece of a text, or none for what has no meaning, and its length in bytes.
fn piece(rest: &str, first: char, in_brackets: bool) -> (Option<TokenKind>, usize) {
    let while_is = |accept: fn(char) -> bool| rest.find(|c| !accept(c)).unwrap_or(rest.len());
    match first {
        '#' => (None, while_is(|c| c != '\n' && c != '\r')),
        ' ' | '\t' | '\n' | '\r' => (None, 1),
        '"' | '\'' | '`' => match text_length(rest, first) {
            Some(length) => (Some(TokenKind::Text), length),
            None => (Some(TokenKind::Unclosed), rest.len()),
        },
        '0'..='9' => (Some(TokenKind::Number), number_length(rest)),
        '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
            (Some(TokenKind::Number), number_length(rest))
        }
        ':' if in_brackets => (Some(TokenKind::Sign), 1),
        c if c.is_ascii_alphabetic() || c == '_' || c == ':' => {
            let length = match in_brackets {
                true => while_is(|c| c.is_ascii_alphanumeric() || c == '_'),
                false => while_is(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':'),
            };
            let word = &rest[..length];
            let is_number = word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("nan");
            (Some(if is_number { TokenKind::Number } else { TokenKind::Word }), length)
        }
        _ => match rest.get(..2) {
            Some("==" | "!=" | "<=" | ">=" | "=~" | "!~" | "</" | ">/") => (Some(TokenKind::Sign), 2),
            _ if "+-*/%^<>=@(){}[],".contains(first) => (Some(TokenKind::Sign), 1),
            _ => (Some(TokenKind::Stray), first.len_utf8()),
        },
    }
}

/// Returns the length of a quoted text; only one in backticks may go on in the next line.
fn text_length(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (index, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            '\n' if quote != '`' => return None,
            _ if character == quote => return Some(index + 1),
            _ => {}
        }
    }
    None
}

fn number_length(rest: &str) -> usize {
    let hexadecimal = rest.starts_with("0x") || rest.starts_with("0X");
    let mut before = ' ';
    for (index, character) in rest.char_indices() {
        let exponent = !hexadecimal && matches!(before, 'e' | 'E') && matches!(character, '+' | '-');
        if !(character.is_ascii_alphanumeric() || matches!(character, '.' | '_') || exponent) {
            return index;
        }
        before = character;
    }
    rest.len()
}
