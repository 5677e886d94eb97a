//! Owns what the parts of a word do while bash expands it: substitutions run, `${X:=...}` sets, arithmetic evaluates.

use std::borrow::Cow;

use super::assess::{Judge, is_number_range};
use super::trust::Trust;
use crate::bash::{Item, Kind, Operation, Part, Quoting, Variable, Word};
use crate::shell::is_name;

/// Where a word stands in a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// It may turn out to be an option.
    Open,
    /// Behind `--`, or the value of an option.
    Closed,
}

impl Judge<'_> {
    /// Judges everything that happens while a word is expanded.
    pub(super) fn word(&mut self, word: &Word) {
        for part in &word.parts {
            match part {
                Part::Literal { .. } => {}
                Part::Variable { variable, .. } => self.variable(variable),
                Part::Substitution { items, .. } | Part::Process { items } => {
                    let outer = std::mem::replace(&mut self.is_fed, false);
                    self.depth += 1;
                    self.items(items);
                    self.depth -= 1;
                    self.is_fed = outer;
                }
                Part::Arithmetic { expression, .. } => self.arithmetic(expression),
                Part::Array(words) => words.iter().for_each(|word| self.word(word)),
            }
        }
    }

    fn variable(&mut self, variable: &Variable) {
        if let Some(subscript) = &variable.subscript {
            self.subscript(subscript);
        }
        match &variable.operation {
            Operation::Value | Operation::Length => {}
            Operation::Indirect => self.unknown("it expands a computed name"),
            Operation::Assign(word) => {
                self.word(word);
                self.sets(&variable.name);
            }
            Operation::Default(word)
            | Operation::Alternative(word)
            | Operation::Require(word)
            | Operation::Edit(word) => self.word(word),
            Operation::Slice(word) => self.arithmetic(word),
        }
    }

    /// `[@]`, a number, or arithmetic.
    pub(super) fn subscript(&mut self, subscript: &Word) {
        match subscript.literal().as_deref() {
            Some("@" | "*") => {}
            _ => self.arithmetic(subscript),
        }
    }

    /// Judges what is evaluated as arithmetic: the values of variables in it are expressions themselves.
    pub(super) fn arithmetic(&mut self, expression: &Word) {
        for part in &expression.parts {
            match part {
                Part::Literal { text, .. } => self.arithmetic_text(text),
                Part::Variable { variable, .. } => {
                    self.variable(variable);
                    match variable.operation {
                        Operation::Value if is_name(&variable.name) => {
                            self.trust(&variable.name, Trust::Integer);
                            self.known.literals.remove(&variable.name);
                        }
                        Operation::Length => {}
                        _ if matches!(variable.name.as_str(), "?" | "#" | "$" | "!") => {}
                        _ => self.unknown("it calculates with a value that nobody knows"),
                    }
                }
                Part::Substitution { items, .. } => {
                    self.word(&Word { parts: vec![part.clone()], span: expression.span.clone() });
                    if !self.prints_a_word(items) {
                        self.unknown("it calculates with the output of a command");
                    }
                }
                Part::Arithmetic { expression, .. } => self.arithmetic(expression),
                Part::Process { .. } | Part::Array(_) => self.unknown("it calculates with what is no number"),
            }
        }
    }

    fn arithmetic_text(&mut self, text: &str) {
        if text.contains('[') {
            return self.unknown("it calculates with an array");
        }
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut rest = text;
        while let Some(start) = rest.find(is_word) {
            let end = rest[start..].find(|c| !is_word(c)).map_or(rest.len(), |at| start + at);
            let name = &rest[start..end];
            rest = &rest[end..];
            if !is_name(name) {
                continue;
            }
            let after = rest.trim_start();
            if after.starts_with('=') && !after.starts_with("==") {
                self.sets(name);
            } else {
                self.trust(name, Trust::Integer);
            }
        }
    }

    /// Looks whether a word may become more than the one operand that it looks like, where that would matter.
    pub(super) fn guard(&mut self, command: &str, word: &Word, position: Position) {
        let (text, _) = word.literal_prefix();
        if position == Position::Open && word.is_pattern() && text.starts_with(['*', '?', '[']) {
            self.unknown(format!("a pattern may match an option of `{command}`"));
        }
        let braces = word.has_braces() && text != "{}" && !is_number_range(&text);
        if braces && (text.contains("{-") || text.contains(",-")) {
            self.unknown(format!("braces hold an option of `{command}`"));
        }
        for (idx, part) in word.parts.iter().enumerate() {
            let leads = position == Position::Open && text.is_empty() && idx == first_expansion(word);
            match part {
                Part::Variable { variable, quoting } => {
                    self.guard_variable(command, variable, *quoting, leads, word)
                }
                Part::Substitution { items, quoting } => {
                    let splits = *quoting == Quoting::Unquoted;
                    if (splits || leads) && !self.prints_a_word(items) {
                        self.unknown(format!("the output of a command may be an option of `{command}`"));
                    }
                }
                _ => {}
            }
        }
    }

    fn guard_variable(
        &mut self,
        command: &str,
        variable: &Variable,
        quoting: Quoting,
        leads: bool,
        word: &Word,
    ) {
        if variable.operation == Operation::Length || matches!(variable.name.as_str(), "?" | "#" | "$" | "!")
        {
            return;
        }
        let splits = quoting == Quoting::Unquoted;
        if !is_name(&variable.name) {
            if splits || leads {
                self.unknown(format!("`${}` may be an option of `{command}`", variable.name));
            }
            return;
        }
        let fallback = match &variable.operation {
            Operation::Default(word) | Operation::Assign(word) | Operation::Alternative(word) => {
                word.literal_prefix().0
            }
            _ => Cow::Borrowed(""),
        };
        if (splits || leads) && fallback.starts_with('-') {
            return self.unknown(format!("`${}` may be an option of `{command}`", variable.name));
        }
        if splits && word.parts.len() == 1 && names_options(&variable.name) {
            return self.unknown(format!("`${}` holds options of `{command}`", variable.name));
        }
        if variable.subscript.is_some() && (splits || leads) {
            return self
                .unknown(format!("an element of `{}` may be an option of `{command}`", variable.name));
        }
        if splits {
            self.trust(&variable.name, Trust::Word);
        } else if leads {
            self.trust(&variable.name, Trust::Operand);
        }
    }

    /// Whether the output of a substitution is one plain word, by what the table says of its last command.
    pub(super) fn prints_a_word(&self, items: &[Item]) -> bool {
        let [item] = items else { return false };
        if !item.rest.is_empty() {
            return false;
        }
        let Some(Kind::Simple { words, .. }) = item.first.stages.last().map(|stage| &stage.kind) else {
            return false;
        };
        let Some((name, arguments)) = words.split_first() else { return false };
        let Some(name) = name.literal() else { return false };
        let blank = |word: &Word| word.literal().is_none_or(|text| text.contains(char::is_whitespace));
        let format = arguments.iter().find(|word| word.literal_prefix().0.starts_with('+'));
        match name.as_ref() {
            "date" => format.is_some_and(|format| !blank(format)),
            "wc" => {
                item.first.stages.last().is_some_and(|stage| !stage.redirects.is_empty())
                    || item.first.stages.len() > 1
            }
            "pgrep" => arguments
                .iter()
                .any(|word| matches!(word.plain(), Some("-o" | "-n" | "-fo" | "-fn" | "-of" | "-nf" | "-c"))),
            "pidof" => arguments.iter().any(|word| word.plain() == Some("-s")),
            "id" => arguments.iter().any(|word| matches!(word.plain(), Some("-u" | "-g"))),
            "systemctl" => arguments.iter().any(|word| word.plain() == Some("--value")),
            "grep" => {
                arguments
                    .iter()
                    .any(|word| matches!(word.plain(), Some("-c" | "-ic" | "-ci" | "-cE" | "-Ec")))
                    && item.first.stages.len() > 1
            }
            name => self.table.get(name).is_some_and(|row| row.word),
        }
    }
}

fn first_expansion(word: &Word) -> usize {
    word.parts.iter().position(|part| !matches!(part, Part::Literal { .. })).unwrap_or(0)
}

/// `$CURL_OPTS` and their like hold options, whatever else they hold.
fn names_options(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["OPT", "ARGS", "FLAGS", "PARAMS", "SWITCHES"].iter().any(|part| name.contains(part))
}
