//! Owns walking over JSON without making anything of it: where a value ends, and which members an object has.
//!
//! It takes what serde_json takes where values are left as text, and nothing else; tests and the fuzz target `messages` hold
//! it to that. Every message that goes by is read here, some parts of it twice: that is why it is not left to a library.

use std::borrow::Cow;

/// The text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotJson;

/// The members of an object, in order: the name as it is meant, and the value as it stands there.
#[derive(Debug)]
pub(super) struct Members<'a> {
    scan: Scan<'a>,
    is_first: bool,
}

/// A place in a text.
#[derive(Debug)]
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

/// What is open around a place: objects or arrays, the innermost last.
#[derive(Default)]
struct Open {
    /// One bit each, of the innermost 64 at most.
    bits: u64,
    depth: usize,
    outer: Vec<u64>,
}

// === impl Members ===

impl<'a> Members<'a> {
    /// Of the object that this text begins with.
    pub(super) fn of(text: &'a str) -> Result<Self, NotJson> {
        let mut scan = Scan { text, at: 0 };
        scan.space();
        scan.take(b'{')?;
        Ok(Self { scan, is_first: true })
    }

    /// The next one; none behind the last.
    pub(super) fn next(&mut self) -> Result<Option<(Cow<'a, str>, &'a str)>, NotJson> {
        let scan = &mut self.scan;
        scan.space();
        match (scan.peek(), std::mem::take(&mut self.is_first)) {
            (Some(b'}'), _) => {
                scan.at += 1;
                return Ok(None);
            }
            (Some(b','), false) => scan.at += 1,
            (_, is_first) => is_first.then_some(()).ok_or(NotJson)?,
        }
        scan.space();
        let name = scan.name()?;
        scan.space();
        let start = scan.at;
        scan.value()?;
        Ok(Some((name, &scan.text[start..scan.at])))
    }

    /// Whether nothing comes behind the object whose last member was seen.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.scan.space();
        self.scan.peek().is_none()
    }
}

// === impl Scan ===

impl<'a> Scan<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn take(&mut self, expect: u8) -> Result<(), NotJson> {
        let is_it = self.peek() == Some(expect);
        self.at += usize::from(is_it);
        if is_it { Ok(()) } else { Err(NotJson) }
    }

    #[inline]
    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// The name of a member, and the colon behind it.
    #[inline]
    fn name(&mut self) -> Result<Cow<'a, str>, NotJson> {
        let start = self.at;
        let is_plain = self.string()?;
        let quoted = &self.text[start..self.at];
        self.space();
        self.take(b':')?;
        if is_plain {
            return Ok(Cow::Borrowed(&quoted[1..quoted.len() - 1]));
        }
        serde_json::from_str(quoted).map(Cow::Owned).map_err(|_| NotJson)
    }

    /// Goes behind a string. Returns whether nothing in it is escaped.
    #[inline]
    fn string(&mut self) -> Result<bool, NotJson> {
        self.take(b'"')?;
        let (at, is_plain) = behind_string(self.text.as_bytes(), self.at)?;
        self.at = at;
        Ok(is_plain)
    }

    /// Goes behind a value, before which there is no space.
    fn value(&mut self) -> Result<(), NotJson> {
        if self.scalar()? {
            return Ok(());
        }
        let mut open = Open::default();
        loop {
            if !self.scalar()? {
                let is_object = self.peek() == Some(b'{');
                self.at += 1;
                self.space();
                if self.peek() == Some(if is_object { b'}' } else { b']' }) {
                    self.at += 1;
                } else {
                    open.push(is_object);
                    self.begin(is_object)?;
                    continue;
                }
            }
            while let Some(is_object) = open.innermost() {
                self.space();
                match (self.peek(), is_object) {
                    (Some(b','), _) => {
                        self.at += 1;
                        self.space();
                        self.begin(is_object)?;
                        break;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => {
                        self.at += 1;
                        open.pop();
                    }
                    _ => return Err(NotJson),
                }
            }
            if open.depth == 0 {
                return Ok(());
            }
        }
    }

    /// Goes behind a value that has no parts; false where one with parts begins.
    #[inline]
    fn scalar(&mut self) -> Result<bool, NotJson> {
        match self.peek().ok_or(NotJson)? {
            b'{' | b'[' => return Ok(false),
            b'"' => drop(self.string()?),
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            _ => self.number()?,
        }
        Ok(true)
    }

    /// Goes to the next value in an object or array.
    #[inline]
    fn begin(&mut self, is_object: bool) -> Result<(), NotJson> {
        if is_object {
            self.string()?;
            self.space();
            self.take(b':')?;
            self.space();
        }
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), NotJson> {
        let is_it = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += word.len();
        if is_it { Ok(()) } else { Err(NotJson) }
    }

    fn number(&mut self) -> Result<(), NotJson> {
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(NotJson),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    /// Goes behind at least one digit.
    fn digits(&mut self) -> Result<(), NotJson> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(NotJson) }
    }
}

