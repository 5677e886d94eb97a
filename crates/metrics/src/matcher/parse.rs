//! Owns reading matchers: `{name="value", "a name"=~value}`, with or without the braces, as Alertmanager reads them.
//!
//! Names and values stand as they are, if they hold no white space and none of `{}!=~,\"'` and the grave accent; or in
//! double quotes, in which `\` escapes as in a string of Go.

use super::{Comparison, Matcher, MatcherError};

/// The longest text that is read, in bytes: it stands in lists and questions.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// As many matchers as one text may hold.
const MATCHERS_MAX: usize = 100;

/// Reads matchers, separated by commas.
///
/// # Errors
/// Where the text goes wrong first.
pub fn parse_matchers(text: &str) -> Result<Vec<Matcher>, MatcherError> {
    if text.len() > TEXT_BYTES_MAX {
        let problem = format!("it is longer than {TEXT_BYTES_MAX} bytes");
        return Err(MatcherError { text: text.chars().take(80).collect(), position: 1, problem });
    }
    Reader { text, at: 0 }.matchers()
}

struct Reader<'a> {
    text: &'a str,
    /// The byte that is read next.
    at: usize,
}

impl Reader<'_> {
    fn matchers(mut self) -> Result<Vec<Matcher>, MatcherError> {
        let mut matchers = Vec::new();
        let opened = self.take('{');
        loop {
            self.skip_space();
            if self.rest().is_empty() || self.rest().starts_with('}') {
                break;
            }
            if matchers.len() >= MATCHERS_MAX {
                return Err(self.fail(self.at, format!("more than {MATCHERS_MAX} matchers")));
            }
            matchers.push(self.matcher()?);
            if !self.take(',') {
                break;
            }
        }
        let closed_at = self.at;
        match (opened, self.take('}')) {
            (true, false) if self.rest().is_empty() => {
                return Err(self.fail(self.at, "a `}` is missing".to_owned()));
            }
            (false, true) => return Err(self.fail(closed_at, "no `{` stands before this `}`".to_owned())),
            _ => {}
        }
        self.skip_space();
        match self.rest() {
            "" => Ok(matchers),
            _ => Err(self.fail(self.at, "a comma or the end is wanted here".to_owned())),
        }
    }

    fn matcher(&mut self) -> Result<Matcher, MatcherError> {
        let from = self.at;
        let name = self.word("the name of a label")?;
        let comparison = self.comparison()?;
        self.skip_space();
        let value_at = self.at;
        let value = self.word("a value")?;
        let at = if name.is_empty() { from } else { value_at };
        Matcher::of_parts(&name, comparison, &value).map_err(|problem| self.fail(at, problem))
    }

    fn comparison(&mut self) -> Result<Comparison, MatcherError> {
        self.skip_space();
        let signs = [
            ("=~", Comparison::Matches),
            ("!~", Comparison::MatchesNot),
            ("!=", Comparison::NotEqual),
            ("=", Comparison::Equal),
        ];
        match signs.into_iter().find(|(sign, _)| self.rest().starts_with(sign)) {
            Some((sign, comparison)) => {
                self.at += sign.len();
                Ok(comparison)
            }
            None => Err(self.fail(self.at, "one of `=`, `!=`, `=~`, `!~` is wanted here".to_owned())),
        }
    }

    fn word(&mut self, what: &str) -> Result<String, MatcherError> {
        self.skip_space();
        if self.rest().starts_with('"') {
            return self.string();
        }
        let length = self.rest().find(is_reserved).unwrap_or(self.rest().len());
        if length == 0 {
            return Err(
                self.fail(self.at, format!("{what} is wanted here; in double quotes it may be anything"))
            );
        }
        let word = self.rest()[..length].to_owned();
        self.at += length;
        Ok(word)
    }

    /// What stands in double quotes, without them and its escapes.
    fn string(&mut self) -> Result<String, MatcherError> {
        let opened_at = self.at;
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            let Some(letter) = self.next() else {
                return Err(self.fail(opened_at, "this quote is never closed".to_owned()));
            };
            match letter {
                '"' => break,
                '\n' => {
                    return Err(self.fail(self.at - 1, "a line does not end in quotes; write \\n".to_owned()));
                }
                '\\' => self.escape(&mut bytes)?,
                other => bytes.extend(other.encode_utf8(&mut [0; 4]).bytes()),
            }
        }
        String::from_utf8(bytes)
            .map_err(|_| self.fail(opened_at, "the escapes in these quotes make no UTF-8".to_owned()))
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), MatcherError> {
        let at = self.at - 1;
        let wrong = |reader: &Self| reader.fail(at, "no such escape".to_owned());
        let byte = match self.next() {
            Some('a') => 7,
            Some('b') => 8,
            Some('f') => 12,
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some('t') => b'\t',
            Some('v') => 11,
            Some('\\') => b'\\',
            Some('"') => b'"',
            Some('x') => {
                self.digits(2, 16).and_then(|number| u8::try_from(number).ok()).ok_or_else(|| wrong(self))?
            }
            Some('0'..='7') => {
                self.at -= 1;
                self.digits(3, 8).and_then(|number| u8::try_from(number).ok()).ok_or_else(|| wrong(self))?
            }
            Some(letter @ ('u' | 'U')) => {
                let number = self.digits(if letter == 'u' { 4 } else { 8 }, 16);
                let letter = number.and_then(char::from_u32).ok_or_else(|| wrong(self))?;
                bytes.extend(letter.encode_utf8(&mut [0; 4]).bytes());
                return Ok(());
            }
            _ => return Err(wrong(self)),
        };
        bytes.push(byte);
        Ok(())
    }

    fn digits(&mut self, count: usize, radix: u32) -> Option<u32> {
        let digits =
            self.rest().get(..count).filter(|text| text.chars().all(|digit| digit.is_digit(radix)))?;
        let number = u32::from_str_radix(digits, radix).ok()?;
        self.at += count;
        Some(number)
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.rest().chars().next()?;
        self.at += letter.len_utf8();
        Some(letter)
    }

    fn take(&mut self, letter: char) -> bool {
        self.skip_space();
        let is_there = self.rest().starts_with(letter);
        self.at += if is_there { letter.len_utf8() } else { 0 };
        is_there
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn fail(&self, at: usize, problem: String) -> MatcherError {
        let position = self.text[..at].chars().count() + 1;
        MatcherError { text: self.text.to_owned(), position, problem }
    }
}

/// What ends a word that stands without quotes.
fn is_reserved(letter: char) -> bool {
    letter.is_whitespace() || "{}!=~,\\\"'`".contains(letter)
}
