//! Owns the way of a page through its lines, piece by piece as it arrives; holds one incomplete line and no more.
//!
//! Most lines of a page are those of the page before with other values. A reader that remembers them says so
//! (`Sink::expected`), and then only the value is read.

use memchr::memchr;

use super::families::Families;
use super::line::{self, Malformed, Pairs, Tail};
use super::{Diagnostic, Format, PageLimits, number};

/// A page of garbage must not become as many messages: the rest is only counted.
const DIAGNOSTICS_MAX: usize = 50;

/// What a line says about its series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    /// The value.
    pub(crate) value: f64,
    /// The timestamp, where the page has one.
    pub(crate) at_ms: Option<i64>,
}

/// Who takes what is read.
pub(crate) trait Sink {
    /// Returns the length of the series that is expected next, if that is what the rest of the page starts with and a
    /// blank follows it.
    fn expected(&self, rest: &[u8]) -> Option<usize>;

    /// Takes the value of the series that was expected.
    fn known(&mut self, reading: Reading, families: &Families);

    /// Takes a series as it is written, and as it was understood.
    fn series(&mut self, raw: &[u8], pairs: &Pairs<'_>, reading: Reading, families: &Families);
}

/// What could not be used of a page.
#[derive(Debug, Default)]
pub(crate) struct Rejected {
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// How many lines could not be read, those without a diagnostic of their own included.
    pub(crate) lines: usize,
}

/// Reads one page.
#[derive(Debug)]
pub(crate) struct Scanner {
    format: Format,
    limits: PageLimits,
    families: Families,
    /// The beginning of a line whose end has not arrived.
    begun: Vec<u8>,
    state: State,
    bytes: usize,
    line: usize,
    n_samples: usize,
    /// Samples beyond the limit.
    n_over: usize,
    rejected: Rejected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    /// In the rest of a line that is too long.
    Skipping,
    /// After the last line, or at the limit of bytes.
    Ended,
}

// === impl Scanner ===

impl Scanner {
    pub(crate) fn new(format: Format, limits: PageLimits) -> Self {
        Self {
            format,
            limits,
            families: Families::default(),
            begun: Vec::new(),
            state: State::Reading,
            bytes: 0,
            line: 0,
            n_samples: 0,
            n_over: 0,
            rejected: Rejected::default(),
        }
    }

    /// Takes the next piece of the page.
    pub(crate) fn feed<S: Sink>(&mut self, piece: &[u8], sink: &mut S) {
        let room = self.limits.bytes_max - self.bytes;
        let mut rest = &piece[..piece.len().min(room)];
        self.bytes += rest.len();
        if !self.begun.is_empty() || self.state == State::Skipping {
            rest = self.complete(rest, sink);
        }
        rest = self.lines(rest, sink);
        if self.state != State::Ended {
            self.begin(rest);
        }
        if piece.len() > room && self.state != State::Ended {
            self.begun.clear();
            self.state = State::Ended;
            self.note(format!("page is longer than {} bytes: the rest is not read", self.limits.bytes_max));
        }
    }

    /// Ends the page, and returns what could not be used of it.
    pub(crate) fn close<S: Sink>(mut self, sink: &mut S) -> Rejected {
        if self.state == State::Reading && !self.begun.is_empty() {
            let last = std::mem::take(&mut self.begun);
            self.read(&last, sink);
        } else if self.state == State::Skipping {
            self.line += 1;
            self.reject(&Malformed::Long(self.limits.line_bytes_max));
        }
        if self.format == Format::OpenMetrics && self.state != State::Ended {
            self.note("page has no `# EOF`: it may have been cut".to_owned());
        }
        let unnamed = self.rejected.lines.saturating_sub(DIAGNOSTICS_MAX);
        if unnamed > 0 {
            let line = self.rejected.diagnostics.last().map_or(1, |last| last.line);
            let message = format!("{unnamed} more lines below could not be read");
            self.rejected.diagnostics.push(Diagnostic { line, message });
        }
        if self.n_over > 0 {
            let (over, max) = (self.n_over, self.limits.samples_max);
            self.note(format!("page has {over} samples more than the {max} that are read"));
            self.rejected.lines += over;
        }
        self.rejected
    }