/// Where a string ends whose first byte behind the quote is at `at`, and whether nothing in it is escaped.
#[inline]
fn behind_string(text: &[u8], mut at: usize) -> Result<(usize, bool), NotJson> {
    let mut is_plain = true;
    loop {
        // Eight bytes at a time, while there are so many.
        at += match text.get(at..at + 8).and_then(|eight| eight.try_into().ok()).map(u64::from_le_bytes) {
            Some(eight) => match special(eight) {
                8 => {
                    at += 8;
                    continue;
                }
                bytes => bytes,
            },
            None => {
                let rest = text.get(at..).ok_or(NotJson)?;
                rest.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')).ok_or(NotJson)?
            }
        };
        at += match text[at] {
            b'"' => return Ok((at + 1, is_plain)),
            b'\\' => escape(&text[at..])?,
            _ => return Err(NotJson),
        };
        is_plain = false;
    }
}

/// How many of eight bytes come before the first that cannot stand in a string as it is: 8 where there is none.
#[inline]
fn special(eight: u64) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // The high bit of the first byte that is below the limit is set, and of none before it; none above 0x7f is meant.
    let below = |bytes: u64, limit: u64| bytes.wrapping_sub(ONES * limit) & !bytes & HIGH;
    let is = |byte: u8| below(eight ^ (ONES * u64::from(byte)), 1);
    let found = below(eight, 0x20) | is(b'"') | is(b'\\');
    usize::try_from(found.trailing_zeros() / 8).unwrap_or(8)
}

/// How long this escape is.
fn escape(text: &[u8]) -> Result<usize, NotJson> {
    match text.get(1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
        Some(b'u') => {
            let digits = text.get(2..6).ok_or(NotJson)?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(6).ok_or(NotJson)
        }
        _ => Err(NotJson),
    }
}

// === impl Open ===

impl Open {
    fn push(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(is_object);
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.bits >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.bits = self.outer.pop().unwrap_or_default();
        }
    }

    /// Whether the innermost is an object; none where nothing is open.
    fn innermost(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.bits & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::{Members, NotJson};

    /// All members of a text that is one object.
    fn members(text: &str) -> Result<Vec<(String, String)>, NotJson> {
        let (mut members, mut found) = (Members::of(text)?, Vec::new());
        while let Some((name, value)) = members.next()? {
            found.push((name.into_owned(), value.to_owned()));
        }
        if members.is_at_end() { Ok(found) } else { Err(NotJson) }
    }

    #[track_caller]
    fn check(text: &str) {
        let ours = members(text).map(|all| all.into_iter().collect::<BTreeMap<_, _>>());
        let theirs = serde_json::from_str::<BTreeMap<String, &RawValue>>(text);
        let theirs =
            theirs.map(|all| all.into_iter().map(|(name, raw)| (name, raw.get().to_owned())).collect());
        assert_eq!(ours.ok(), theirs.ok(), "{text:?}");
    }

    #[test]
    fn what_is_json_is_decided_as_by_serde_json() {
        for value in [
            "0",
            "-0",
            "00",
            "01",
            "-",
            "1.",
            ".5",
            "1.5",
            "1e",
            "1e5",
            "1E+5",
            "1e-05",
            "1e999",
            "+1",
            "0x1",
            "1.e1",
            "\"\"",
            "\"a",
            "\"\\\"\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12xg\"",
            "\"\\ud800\"",
            "\"\\u0041\"",
            "\"\t\"",
            "\"\u{7f}ä\"",
            "true",
            "tru",
            "truex",
            "null",
            "nul",
            "[]",
            "[ ]",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1,[2,[]]]",
            "{}",
            "{ }",
            "{\"a\":1,}",
            "{\"a\" : [ { \"b\" : { } } ] }",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "[}",
            "{]",
            "",
            "\u{a0}1",
            "1 , \"y\":2",
        ] {
            check(&format!("{{\"x\":{value}}}"));
            check(&format!(" {{ \"x\" : {value} }} "));
            check(value);
        }
        for text in [
            "{\"\\u0061\":1}",
            "{\"\\ud800\":1}",
            "{\"a\\n\":1}",
            "{}{}",
            "{},",
            "{,}",
            "{\"a\":1 \"b\":2}",
            "\u{feff}{}",
        ] {
            check(text);
        }
    }

    #[test]
    fn what_is_open_is_known_however_deep_it_is() {
        for depth in [1, 63, 64, 65, 127, 128, 129, 1000, 100_000] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"b\":", "}]")] {
                let inner = |end: usize| format!("{}1{}", open.repeat(depth), close.repeat(end));
                check(&format!("{{\"x\":{}}}", inner(depth)));
                check(&format!("{{\"x\":{}}}", inner(depth - 1)));
                check(&format!("{{\"x\":{}]}}", inner(depth)));
            }
        }
    }

    #[test]
    fn eight_bytes_are_looked_at_at_once() {
        for place in 0..8 {
            for byte in 0..=u8::MAX {
                for others in [b'a', 0x20, 0x7f, 0x80, 0xa2, 0xff] {
                    let mut eight = [others; 8];
                    eight[place] = byte;
                    let expect = eight.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\'));
                    assert_eq!(super::special(u64::from_le_bytes(eight)), expect.unwrap_or(8), "{eight:?}");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn anything_is_decided_as_by_serde_json(
            text in "(\\{|\\}|\\[|\\]|,|:|\"|\"a\"|\"\\\\u0062\"|\\\\|1|-|\\.|e|true|null| |\n|ä|\u{1}){0,16}",
            value in "(\\{\"c\":|\\}|\\[|\\]|,|\"d\"|-?[0-9]{1,3}|e|true|null| ){0,8}",
        ) {
            check(&text);
            check(&format!("{{{text}}}"));
            check(&format!("{{\"x\":{value}}}"));
        }
    }
}
