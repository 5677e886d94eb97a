//! Owns the words of a query and where they stand: the parser's tree and its errors carry no positions.

/// What a piece of a query is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or a keyword.
    Word,
    /// A number or a duration.
    Number,
    /// A quoted text.
    Text,
    Open,
    Close,
    Comma,
    /// An operator between or before expressions, or within a selector.
    Operator,
    /// A quote that is never closed, or a character that PromQL has no use for.
    Stray,
}

/// A piece of a query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'q> {
    pub(super) kind: Kind,
    pub(super) text: &'q str,
    pub(super) offset: usize,
    /// Within `[…]`, where only durations can be.
    pub(super) in_brackets: bool,
    /// Within `{…}`, where there are no expressions.
    pub(super) in_braces: bool,
}

/// Words that join or modify expressions and are not expressions themselves.
const KEYWORDS: [&str; 15] = [
    "and",
    "or",
    "unless",
    "atan2",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "offset",
    "fill",
    "fill_left",
    "fill_right",
];
/// Keywords whose parenthesis is followed by an expression.
const MATCHING: [&str; 7] =
    ["on", "ignoring", "group_left", "group_right", "fill", "fill_left", "fill_right"];

/// Splits a query into its pieces; blanks and comments are left out.
pub(super) fn scan(query: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut in_brackets, mut in_braces) = (false, false);
    let mut offset = 0;
    while let Some(first) = query[offset..].chars().next() {
        let rest = &query[offset..];
        let (kind, length) = piece(rest, first, in_brackets);
        let Some(kind) = kind else {
            offset += length;
            continue;
        };
        match first {
            ']' => in_brackets = false,
            '}' => in_braces = false,
            _ => {}
        }
        tokens.push(Token { kind, text: &rest[..length], offset, in_brackets, in_braces });
        match first {
            '[' if !in_braces => in_brackets = true,
            '{' => in_braces = true,
            _ => {}
        }
        offset += length;
    }
    tokens
}

/// Returns the kind of the first piece of a text, or none for what has no meaning, and its length in bytes.
fn piece(rest: &str, first: char, in_brackets: bool) -> (Option<Kind>, usize) {
    let while_is = |accept: fn(char) -> bool| rest.find(|c| !accept(c)).unwrap_or(rest.len());
    match first {
        '#' => (None, while_is(|c| c != '\n' && c != '\r')),
        c if c.is_ascii_whitespace() => (None, while_is(|c| c.is_ascii_whitespace())),
        '(' | '[' | '{' => (Some(Kind::Open), 1),
        ')' | ']' | '}' => (Some(Kind::Close), 1),
        ',' => (Some(Kind::Comma), 1),
        '"' | '\'' | '`' => match text_length(rest, first) {
            Some(length) => (Some(Kind::Text), length),
            None => (Some(Kind::Stray), first.len_utf8()),
        },
        c if c.is_ascii_digit() || c == '.' => (Some(Kind::Number), number_length(rest)),
        ':' if in_brackets => (Some(Kind::Operator), 1),
        c if c.is_ascii_alphabetic() || c == '_' || c == ':' => {
            let length = while_is(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
            let word = &rest[..length];
            let number = word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("nan");
            (Some(if number { Kind::Number } else { Kind::Word }), length)
        }
        _ => match rest.get(..2) {
            Some("==" | "!=" | "<=" | ">=" | "=~" | "!~") => (Some(Kind::Operator), 2),
            _ if "+-*/%^<>=@".contains(first) => (Some(Kind::Operator), 1),
            _ => (Some(Kind::Stray), first.len_utf8()),
        },
    }
}

fn text_length(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (index, character) in rest.char_indices().skip(1) {
        if character == quote && !escaped {
            return Some(index + 1);
        }
        escaped = character == '\\' && !escaped;
    }
    None
}

fn number_length(rest: &str) -> usize {
    let hexadecimal = rest.starts_with("0x") || rest.starts_with("0X");
    let mut before = ' ';
    for (index, character) in rest.char_indices() {
        let exponent = !hexadecimal && matches!(before, 'e' | 'E') && matches!(character, '+' | '-');
        if !(character.is_ascii_alphanumeric() || character == '.' || exponent) {
            return index;
        }
        before = character;
    }
    rest.len()
}

// === impl Token ===

impl Token<'_> {
    fn is_keyword(&self, keywords: &[&str]) -> bool {
        self.kind == Kind::Word && keywords.iter().any(|keyword| self.text.eq_ignore_ascii_case(keyword))
    }
}

/// Returns the offset of the call of a function.
pub(super) fn call(tokens: &[Token<'_>], function: &str) -> Option<usize> {
    tokens
        .windows(2)
        .find(|pair| pair[0].kind == Kind::Word && pair[0].text == function && pair[1].text == "(")
        .map(|pair| pair[0].offset)
}

/// Returns the offset of a word.
pub(super) fn word(tokens: &[Token<'_>], text: &str) -> Option<usize> {
    tokens.iter().find(|token| token.text.eq_ignore_ascii_case(text)).map(|token| token.offset)
}

/// Returns the offset of the first piece that cannot stand where it stands; the end of the query counts as one.
///
/// It knows only of operands, operators and brackets, which is where nearly all slips are.
pub(super) fn misplaced(tokens: &[Token<'_>], end: usize) -> Option<usize> {
    let mut open: Vec<(&str, bool)> = Vec::new();
    // Whether an expression has just ended, so that only an operator can follow.
    let mut complete = false;
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Stray => return Some(token.offset),
            Kind::Open => {
                let matching = index > 0 && tokens[index - 1].is_keyword(&MATCHING);
                open.push((token.text, matching));
                complete = false;
            }
            Kind::Close => {
                let (opened, matching) = open.pop().unwrap_or(("", false));
                if !matches!((opened, token.text), ("(", ")") | ("[", "]") | ("{", "}")) {
                    return Some(token.offset);
                }
                complete = !matching;
            }
            _ if token.in_brackets => {}
            Kind::Word | Kind::Text if token.in_braces && complete => return Some(token.offset),
            // Here a name is no operand; what may not follow a value may not follow it either.
            kind if token.in_braces => complete = kind == Kind::Text,
            Kind::Comma if open.is_empty() => return Some(token.offset),
            Kind::Comma => complete = false,
            Kind::Operator if matches!(token.text, "+" | "-") => complete = false,
            Kind::Operator if !complete => return Some(token.offset),
            Kind::Operator => complete = false,
            // Any keyword can also be a label in a list of labels, so a keyword is never out of place.
            Kind::Word if token.is_keyword(&KEYWORDS) => complete = false,
            Kind::Word | Kind::Number | Kind::Text if complete => return Some(token.offset),
            Kind::Word | Kind::Number | Kind::Text => complete = true,
        }
    }
    match open.last() {
        Some(_) => Some(end),
        None => (!complete).then_some(end),
    }
}
