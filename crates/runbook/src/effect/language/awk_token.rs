//! Owns cutting programs of `awk` into words, texts and signs; what could be read in two ways is not read at all.

/// A piece of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'p> {
    /// A name, a keyword or a number.
    Word(&'p str),
    /// What stands between quotes.
    Text(&'p str),
    /// A regular expression.
    Pattern,
    Sign(&'p str),
    /// The end of a line.
    End,
}

const PAIRS: [&str; 14] =
    ["||", "&&", ">=", "<=", "==", "!=", "!~", ">>", "++", "--", "+=", "-=", "*=", "^="];
/// Behind these words begins something, so that a `/` does not divide.
const OPENING: [&str; 9] = ["print", "printf", "return", "else", "do", "in", "case", "exit", "delete"];

/// Cuts a program; `None` where it is not certain where a text or a regular expression ends.
pub(super) fn tokens(program: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut rest = program;
    // Whether a `/` would divide: it does behind a value.
    let mut divides = false;
    // Of each open parenthesis, whether it holds the condition of a statement, behind which nothing is divided.
    let mut conditions: Vec<bool> = Vec::new();
    while let Some(c) = rest.chars().next() {
        let (token, length) = match c {
            '\\' if rest.starts_with("\\\n") => {
                rest = &rest[2..];
                continue;
            }
            '\\' | '\'' | '`' => return None,
            '\n' => (Token::End, 1),
            c if c.is_whitespace() => {
                rest = &rest[c.len_utf8()..];
                continue;
            }
            '#' => {
                rest = rest.find('\n').map_or("", |at| &rest[at..]);
                continue;
            }
            '"' => {
                let length = text_length(&rest[1..])?;
                (Token::Text(&rest[1..=length]), length + 2)
            }
            '/' if !divides => (Token::Pattern, pattern_length(&rest[1..])? + 2),
            c if c.is_ascii_alphanumeric() || c == '_' || c == '.' => {
                let is_number = c.is_ascii_digit() || c == '.';
                let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || (is_number && c == '.');
                let length = rest.find(|c: char| !inside(c)).unwrap_or(rest.len());
                (Token::Word(&rest[..length]), length)
            }
            _ => {
                let pair = PAIRS.iter().find(|pair| rest.starts_with(**pair));
                let length = pair.map_or(c.len_utf8(), |pair| pair.len());
                (Token::Sign(&rest[..length]), length)
            }
        };
        divides = match token {
            Token::Word(word) => !OPENING.contains(&word),
            Token::Text(_) | Token::Pattern | Token::Sign("]") => true,
            Token::Sign("(") => {
                let opens = matches!(tokens.last(), Some(Token::Word("if" | "while" | "for" | "switch")));
                conditions.push(opens);
                false
            }
            Token::Sign(")") => !conditions.pop()?,
            Token::Sign("++" | "--") => divides,
            Token::Sign(_) | Token::End => false,
        };
        tokens.push(token);
        rest = &rest[length..];
    }
    Some(tokens)
}

/// The length of a text up to its closing quote.
fn text_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\n' => return None,
            '"' => return Some(at),
            _ => {}
        }
    }
    None
}

/// The length of a regular expression up to its closing `/`; in brackets a `/` ends it for some, and not for others.
fn pattern_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    let mut brackets = 0_usize;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\n' => return None,
            '[' if brackets == 0 => {
                brackets = 1;
                // `[]...]` and `[^]...]`: the first one is text.
                chars.next_if(|(_, c)| *c == '^');
                if chars.peek().is_some_and(|(_, c)| *c == ']') {
                    return None;
                }
            }
            '[' if chars.peek().is_some_and(|(_, c)| matches!(c, '.' | '=')) => return None,
            // `[:alpha:]`
            '[' if chars.peek().is_some_and(|(_, c)| *c == ':') => brackets = 2,
            ']' => brackets = brackets.saturating_sub(1),
            '/' if brackets > 0 => return None,
            '/' => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Token, tokens};

    #[test]
    fn what_divides_and_what_is_a_pattern() {
        let n_patterns = |program: &str| {
            tokens(program).map(|list| list.iter().filter(|token| **token == Token::Pattern).count())
        };
        for (program, expect) in [
            ("/a/ { print $1 / 2 }", Some(1)),
            ("{ if (x) /a/; print (1) / 2 / 3 }", Some(1)),
            ("{ x = 5./2; y = 1/1 }", Some(0)),
            ("{ print x++ / 2 }", Some(0)),
            ("$0 ~ /[[:space:]]a/", Some(1)),
            ("/[/]/", None),
            ("/[]/]/", None),
            ("{ print \"a }", None),
            ("{ print $/a/ }", Some(1)),
        ] {
            assert_eq!(n_patterns(program), expect, "{program}");
        }
    }
}
