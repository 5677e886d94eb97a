//! Owns `test`, `[` and `[[`: which of their forms only look; others evaluate subscripts, and with them code.

use super::assess::Judge;
use super::trust::Trust;
use crate::bash::{Part, Quoting, Word};
use crate::shell::is_name;

const UNARY: [&str; 24] = [
    "-L", "-N", "-O", "-S", "-a", "-b", "-c", "-d", "-e", "-f", "-g", "-G", "-h", "-k", "-n", "-o", "-p",
    "-r", "-s", "-t", "-u", "-w", "-x", "-z",
];
const TEXT: [&str; 9] = ["=", "==", "!=", "=~", "<", ">", "-nt", "-ot", "-ef"];
const NUMBERS: [&str; 6] = ["-eq", "-ne", "-lt", "-le", "-gt", "-ge"];

impl Judge<'_> {
    /// `[[ ... ]]`
    pub(super) fn brackets(&mut self, words: &[Word]) {
        words.iter().for_each(|word| self.word(word));
        self.looks("[[");
        let joints = |word: &Word| matches!(word.plain(), Some("&&" | "||" | "(" | ")" | "!"));
        for term in words.split(joints) {
            match term {
                [] => {}
                [one] if one.plain() != Some("-v") => {}
                [operator, _] if is_one_of(operator, &UNARY) => {}
                [_, operator, _] if is_one_of(operator, &TEXT) => {}
                // Both sides are evaluated: a value such as `a[$(reboot)]` would be run.
                [left, operator, right] if is_one_of(operator, &NUMBERS) => {
                    self.arithmetic(left);
                    self.arithmetic(right);
                }
                _ => self.unknown("the expression in `[[` may run code"),
            }
        }
    }

    /// `test ...` and `[ ... ]`, whose arguments are words like any others.
    pub(super) fn test(&mut self, name: &str, arguments: &[Word]) {
        let words = match (name, arguments.split_last()) {
            ("test", _) => arguments,
            (_, Some((last, words))) if last.plain() == Some("]") => words,
            _ => return self.unknown(format!("`{name}` does not close")),
        };
        self.looks(name);
        let joints = |word: &Word| matches!(word.plain(), Some("-a" | "-o"));
        for term in words.split(joints) {
            self.term(name, term);
        }
    }

    fn term(&mut self, name: &str, term: &[Word]) {
        let mut term = term;
        while let Some((first, rest)) = term.split_first()
            && first.plain() == Some("!")
        {
            term = rest;
        }
        let mut is_number = false;
        match term {
            [] => {}
            [_] => {}
            [operator, _] if is_one_of(operator, &UNARY) => {}
            [_, operator, _] if is_one_of(operator, &TEXT) => {}
            // Here they are no redirections because they are quoted.
            [_, operator, _] if matches!(operator.literal().as_deref(), Some("<" | ">")) => {}
            [_, operator, _] if is_one_of(operator, &NUMBERS) => is_number = true,
            _ => return self.unknown(format!("the expression in `{name}` is not known to look only")),
        }
        // How many words there are decides what they mean, so each has to stay one word.
        for word in term {
            if word.is_pattern() {
                self.unknown(format!("a word in `{name}` is a pattern"));
            }
            for part in &word.parts {
                match part {
                    Part::Variable { variable, quoting: Quoting::Unquoted } => {
                        if is_name(&variable.name) {
                            self.trust(&variable.name, Trust::Word);
                        } else if !"?#$!0123456789".contains(&variable.name) {
                            self.unknown(format!("`${}` in `{name}` is not quoted", variable.name));
                        }
                    }
                    // A number beside a numeric operator; anything else is an error that `[` reports.
                    Part::Substitution { items, quoting: Quoting::Unquoted }
                        if !is_number && !self.prints_a_word(items) =>
                    {
                        self.unknown(format!("a substitution in `{name}` is not quoted"));
                    }
                    _ => {}
                }
            }
        }
    }
}

fn is_one_of(word: &Word, operators: &[&str]) -> bool {
    word.plain().is_some_and(|operator| operators.contains(&operator))
}
