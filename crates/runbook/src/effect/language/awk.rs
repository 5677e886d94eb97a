//! Owns `awk`: its programs only look unless they write files, run commands, or read others' programs.

use crate::bash::Word;
use crate::effect::Effect;
use crate::effect::assess::Judge;

pub(super) fn judge(judge: &mut Judge<'_>, name: &str, arguments: &[Word]) {
    judge.looks(name);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let (text, _) = word.literal_prefix();
        if !text.starts_with('-') {
            return match word.literal() {
                Some(program) => judge_program(judge, &program),
                None => judge.unknown(format!("the program of `{name}` is computed")),
            };
        }
        match text.as_str() {
            "--version" | "--help" | "-V" | "-W" => return,
            "--" | "--re-interval" | "--posix" | "-P" | "--traditional" | "--sandbox" => {}
            "-F" | "-v" => {
                words.next();
            }
            _ if text.starts_with("-F")
                || text.starts_with("-v")
                || text.starts_with("--field-separator=")
                || text.starts_with("--assign=") => {}
            _ => return judge.unknown(format!("`{name} {text}` is not known")),
        }
    }
    judge.looks(name);
}

fn judge_program(judge: &mut Judge<'_>, program: &str) {
    for word in ["system", "getline", "@", "close", "fflush", "extension"] {
        if program.contains(word) {
            return judge.unknown(format!("a program of `awk` uses `{word}`"));
        }
    }
    let Some(tokens) = tokens(program) else { return judge.unknown("a program of `awk` can not be read") };
    // Within `print`, outside parentheses, `>` is a redirection; anywhere `|` runs a command.
    let mut prints = false;
    let mut parentheses = 0_i32;
    for token in tokens {
        match token {
            Token::Word("print" | "printf") => {
                prints = true;
                parentheses = 0;
            }
            Token::Sign('(') => parentheses += 1,
            Token::Sign(')') => parentheses -= 1,
            Token::Sign(';' | '\n' | '{' | '}') => prints = false,
            Token::Sign('|') => return judge.unknown("a program of `awk` runs a command"),
            Token::Sign('>') if prints && parentheses <= 0 => {
                return judge.raise(Effect::Destroy, "a program of `awk` writes a file");
            }
            _ => {}
        }
    }
}

enum Token<'p> {
    Word(&'p str),
    Sign(char),
    /// Text, a regular expression, `||`, a comparison: nothing that does anything.
    Other,
}

/// Cuts a program; `None` where a text or a regular expression does not close.
fn tokens(program: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut rest = program;
    // Whether a `/` would divide: it does behind a value.
    let mut divides = false;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '"' => 2 + closing(&rest[1..], '"')?,
            // Behind `x++` it divides, behind `+ +` it does not: nobody should write either.
            '/' if !divides && (program[..program.len() - rest.len()].trim_end().ends_with(['+', '-'])) => {
                return None;
            }
            '/' if !divides => 2 + closing(&rest[1..], '/')?,
            '#' => rest.find('\n').unwrap_or(rest.len()),
            c if c.is_ascii_alphanumeric() || c == '_' => {
                rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())
            }
            _ if rest.starts_with("||") || rest.starts_with("&&") || rest.starts_with(">=") => 2,
            c => c.len_utf8(),
        };
        let text = &rest[..length];
        let is_word = c.is_ascii_alphanumeric() || c == '_';
        let keyword = matches!(text, "print" | "printf" | "return" | "else" | "do" | "in" | "case" | "exit");
        if !c.is_whitespace() || c == '\n' {
            divides =
                (is_word && !keyword) || matches!(c, ')' | ']' | '"') || (c == '/' && length > 1) || c == '$';
        }
        tokens.push(match c {
            _ if is_word => Token::Word(text),
            '|' | '>' | '(' | ')' | ';' | '{' | '}' | '\n' if length == 1 => Token::Sign(c),
            _ => Token::Other,
        });
        rest = &rest[length..];
    }
    Some(tokens)
}

fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\n' => return None,
            c if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}
