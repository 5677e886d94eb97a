//! Owns the order of words in the sublanguage: lists, pipelines, negation and `if`; every command in them counts.

use super::token::{Part, Token, Word};
use crate::shell::is_name;

/// A command of a statement, wherever in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command<'t> {
    /// `NAME=VALUE` without a command.
    Assignment(&'t str),
    /// A name and its arguments; never empty.
    Simple(Vec<Word>),
}

/// Deeper nesting is no text for people.
const DEPTH_MAX: usize = 8;

/// Reads tokens as a list of commands.
///
/// # Errors
///
/// Returns what was met that is not in the sublanguage.
pub(super) fn commands(tokens: &[Token]) -> Result<Vec<Command<'_>>, String> {
    let mut reader = Reader { tokens, at: 0, commands: Vec::new() };
    reader.list(&[], 0)?;
    if reader.commands.is_empty() {
        return Err("it holds no command".to_owned());
    }
    Ok(reader.commands)
}

struct Reader<'t> {
    tokens: &'t [Token],
    at: usize,
    commands: Vec<Command<'t>>,
}

impl<'t> Reader<'t> {
    /// Reads pipelines up to the end, or up to one of the words that close the list; returns that word.
    fn list(&mut self, closing: &[&'static str], depth: usize) -> Result<&'static str, String> {
        if depth > DEPTH_MAX {
            return Err(format!("it is nested deeper than {DEPTH_MAX} levels"));
        }
        let mut any = false;
        loop {
            self.skip_breaks();
            if let Some(word) = self.plain().and_then(|word| closing.iter().find(|close| **close == word)) {
                self.at += 1;
                return if any { Ok(word) } else { Err(format!("nothing stands before `{word}`")) };
            }
            if self.at == self.tokens.len() {
                return if closing.is_empty() { Ok("") } else { Err(format!("`{}` is missing", closing[0])) };
            }
            self.pipelines(depth)?;
            any = true;
        }
    }

    /// `A && B || C`, then a separator or the end.
    fn pipelines(&mut self, depth: usize) -> Result<(), String> {
        loop {
            self.pipeline(depth)?;
            match self.tokens.get(self.at) {
                Some(Token::AndOr) => {
                    self.at += 1;
                    self.skip_breaks();
                }
                Some(Token::End(_)) => {
                    self.at += 1;
                    return Ok(());
                }
                None => return Ok(()),
                Some(Token::Pipe | Token::Word(_)) => {
                    return Err("its words can not be told apart".to_owned());
                }
            }
        }
    }

    fn pipeline(&mut self, depth: usize) -> Result<(), String> {
        if self.plain() == Some("!") {
            self.at += 1;
        }
        loop {
            self.command(depth)?;
            if self.tokens.get(self.at) != Some(&Token::Pipe) {
                return Ok(());
            }
            self.at += 1;
            self.skip_breaks();
        }
    }

    fn command(&mut self, depth: usize) -> Result<(), String> {
        match self.plain() {
            Some("if") => self.branches(depth),
            Some(word) if is_reserved(word) => Err(format!("it uses `{word}`")),
            _ => self.simple(),
        }
    }

    fn branches(&mut self, depth: usize) -> Result<(), String> {
        loop {
            self.at += 1;
            self.list(&["then"], depth + 1)?;
            match self.list(&["fi", "elif", "else"], depth + 1)? {
                "fi" => return Ok(()),
                "else" => {
                    self.list(&["fi"], depth + 1)?;
                    return Ok(());
                }
                // `list` has passed the `elif`; the loop passes one word.
                _ => self.at -= 1,
            }
        }
    }

    fn simple(&mut self) -> Result<(), String> {
        let mut words = Vec::new();
        while let Some(Token::Word(word)) = self.tokens.get(self.at) {
            words.push(word);
            self.at += 1;
        }
        let names: Vec<_> = words.iter().map_while(|word| assigned(word)).collect();
        if words.is_empty() {
            return Err("a command is missing in it".to_owned());
        }
        if names.is_empty() {
            self.commands.push(Command::Simple(words.into_iter().cloned().collect()));
            return Ok(());
        }
        if names.len() < words.len() {
            return Err("it sets a variable for one command".to_owned());
        }
        if let Some(name) = names.iter().find(|name| crate::shell::is_reserved_variable(name)) {
            return Err(format!("it sets `{name}`"));
        }
        if words.iter().any(|word| word.pattern) {
            return Err("it sets a variable to a pattern".to_owned());
        }
        self.commands.extend(names.into_iter().map(Command::Assignment));
        Ok(())
    }

    fn plain(&self) -> Option<&'t str> {
        match self.tokens.get(self.at) {
            Some(Token::Word(word)) => word.plain(),
            _ => None,
        }
    }

    /// Line breaks may stand where a command is to follow; a `;` may not.
    fn skip_breaks(&mut self) {
        while self.tokens.get(self.at) == Some(&Token::End('\n')) {
            self.at += 1;
        }
    }
}

/// Returns the name in `NAME=VALUE`.
fn assigned(word: &Word) -> Option<&str> {
    let Some(Part::Bare(text)) = word.parts.first() else { return None };
    text.split_once('=').map(|(name, _)| name).filter(|name| is_name(name))
}

fn is_reserved(word: &str) -> bool {
    const WORDS: [&str; 17] = [
        "!", "case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for", "function", "in", "select",
        "then", "time", "until", "while",
    ];
    WORDS.contains(&word)
}
