//! Owns what a reader of a runbook has to say about it: a place, a message and how bad it is.

use serde::Serialize;

/// One remark about a document, with the place it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Line in the document, from 1.
    pub line: usize,
    /// Column in that line, in characters from 1.
    pub column: usize,
    /// What is the matter: a lowercase fragment without full stop.
    pub message: String,
    /// How bad it is.
    pub level: Level,
}

/// How bad a remark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing; nothing is lost.
    Info,
    /// Something was guessed, or is not done.
    Warning,
    /// Something that the author asked for can not be done as written.
    Error,
}

/// A remark whose place is still a byte offset into some text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remark {
    pub(crate) offset: usize,
    pub(crate) message: String,
    pub(crate) level: Level,
}

/// Remarks gathered while one document is read.
#[derive(Debug, Default)]
pub(crate) struct Remarks {
    list: Vec<Remark>,
    dropped: bool,
}

/// More remarks than this say nothing new, and a hostile document could make millions.
const REMARKS_MAX: usize = 1000;

// === impl Remarks ===

impl Remarks {
    pub(crate) fn error(&mut self, offset: usize, message: impl Into<String>) {
        self.push(offset, message.into(), Level::Error);
    }

    pub(crate) fn warning(&mut self, offset: usize, message: impl Into<String>) {
        self.push(offset, message.into(), Level::Warning);
    }

    pub(crate) fn info(&mut self, offset: usize, message: impl Into<String>) {
        self.push(offset, message.into(), Level::Info);
    }

    /// Takes over remarks whose offsets start at `base`.
    pub(crate) fn extend(&mut self, base: usize, remarks: Vec<Remark>) {
        for remark in remarks {
            self.push(base + remark.offset, remark.message, remark.level);
        }
    }

    fn push(&mut self, offset: usize, message: String, level: Level) {
        if self.list.len() < REMARKS_MAX {
            self.list.push(Remark { offset, message, level });
        } else if !self.dropped {
            self.dropped = true;
            let message = format!("more than {REMARKS_MAX} remarks; the rest is left out");
            self.list.push(Remark { offset, message, level: Level::Warning });
        }
    }

    /// Returns the remarks in the order of the document.
    pub(crate) fn finish(mut self, lines: &Lines<'_>) -> Vec<Diagnostic> {
        self.list.sort_by_key(|remark| remark.offset);
        let place = |remark: Remark| {
            let (line, column) = lines.place(remark.offset);
            Diagnostic { line, column, message: remark.message, level: remark.level }
        };
        self.list.into_iter().map(place).collect()
    }
}

/// Turns byte offsets into lines and columns.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

// === impl Lines ===

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let after_break = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1);
        Self { text, starts: std::iter::once(0).chain(after_break).collect() }
    }

    /// Returns the line of a byte offset, from 1.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset).max(1)
    }

    /// Returns the byte offset where a line begins.
    pub(crate) fn start(&self, line: usize) -> usize {
        self.starts.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len())
    }

    /// Returns the line and the column of a byte offset, both from 1.
    pub(crate) fn place(&self, offset: usize) -> (usize, usize) {
        let line = self.line(offset);
        let start = self.starts[line - 1];
        let before = self.text.as_bytes().get(start..offset).unwrap_or_default();
        // Most lines are ASCII, and a long one is asked about many times.
        if !before.is_empty() && before.is_ascii() {
            return (line, before.len() + 1);
        }
        // An offset inside a character, or past the end, is never counted.
        let column = self.text[start..].char_indices().take_while(|(at, _)| start + at < offset).count() + 1;
        (line, column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters_from_one() {
        let lines = Lines::new("a\nbäc\n");
        assert_eq!(lines.place(0), (1, 1));
        assert_eq!(lines.place(2), (2, 1));
        assert_eq!(lines.place(5), (2, 3));
        assert_eq!(lines.place(4), (2, 3), "inside a character");
        assert_eq!(lines.place(7), (3, 1));
        assert_eq!(Lines::new("").place(0), (1, 1));
        assert_eq!(Lines::new("abc").place(99), (1, 4));
    }

    #[test]
    fn remarks_are_sorted_and_bounded() {
        let mut remarks = Remarks::default();
        remarks.info(3, "second");
        remarks.error(0, "first");
        let messages: Vec<_> = remarks.finish(&Lines::new("a\nb\n")).into_iter().map(|d| d.message).collect();
        assert_eq!(messages, ["first", "second"]);

        let mut many = Remarks::default();
        (0..5000).for_each(|_| many.warning(0, "again"));
        assert_eq!(many.finish(&Lines::new("")).len(), REMARKS_MAX + 1);
    }
}
