//! Owns searching logs: files one after the other, lines that are wanted, and what was in the way.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::Path;

use crate::entry::Entry;
use crate::files::{Opened, Part, of_log, opened};
use crate::level::Level;
use crate::lines::Lines;
use crate::open::open;
use crate::pattern::Pattern;
use crate::stamp::{Clock, LocalTime};

/// Text has no byte 0; so much of a file is looked at for that.
const HEAD_BYTES: usize = 8 << 10;

/// So many lines before one without a time are asked for theirs.
const LINES_BEFORE_MAX: usize = 200;

/// What is wanted. A line is wanted if all that is said fits.
#[derive(Debug, Default)]
pub struct Filter {
    /// What stands in the line.
    pub pattern: Option<Pattern>,
    /// At least so serious. A line without a level is not, unless it goes on what one with a level says.
    pub level: Option<Level>,
    /// Nothing from before this moment, in milliseconds since the Unix epoch.
    pub since_ms: Option<i64>,
    /// Nothing from after this moment.
    pub until_ms: Option<i64>,
    /// Lines of this server. One that names no server is of any.
    pub server: Option<String>,
}

/// Finds lines that are wanted among those that come one at a time.
#[derive(Debug)]
pub struct Sieve<'f> {
    filter: &'f Filter,
    last: Last,
}

/// Lines of one log that are wanted, the oldest file first, each file from its beginning. Streams.
pub struct Search<'f> {
    filter: &'f Filter,
    local: LocalTime,
    now_ms: i64,
    waiting: VecDeque<Part>,
    reading: Option<Reading>,
    /// What was in the way: files that could not be read, lines that were cut.
    notes: Vec<String>,
    n_undated: u64,
    n_failed: u32,
}

struct Reading {
    name: String,
    lines: Lines<Box<dyn Read + Send>>,
    clock: Clock,
    last: Last,
    n_cut: u64,
}

/// What the last lines have said, for those that go on with it.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    at_ms: Option<i64>,
    level: Option<Level>,
}

// === impl Filter ===

impl Filter {
    /// Whether what a line says is wanted; its pattern was looked for before.
    pub fn wants(&self, entry: &Entry) -> bool {
        let is_of_server = match (&self.server, &entry.server) {
            (Some(wanted), Some(server)) => wanted == server,
            _ => true,
        };
        is_of_server
            && self.level.is_none_or(|least| entry.level.is_some_and(|level| level >= least))
            && self.since_ms.is_none_or(|since_ms| entry.at_ms.is_some_and(|at_ms| at_ms >= since_ms))
            && self.until_ms.is_none_or(|until_ms| entry.at_ms.is_some_and(|at_ms| at_ms <= until_ms))
    }

    /// Whether it asks for more than a pattern.
    fn is_of_heads(&self) -> bool {
        self.level.is_some() || self.since_ms.is_some() || self.until_ms.is_some() || self.server.is_some()
    }
}

// === impl Sieve ===

impl<'f> Sieve<'f> {
    /// Begins with a line that goes on with nothing.
    pub fn new(filter: &'f Filter) -> Self {
        Self { filter, last: Last::default() }
    }

    /// Reads the next line; returns what it says where that is wanted.
    pub fn take(&mut self, line: &[u8], clock: Clock) -> Option<Entry> {
        let mut entry = Entry::read(line, clock);
        self.last.lend_to(&mut entry);
        let has = self.filter.pattern.as_ref().is_none_or(|pattern| pattern.is_in(line));
        Some(entry).filter(|entry| has && self.filter.wants(entry))
    }
}

// === impl Last ===

impl Last {
    /// Gives a line of text without a time what the one before it has, and otherwise keeps what this one has.
    fn lend_to(&mut self, entry: &mut Entry) {
        if entry.at_ms.is_none() && entry.fields.is_none() {
            entry.at_ms = self.at_ms;
            entry.level = entry.level.or(self.level);
        } else {
            *self = Self { at_ms: entry.at_ms, level: entry.level };
        }
    }
}

// === impl Search ===

impl<'f> Search<'f> {
    /// Searches a log: a file with all that was rotated away from it.
    pub fn log(path: &Path, filter: &'f Filter, local: LocalTime, now_ms: i64) -> Self {
        Self::new(of_log(path).into(), filter, local, now_ms)
    }

    /// Searches one file and no other.
    pub fn file(path: &Path, filter: &'f Filter, local: LocalTime, now_ms: i64) -> Self {
        Self::new([(path.to_owned(), open(path))].into(), filter, local, now_ms)
    }

    /// Searches what comes from somewhere, such as standard input.
    pub fn stream(
        from: Box<dyn Read + Send>,
        name: &str,
        filter: &'f Filter,
        local: LocalTime,
        now_ms: i64,
    ) -> Self {
        let mut search = Self::new(VecDeque::new(), filter, local, now_ms);
        search.begin(name.to_owned(), Opened { from, written_ms: None });
        search
    }

    fn new(waiting: VecDeque<Part>, filter: &'f Filter, local: LocalTime, now_ms: i64) -> Self {
        Self { filter, local, now_ms, waiting, reading: None, notes: Vec::new(), n_undated: 0, n_failed: 0 }
    }

