//! Owns `awk`: its programs only look unless they write files, run commands that do more, or read others' programs.

use super::awk_token::{Token, tokens};
use crate::bash::Word;
use crate::effect::Effect;
use crate::effect::assess::Judge;
use crate::effect::trust::names_device;
use crate::effect::word::Position;

pub(super) fn judge(judge: &mut Judge<'_>, name: &str, arguments: &[Word]) {
    judge.looks(name);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let (text, _) = word.literal_prefix();
        if !text.starts_with('-') || text == "--" {
            let word = if text == "--" { words.next() } else { Some(word) };
            match word.map(Word::literal) {
                Some(Some(text)) => program(judge, &text),
                _ => judge.unknown(format!("the program of `{name}` is computed")),
            }
            break;
        }
        judge.guard(name, word, Position::Open);
        match text.as_ref() {
            "--version" | "--help" | "-V" if arguments.len() == 1 => return,
            "--re-interval" | "--posix" | "-P" | "--traditional" | "--sandbox" => {}
            "-F" | "-v" if word.literal().is_some() => {
                if let Some(value) = words.next() {
                    judge.guard(name, value, Position::Closed);
                }
            }
            _ if text.starts_with("-F")
                || text.starts_with("-v")
                || text.starts_with("--field-separator=")
                || text.starts_with("--assign=") => {}
            _ => return judge.unknown(format!("`{name} {text}` is not known")),
        }
    }
    if words.any(|word| names_device(&word.shape())) {
        judge.unknown(format!("opens a device (`{name}`)"));
    }
}

fn program(judge: &mut Judge<'_>, text: &str) {
    let Some(tokens) = tokens(text) else { return judge.unknown("a program of `awk` can not be read") };
    // Within `print`, outside parentheses, `>` is a redirection; anywhere `|` runs a command.
    let mut prints = false;
    let mut parentheses = 0_i32;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Word("print" | "printf") => {
                prints = true;
                parentheses = 0;
            }
            Token::Word("system") => judge.unknown("a program of `awk` runs a command"),
            Token::Word("getline") => getline(judge, &tokens[at + 1..]),
            Token::Word("extension") | Token::Sign("@") => {
                judge.unknown("a program of `awk` uses what is not in it");
            }
            Token::Sign("(") => parentheses += 1,
            Token::Sign(")") => parentheses -= 1,
            Token::Sign(";" | "{" | "}") => prints = false,
            Token::End => {
                prints &= at > 0 && matches!(tokens[at - 1], Token::Sign("," | "&&" | "||"));
            }
            Token::Sign("|") => pipe(judge, &tokens, at, prints),
            Token::Sign(">" | ">>") if prints && parentheses <= 0 => {
                let is_harmless = matches!(
                    tokens.get(at + 1),
                    Some(Token::Text("/dev/stderr" | "/dev/stdout" | "/dev/null" | "-"))
                );
                if !is_harmless || !ends(&tokens, at + 2) {
                    judge.raise(Effect::Destroy, "a program of `awk` writes a file");
                }
            }
            _ => {}
        }
    }
}

/// `getline`, `getline NAME`, `getline NAME < "FILE"`
fn getline(judge: &mut Judge<'_>, rest: &[Token<'_>]) {
    let mut rest = rest;
    while let [Token::Word(_) | Token::Sign("$"), more @ ..] = rest {
        rest = more;
    }
    if let [Token::Sign("["), more @ ..] = rest {
        let end = more.iter().position(|token| matches!(token, Token::Sign("]"))).unwrap_or(more.len());
        rest = more.get(end + 1..).unwrap_or_default();
    }
    if let [Token::Sign("<"), file @ ..] = rest {
        match file.first() {
            Some(Token::Text(file)) if !names_device(file) && !file.contains("/inet") => {}
            _ => judge.unknown("a program of `awk` reads a file whose name is computed"),
        }
    }
}

/// `("COMMAND" | getline)`, `print ... | "COMMAND"`; without parentheses, what is piped may begin further left.
fn pipe(judge: &mut Judge<'_>, tokens: &[Token<'_>], at: usize, prints: bool) {
    let opens = |at: usize| at.checked_sub(1).and_then(|at| tokens.get(at)) == Some(&Token::Sign("("));
    let before = at.checked_sub(1).and_then(|at| tokens.get(at));
    match (before, tokens.get(at + 1)) {
        (Some(Token::Text(command)), Some(Token::Word("getline"))) if !prints && opens(at - 1) => {
            run(judge, command);
        }
        (_, Some(Token::Text(command))) if prints && ends(tokens, at + 2) => {
            if super::shell::may_send(command) {
                judge.unknown("a program of `awk` sends what it prints");
            }
            run(judge, command);
        }
        _ => judge.unknown("a program of `awk` runs a command"),
    }
}

/// Whether a statement ends there.
fn ends(tokens: &[Token<'_>], at: usize) -> bool {
    tokens.get(at).is_none_or(|token| matches!(token, Token::End | Token::Sign(";" | "}")))
}

/// A command that stands in the program is a text for `sh`.
fn run(judge: &mut Judge<'_>, command: &str) {
    if command.contains('\\') {
        return judge.unknown("a program of `awk` runs a command that can not be read");
    }
    judge.text(command);
}