    /// Reads the line that has begun, if its end is here; returns what follows it.
    fn complete<'p, S: Sink>(&mut self, piece: &'p [u8], sink: &mut S) -> &'p [u8] {
        let Some(end) = memchr(b'\n', piece) else { return piece };
        let mut begun = std::mem::take(&mut self.begun);
        if self.state == State::Skipping {
            self.state = State::Reading;
            self.line += 1;
            self.reject(&Malformed::Long(self.limits.line_bytes_max));
        } else if self.state == State::Reading {
            // One byte beyond the limit is enough to see that it is too long.
            let room = (self.limits.line_bytes_max + 1).saturating_sub(begun.len());
            begun.extend_from_slice(&piece[..end.min(room)]);
            self.read(&begun, sink);
        }
        begun.clear();
        self.begun = begun;
        &piece[end + 1..]
    }

    /// Keeps the beginning of a line for later.
    fn begin(&mut self, rest: &[u8]) {
        if self.state == State::Skipping || rest.is_empty() {
            return;
        }
        if self.begun.len() + rest.len() > self.limits.line_bytes_max {
            self.begun.clear();
            self.state = State::Skipping;
        } else {
            self.begun.extend_from_slice(rest);
        }
    }

    /// Reads the lines that are whole; returns what follows them.
    fn lines<'p, S: Sink>(&mut self, mut rest: &'p [u8], sink: &mut S) -> &'p [u8] {
        // A line that has begun did not end in this piece.
        if !self.begun.is_empty() {
            return rest;
        }
        while self.state == State::Reading {
            if let Some(length) = self.repeated(rest, sink) {
                rest = &rest[length..];
                continue;
            }
            let Some(end) = memchr(b'\n', rest) else { break };
            self.read(&rest[..end], sink);
            rest = &rest[end + 1..];
        }
        rest
    }

    /// Reads a line whose series is the one that is expected; returns its length.
    #[inline]
    fn repeated<S: Sink>(&mut self, rest: &[u8], sink: &mut S) -> Option<usize> {
        if self.n_samples >= self.limits.samples_max {
            return None;
        }
        let length = sink.expected(rest)?;
        let tail = rest.get(length + 1..)?;
        let end = memchr(b'\n', tail)?;
        let tail = &tail[..end];
        let reading = match number::decimal(tail) {
            Some(value) => Reading { value, at_ms: None },
            None if length + end < self.limits.line_bytes_max => {
                let tail = line::tail(std::str::from_utf8(tail).ok()?, self.format).ok()?;
                // A broken exemplar is named by the slow way.
                tail.check_exemplar(&Pairs::new(), &self.limits).ok()?;
                Reading { value: tail.value, at_ms: tail.at_ms }
            }
            None => return None,
        };
        self.line += 1;
        self.n_samples += 1;
        sink.known(reading, &self.families);
        Some(length + 1 + end + 1)
    }

    /// Reads a line without its end.
    fn read<S: Sink>(&mut self, line: &[u8], sink: &mut S) {
        self.line += 1;
        if line.len() > self.limits.line_bytes_max {
            return self.reject(&Malformed::Long(self.limits.line_bytes_max));
        }
        let line = line.trim_ascii();
        if line.is_empty() {
            return;
        }
        if line[0] != b'#' && self.n_samples >= self.limits.samples_max {
            self.n_over += 1;
            return;
        }
        let Ok(line) = std::str::from_utf8(line) else { return self.reject(&Malformed::Utf8) };
        if let Some(comment) = line.strip_prefix('#') {
            if comment.trim() == "EOF" && self.format == Format::OpenMetrics {
                self.state = State::Ended;
            }
            return self.families.declare(comment);
        }
        if let Err(malformed) = self.sample(line, sink) {
            self.reject(&malformed);
        }
    }

    fn sample<S: Sink>(&mut self, line: &str, sink: &mut S) -> Result<(), Malformed> {
        let (pairs, rest) = line::series(line, &self.limits)?;
        let tail: Tail<'_> = line::tail(rest, self.format).map_err(|bad| bad.of(&pairs))?;
        self.n_samples += 1;
        let reading = Reading { value: tail.value, at_ms: tail.at_ms };
        sink.series(&line.as_bytes()[..line.len() - rest.len()], &pairs, reading, &self.families);
        tail.check_exemplar(&pairs, &self.limits)
    }

    fn reject(&mut self, malformed: &Malformed) {
        self.rejected.lines += 1;
        if self.rejected.lines <= DIAGNOSTICS_MAX {
            self.note(malformed.to_string());
        }
    }

    fn note(&mut self, message: String) {
        self.rejected.diagnostics.push(Diagnostic { line: self.line.max(1), message });
    }
}
