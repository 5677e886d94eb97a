//! Owns what is searched for in lines: a text as it stands, or a regular expression; in any case unless it has capitals.

use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder};
use serde_json::Value;

/// What a compiled expression may take, in bytes.
const SIZE_MAX: usize = 10 << 20;

/// What is searched for. Made once, used for all lines.
#[derive(Debug)]
pub struct Pattern {
    needle: Needle,
    /// Whether many lines can be searched at once: nothing in it asks for the beginning or end of a text, and JSON writes
    /// it as it is.
    spans: Span,
}

#[derive(Debug)]
enum Needle {
    Literal(Finder<'static>),
    Regex(Regex),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    ManyLines,
    OneLine,
}

/// A pattern that is none.
#[derive(Debug, thiserror::Error)]
#[error("`{pattern}` is no regular expression")]
pub struct Invalid {
    pattern: String,
    source: regex::Error,
}

// === impl Pattern ===

impl Pattern {
    /// A text as it stands. In any case, unless it has a capital.
    pub fn literal(text: &str) -> Self {
        let is_escaped = |c: char| matches!(c, '"' | '\\') || c.is_control() || !c.is_ascii();
        let spans =
            if text.contains(is_escaped) || text.is_empty() { Span::OneLine } else { Span::ManyLines };
        let is_exact = text.chars().any(char::is_uppercase) || !text.chars().any(char::is_alphabetic);
        if !is_exact {
            let escaped = regex::escape(text);
            let built = RegexBuilder::new(&escaped)
                .case_insensitive(true)
                // Without it `k` is the sign of Kelvin too, and the search half as fast.
                .unicode(!text.is_ascii())
                .size_limit(SIZE_MAX)
                .build();
            if let Ok(regex) = built {
                return Self { needle: Needle::Regex(regex), spans };
            }
        }
        Self { needle: Needle::Literal(Finder::new(text.as_bytes()).into_owned()), spans }
    }

    /// A regular expression, in linear time. In any case, unless it has a capital that is no class.
    ///
    /// # Errors
    /// Where it is none, or too large.
    pub fn regex(text: &str) -> Result<Self, Invalid> {
        let mut chars = text.chars();
        let mut has_capital = false;
        while let Some(c) = chars.next() {
            has_capital |= c.is_uppercase();
            if c == '\\' {
                chars.next();
            }
        }
        let regex = RegexBuilder::new(text)
            .case_insensitive(!has_capital)
            .multi_line(true)
            .size_limit(SIZE_MAX)
            .build()
            .map_err(|source| Invalid { pattern: text.to_owned(), source })?;
        let is_anchored = ["\\A", "\\z", "(?"].iter().any(|part| text.contains(part));
        let spans = if is_anchored || regex.is_match(b"") { Span::OneLine } else { Span::ManyLines };
        Ok(Self { needle: Needle::Regex(regex), spans })
    }

    /// Whether a line has it: as it stands in the file, or in a text of its JSON.
    pub fn is_in(&self, line: &[u8]) -> bool {
        self.found(line).is_some() || (self.spans == Span::OneLine && self.is_in_json(line))
    }

    /// The first line of many that may have it: a place within it. None where no line can have it; 0 where each has to be
    /// asked.
    pub(crate) fn candidate(&self, lines: &[u8]) -> Option<usize> {
        match self.spans {
            Span::ManyLines => self.found(lines),
            Span::OneLine => Some(0),
        }
    }

    fn found(&self, bytes: &[u8]) -> Option<usize> {
        match &self.needle {
            Needle::Literal(finder) => finder.find(bytes),
            Needle::Regex(regex) => regex.find(bytes).map(|found| found.start()),
        }
    }

    /// JSON may write `"` as `\"` and `ä` as `\u00e4`.
    fn is_in_json(&self, line: &[u8]) -> bool {
        if !line.contains(&b'\\') {
            return false;
        }
        let Ok(Value::Object(fields)) = serde_json::from_slice(line) else { return false };
        fields.values().filter_map(Value::as_str).any(|text| self.found(text.as_bytes()).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn what_is_found() {
        for (pattern, line, expect) in [
            ("memory", "MemoryError", true),
            ("Memory", "memory", false),
            ("a.b", "axb", false),
            (r#"say "x""#, r#"{"m":"say \"x\""}"#, true),
            ("ä", r#"{"m":"\u00c4"}"#, true),
            ("", "x", true),
            ("42", "142", true),
        ] {
            assert_eq!(Pattern::literal(pattern).is_in(line.as_bytes()), expect, "{pattern} in {line}");
        }
        for (pattern, line, expect) in [
            ("^a.*z$", "ABCZ", true),
            (r"\Sx", "AX", true),
            ("Ax", "ax", false),
            (r"\Aa\z", "a", true),
            ("(?-i)a", "A", false),
        ] {
            let made = Pattern::regex(pattern).unwrap();
            assert_eq!(made.is_in(line.as_bytes()), expect, "{pattern} in {line}");
        }
        for pattern in ["(", r"a{100000000}", r"(\w{1000}){1000}"] {
            assert!(Pattern::regex(pattern).unwrap_err().to_string().contains("no regular expression"));
        }
    }
}
