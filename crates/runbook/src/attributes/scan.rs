//! Owns the text of attributes: `{key=value key="quoted value" flag}`.

use crate::diagnostic::{Level, Remark};

/// A key with its value; a key alone has the value `true`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair<'i> {
    pub(super) key: &'i str,
    pub(super) value: String,
    /// Byte of the info string where the key begins.
    pub(super) offset: usize,
}

/// More attributes than this are no attributes.
const PAIRS_MAX: usize = 64;

/// Reads the pairs in `info` from byte `start` on, which is the end of the language. Never fails.
pub(super) fn pairs(info: &str, start: usize) -> (Vec<Pair<'_>>, Vec<Remark>) {
    let mut scanner = Scanner { info, at: start, remarks: Vec::new() };
    let pairs = scanner.read();
    (pairs, scanner.remarks)
}

struct Scanner<'i> {
    info: &'i str,
    at: usize,
    remarks: Vec<Remark>,
}

impl<'i> Scanner<'i> {
    fn read(&mut self) -> Vec<Pair<'i>> {
        let mut pairs = Vec::new();
        self.skip_blanks();
        if self.rest().is_empty() {
            return pairs;
        }
        if !self.rest().starts_with('{') {
            self.error(self.at, "what follows the language is not in braces, and is not carried out");
            return pairs;
        }
        self.at += 1;
        loop {
            self.skip_blanks();
            if let Some(after) = self.rest().strip_prefix('}') {
                if !after.trim().is_empty() {
                    self.error(self.at + 1, "something follows the attributes");
                }
                return pairs;
            }
            if self.rest().is_empty() {
                self.error(self.at, "the brace of the attributes does not close");
                return pairs;
            }
            if pairs.len() == PAIRS_MAX {
                self.error(self.at, "there are more attributes than are read");
                return pairs;
            }
            match self.pair() {
                Some(pair) => pairs.push(pair),
                None => return pairs,
            }
        }
    }

    /// Reads one pair; `None` where nothing more can be read.
    fn pair(&mut self) -> Option<Pair<'i>> {
        let offset = self.at;
        let rest = self.rest();
        let length = rest.find(|c: char| c.is_whitespace() || "=}\"'".contains(c)).unwrap_or(rest.len());
        let key = &rest[..length];
        if key.is_empty() {
            self.error(offset, "an attribute has no name");
            return None;
        }
        self.at += length;
        if !self.rest().starts_with('=') {
            return Some(Pair { key, value: "true".to_owned(), offset });
        }
        self.at += 1;
        let value = self.value(key)?;
        Some(Pair { key, value, offset })
    }

    fn value(&mut self, key: &str) -> Option<String> {
        let start = self.at;
        let rest = self.rest();
        let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            let length = rest.find(|c: char| c.is_whitespace() || c == '}').unwrap_or(rest.len());
            self.at += length;
            return Some(rest[..length].to_owned());
        };
        let mut value = String::new();
        let mut characters = rest.char_indices().skip(1);
        while let Some((at, c)) = characters.next() {
            match c {
                _ if c == quote => {
                    self.at += at + c.len_utf8();
                    return Some(value);
                }
                // In double quotes a backslash stands before a quote or another backslash.
                '\\' if quote == '"' && rest[at + 1..].starts_with(['"', '\\']) => {
                    value.extend(characters.next().map(|(_, escaped)| escaped));
                }
                _ => value.push(c),
            }
        }
        self.error(start, &format!("the quote of attribute `{key}` does not close"));
        None
    }

    fn rest(&self) -> &'i str {
        &self.info[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn error(&mut self, offset: usize, message: &str) {
        self.remarks.push(Remark { offset, message: message.to_owned(), level: Level::Error });
    }
}
