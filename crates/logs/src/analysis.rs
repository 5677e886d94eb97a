//! Owns what many lines say together: how many of which kind, which messages there are, and what came of calls.

mod calls;
mod cluster;
mod rate;
mod template;

use std::collections::BTreeMap;

use diagnosis::log_error;
use serde::Serialize;

use crate::entry::Entry;
use crate::level::Level;

pub use calls::{Call, Calls, SLOW_MS, Slow, Unanswered};
pub use cluster::{Change, Cluster};

/// More names than these of one sort are counted as one.
const NAMES_MAX: usize = 200;

/// Under this name.
const OTHERS: &str = "(others)";

/// Collects lines. What it holds is bounded, however many there are.
#[derive(Debug, Default)]
pub struct Analysis {
    n_lines: u64,
    n_undated: u64,
    first_ms: Option<i64>,
    last_ms: Option<i64>,
    levels: BTreeMap<Option<Level>, u64>,
    events: BTreeMap<String, u64>,
    servers: BTreeMap<String, u64>,
    errors: BTreeMap<&'static str, Kind>,
    clusters: cluster::Clusters,
    calls: calls::Collector,
}

/// Errors of one kind, by the classes of the finding `log_error`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Kind {
    /// The class, such as `connection`.
    pub kind: &'static str,
    /// How many lines.
    pub count: u64,
    /// When the first was written, in milliseconds since the Unix epoch.
    pub first_ms: Option<i64>,
    /// When the last was.
    pub last_ms: Option<i64>,
    /// What the last one says.
    pub message: String,
}

/// What was found in the lines.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// How many lines there are.
    pub lines: u64,
    /// How many of them say no time, nor does one before them.
    pub undated: u64,
    /// When the first was written, in milliseconds since the Unix epoch.
    pub first_ms: Option<i64>,
    /// When the last was.
    pub last_ms: Option<i64>,
    /// Lines by level; `none` where a line says none.
    pub levels: BTreeMap<&'static str, u64>,
    /// Lines by what they are about.
    pub events: BTreeMap<String, u64>,
    /// Lines by server.
    pub servers: BTreeMap<String, u64>,
    /// Part of the lines that are errors, from 0 to 1.
    pub error_ratio: f64,
    /// Errors by kind, the most frequent first. An error of no known kind is among the messages only.
    pub errors: Vec<Kind>,
    /// Messages that are the same but for numbers and ids, the most frequent first.
    pub messages: Vec<Cluster>,
    /// Lines of messages that were too many to be told apart.
    pub other_messages: u64,
    /// What came of calls.
    pub calls: Calls,
}

// === impl Analysis ===

impl Analysis {
    /// Takes the next line, in the order of time where there is one.
    pub fn take(&mut self, entry: &Entry) {
        self.n_lines += 1;
        match entry.at_ms {
            Some(at_ms) => {
                self.first_ms = Some(self.first_ms.map_or(at_ms, |first_ms| first_ms.min(at_ms)));
                self.last_ms = Some(self.last_ms.map_or(at_ms, |last_ms| last_ms.max(at_ms)));
            }
            None => self.n_undated += 1,
        }
        *self.levels.entry(entry.level).or_default() += 1;
        if !entry.event.is_empty() {
            *bounded(&mut self.events, &entry.event) += 1;
        }
        if let Some(server) = &entry.server {
            *bounded(&mut self.servers, server) += 1;
        }
        if entry.level >= Some(Level::Warning)
            && let Some((kind, _)) = log_error(&[&entry.message])
        {
            let found = self.errors.entry(kind).or_insert_with(|| Kind {
                kind,
                count: 0,
                first_ms: entry.at_ms,
                last_ms: None,
                message: String::new(),
            });
            found.count += 1;
            found.last_ms = entry.at_ms.or(found.last_ms);
            found.message = template::clip(&entry.message).to_owned();
        }
        self.clusters.take(entry);
        self.calls.take(entry);
    }

    /// What was found.
    pub fn report(self) -> Report {
        let n_errors: u64 =
            self.levels.iter().filter(|(level, _)| **level >= Some(Level::Error)).map(|(_, n)| n).sum();
        let mut errors: Vec<_> = self.errors.into_values().collect();
        errors.sort_by_key(|kind| std::cmp::Reverse(kind.count));
        let span = self.first_ms.zip(self.last_ms);
        let (messages, other_messages) = self.clusters.end(span);
        Report {
            lines: self.n_lines,
            undated: self.n_undated,
            first_ms: self.first_ms,
            last_ms: self.last_ms,
            levels: self.levels.iter().map(|(level, n)| (level.map_or("none", Level::name), *n)).collect(),
            events: self.events,
            servers: self.servers,
            error_ratio: if self.n_lines == 0 { 0.0 } else { n_errors as f64 / self.n_lines as f64 },
            errors,
            messages,
            other_messages,
            calls: self.calls.end(self.last_ms),
        }
    }
}

/// The place of a name, or the one of all others where there are too many.
fn bounded<'m, V: Default>(map: &'m mut BTreeMap<String, V>, name: &str) -> &'m mut V {
    let name = if map.len() >= NAMES_MAX && !map.contains_key(name) { OTHERS } else { name };
    map.entry(template::clip(name).to_owned()).or_default()
}

#[cfg(test)]
mod tests;
