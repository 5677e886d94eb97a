//! Owns compound commands: groups, conditions, loops, functions, and tests in double brackets.

use super::ast::{Arm, Branch, Command, For, Item, Kind, Loop, Part, Quoting, Word};
use super::cursor::{Error, Parser};

/// Words that can not begin a command.
const CLOSING: [&str; 9] = ["]]", "do", "done", "elif", "else", "esac", "fi", "then", "}"];

impl Parser<'_> {
    /// Reads a compound command if one begins here.
    pub(super) fn compound(&mut self) -> Result<Option<Kind>, Error> {
        if self.starts_with("(") {
            return self.parentheses().map(Some);
        }
        let word = self.bare_word();
        let kind = match word {
            "{" => {
                self.skip(1)?;
                let items = self.body(&["}"])?;
                Kind::Group(items)
            }
            "[[" => self.double_brackets()?,
            "if" => self.branches()?,
            "while" | "until" => {
                self.skip(word.len())?;
                let condition = self.body(&["do"])?;
                let body = self.body(&["done"])?;
                let kind = if word == "while" { Loop::While } else { Loop::Until };
                Kind::Loop { kind, condition, body }
            }
            "for" | "select" => self.for_each(word)?,
            "case" => self.case()?,
            "function" => self.function()?,
            "coproc" => {
                self.skip(word.len())?;
                Kind::Coproc(Box::new(self.command()?))
            }
            _ if CLOSING.contains(&word) => {
                return self.fail(format!("`{word}` stands where a command should"));
            }
            _ => return Ok(None),
        };
        Ok(Some(kind))
    }

    /// A list that is not empty, and the reserved word that closes it; that word is taken.
    fn body(&mut self, closing: &[&str]) -> Result<Vec<Item>, Error> {
        let items = self.list(closing)?;
        if items.is_empty() {
            return self.fail(format!("nothing stands before `{}`", closing[0]));
        }
        for word in closing {
            if self.keyword(word)? {
                return Ok(items);
            }
        }
        self.fail(format!("`{}` is missing in it", closing[0]))
    }

    fn parentheses(&mut self) -> Result<Kind, Error> {
        if self.starts_with("((") {
            let mark = self.mark();
            self.skip(2)?;
            if let Some(expression) = self.arithmetic()? {
                return Ok(Kind::Arithmetic(expression));
            }
            self.go_back(&mark);
        }
        self.skip(1)?;
        let items = self.list(&[])?;
        if items.is_empty() {
            return self.fail("nothing stands in its parentheses");
        }
        self.expect(")")?;
        Ok(Kind::Subshell(items))
    }

    fn branches(&mut self) -> Result<Kind, Error> {
        let mut branches = Vec::new();
        self.skip("if".len())?;
        loop {
            let condition = self.body(&["then"])?;
            let body = self.list(&["fi", "elif", "else"])?;
            if body.is_empty() {
                return self.fail("nothing stands behind its `then`");
            }
            branches.push(Branch { condition, body });
            if self.keyword("elif")? {
                continue;
            }
            let otherwise = if self.keyword("else")? {
                self.body(&["fi"])?
            } else {
                self.expect("fi")?;
                Vec::new()
            };
            return Ok(Kind::If { branches, otherwise });
        }
    }

    fn for_each(&mut self, word: &str) -> Result<Kind, Error> {
        self.skip(word.len())?;
        self.blanks()?;
        if word == "for" && self.eat("((")? {
            let Some(header) = self.arithmetic()? else {
                return self.fail("the head of its loop does not close");
            };
            self.blanks()?;
            self.eat(";")?;
            self.breaks()?;
            let body = self.loop_body()?;
            return Ok(Kind::ArithmeticFor { header, body });
        }
        let name = self.word()?;
        if name.parts.is_empty() {
            return self.fail("the variable of its loop is missing");
        }
        self.breaks()?;
        let words = if self.keyword("in")? {
            let mut words = Vec::new();
            loop {
                self.blanks()?;
                let is_process = self.starts_with("<(") || self.starts_with(">(");
                if self.peek().is_none_or(|c| self.ends_word(c)) && !is_process {
                    break;
                }
                words.push(self.word()?);
            }
            Some(words)
        } else {
            None
        };
        self.blanks()?;
        if !self.starts_with(";;") {
            self.eat(";")?;
        }
        self.breaks()?;
        let body = self.loop_body()?;
        let kind = if word == "for" { For::Each } else { For::Select };
        Ok(Kind::For { name, words, body, kind })
    }

    fn loop_body(&mut self) -> Result<Vec<Item>, Error> {
        if self.keyword("do")? { self.body(&["done"]) } else { self.fail("`do` is missing in it") }
    }

    fn case(&mut self) -> Result<Kind, Error> {
        self.skip("case".len())?;
        self.blanks()?;
        let subject = self.word()?;
        self.breaks()?;
        if !self.keyword("in")? {
            return self.fail("`in` is missing in it");
        }
        let mut arms = Vec::new();
        loop {
            self.breaks()?;
            if self.keyword("esac")? {
                return Ok(Kind::Case { subject, arms });
            }
            self.eat("(")?;
            let mut patterns = Vec::new();
            loop {
                self.blanks()?;
                let pattern = self.word()?;
                if pattern.parts.is_empty() {
                    return self.fail("a pattern of its `case` can not be read");
                }
                patterns.push(pattern);
                self.blanks()?;
                if !self.eat("|")? {
                    break;
                }
            }
            self.expect(")")?;
            let body = self.list(&["esac"])?;
            arms.push(Arm { patterns, body });
            let ended = self.eat(";;&")? || self.eat(";;")? || self.eat(";&")?;
            self.breaks()?;
            if !ended && self.bare_word() != "esac" {
                return self.fail("`;;` is missing in it");
            }
        }
    }

    fn function(&mut self) -> Result<Kind, Error> {
        self.skip("function".len())?;
        self.blanks()?;
        let name = self.word()?;
        self.blanks()?;
        if self.eat("(")? {
            self.blanks()?;
            self.expect(")")?;
        }
        self.function_body(&name)
    }

    /// Reads `() BODY` behind a word.
    pub(super) fn function_after(&mut self, name: &Word) -> Result<Kind, Error> {
        self.skip(1)?;
        self.blanks()?;
        if !self.eat(")")? {
            return self.fail("`(` stands where it means nothing");
        }
        self.function_body(name)
    }

    fn function_body(&mut self, name: &Word) -> Result<Kind, Error> {
        let Some(name) = name.plain().map(str::to_owned) else {
            return self.fail("the name of its function is not plain");
        };
        self.breaks()?;
        let start = self.at;
        let Some(kind) = self.deeper(Self::compound)? else {
            return self.fail("the body of its function is missing");
        };
        let end = self.at;
        let body = Box::new(Command { kind, redirects: Vec::new(), span: start..end });
        Ok(Kind::Function { name, body })
    }

    fn double_brackets(&mut self) -> Result<Kind, Error> {
        self.skip(2)?;
        let mut words: Vec<Word> = Vec::new();
        loop {
            self.breaks()?;
            if !words.is_empty() && self.keyword("]]")? {
                return Ok(Kind::Test(words));
            }
            let operator = ["&&", "||", "(", ")", "<", ">"].into_iter().find(|text| self.starts_with(text));
            let matches = words
                .last()
                .and_then(Word::plain)
                .is_some_and(|word| matches!(word, "=" | "==" | "!=" | "=~"));
            let word = match operator {
                Some(text) if !matches || text != "(" => {
                    let start = self.at;
                    self.skip(text.len())?;
                    Word::unquoted(text, start..self.at)
                }
                // On the right of these, parentheses and bars belong to the pattern.
                _ if matches => self.pattern_word()?,
                _ => self.word()?,
            };
            if word.parts.is_empty() {
                return self.fail("its `[[` does not close");
            }
            words.push(word);
        }
    }
}

impl Word {
    pub(super) fn unquoted(text: &str, span: super::ast::Span) -> Self {
        let text = text.to_owned();
        Self { parts: vec![Part::Literal { text, quoting: Quoting::Unquoted }], span }
    }
}

/// Whether a word means a part of a compound command where a command could begin.
pub(super) fn is_reserved(word: &str) -> bool {
    const OPENING: [&str; 11] =
        ["!", "[[", "{", "case", "coproc", "for", "function", "if", "select", "time", "until"];
    CLOSING.contains(&word) || OPENING.contains(&word) || word == "while"
}