    /// What was in the way so far; each is told once.
    pub fn take_notes(&mut self) -> Vec<String> {
        if self.n_undated > 0 {
            let n = std::mem::take(&mut self.n_undated);
            self.notes.push(format!("{n} lines say no time, and were left out because one was asked for"));
        }
        std::mem::take(&mut self.notes)
    }

    /// How many files could not be read, or not to their end.
    pub fn n_failed(&self) -> u32 {
        self.n_failed
    }

    fn fail(&mut self, note: String) {
        self.n_failed += 1;
        self.notes.push(note);
    }

    /// Begins a file, where it is text.
    fn begin(&mut self, name: String, opened: Opened) {
        let clock = Clock { local: self.local, written_ms: opened.written_ms.unwrap_or(self.now_ms) };
        let mut lines = Lines::new(opened.from);
        match lines.peek() {
            Ok(head) if head[..head.len().min(HEAD_BYTES)].contains(&0) => {
                self.fail(format!("{name}: it is binary, and no log"));
            }
            Ok(_) => self.reading = Some(Reading { name, lines, clock, last: Last::default(), n_cut: 0 }),
            Err(error) => self.fail(format!("{name}: {error}")),
        }
    }

    /// Opens the next file; whether there is one.
    fn open_next(&mut self) -> bool {
        let Some((path, file)) = self.waiting.pop_front() else { return false };
        let name = path.display().to_string();
        match file.and_then(opened) {
            // All of it was written before what is wanted.
            Ok(Opened { written_ms: Some(written_ms), .. })
                if self.filter.since_ms.is_some_and(|since_ms| written_ms < since_ms) => {}
            Ok(opened) => self.begin(name, opened),
            Err(error) => self.fail(format!("{name}: {error}")),
        }
        true
    }

    fn end(&mut self, error: Option<&io::Error>) {
        let Some(Reading { name, n_cut, .. }) = self.reading.take() else { return };
        if n_cut > 0 {
            self.notes.push(format!(
                "{name}: {n_cut} lines are longer than 1 MiB; of those only the beginning was read"
            ));
        }
        if let Some(error) = error {
            self.fail(format!("{name}: read only in part: {error}"));
        }
    }
}

impl Iterator for Search<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            let Some(reading) = &mut self.reading else {
                if self.open_next() {
                    continue;
                }
                return None;
            };
            let found = match reading.lines.next(self.filter.pattern.as_ref()) {
                Ok(Some(found)) => found,
                Ok(None) => {
                    self.end(None);
                    continue;
                }
                Err(error) => {
                    self.end(Some(&error));
                    continue;
                }
            };
            reading.n_cut += u64::from(found.is_cut);
            if self.filter.is_of_heads()
                && let Some(heads) = Entry::peek(found.line, reading.clock)
                && heads.at_ms.is_some()
                && !self.filter.wants(&heads)
            {
                reading.last = Last { at_ms: heads.at_ms, level: heads.level };
                continue;
            }
            let mut entry = Entry::read(found.line, reading.clock);
            let goes_on = entry.at_ms.is_none() && entry.fields.is_none();
            // With a pattern, lines between were passed over.
            if goes_on && self.filter.pattern.is_some() {
                reading.last = said_before(found.before, reading.clock).unwrap_or(reading.last);
            }
            reading.last.lend_to(&mut entry);
            if self.filter.wants(&entry) {
                return Some(entry);
            }
            let is_timed = self.filter.since_ms.is_some() || self.filter.until_ms.is_some();
            self.n_undated += u64::from(is_timed && entry.at_ms.is_none());
        }
    }
}

/// What the last line before a place says that has a time of its own.
fn said_before(before: &[u8], clock: Clock) -> Option<Last> {
    let before = before.strip_suffix(b"\n").unwrap_or(before);
    let lines = before.rsplit(|byte| *byte == b'\n').take(LINES_BEFORE_MAX);
    lines
        .map(|line| Entry::read(line, clock))
        .find_map(|entry| entry.at_ms.map(|at_ms| Last { at_ms: Some(at_ms), level: entry.level }))
}

/// Lines of several logs as one, by their times. A line without a time comes with the one before it in its own log.
pub struct Merged<I: Iterator<Item = Entry>> {
    logs: Vec<(I, Option<Entry>, i64)>,
}

// === impl Merged ===

impl<I: Iterator<Item = Entry>> Merged<I> {
    /// Begins with the first line of each.
    pub fn new(logs: Vec<I>) -> Self {
        let mut merged = Self { logs: logs.into_iter().map(|log| (log, None, i64::MIN)).collect() };
        merged.logs.iter_mut().for_each(advance);
        merged
    }

    /// The logs, also those that are at their end.
    pub fn logs(&mut self) -> impl Iterator<Item = &mut I> {
        self.logs.iter_mut().map(|(log, _, _)| log)
    }
}

impl<I: Iterator<Item = Entry>> Iterator for Merged<I> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let ready = self.logs.iter_mut().filter(|(_, head, _)| head.is_some());
        let first = ready.min_by_key(|(_, _, at_ms)| *at_ms)?;
        let entry = first.1.take();
        advance(first);
        entry
    }
}

fn advance<I: Iterator<Item = Entry>>((log, head, at_ms): &mut (I, Option<Entry>, i64)) {
    *head = log.next();
    *at_ms = head.as_ref().and_then(|entry| entry.at_ms).unwrap_or(*at_ms);
}

#[cfg(test)]
mod tests;
