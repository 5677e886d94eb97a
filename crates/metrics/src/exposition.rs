//! Owns the reading of metrics pages: Prometheus text 0.0.4 and OpenMetrics 1.0, line by line, never failing.
//!
//! ```text
//! # TYPE name counter          what kind of family follows; other comments are passed over
//! name{label="value",…} 1.5 timestamp # {exemplar…} value timestamp
//! {"any name","any label"="value",…} 1.5
//! # EOF                        last line of an OpenMetrics page
//! ```
//!
//! In OpenMetrics timestamps are seconds and samples may carry exemplars, which are looked at and not kept; in the older
//! text timestamps are milliseconds. `_created` and `# UNIT` are not given a meaning: the former are series like others.
//! A line that cannot be read costs only itself.

mod families;
mod line;
mod metadata;
mod number;
mod scanner;

use crate::labels::{Labels, Sample};
pub(crate) use families::{Families, Kind};
pub(crate) use line::Pairs;
pub use metadata::{Metadata, metadata};
pub(crate) use scanner::{Reading, Scanner, Sink};

/// Something in a text that could not be used, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

/// Which of the two formats a page is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0, which ends with `# EOF`.
    OpenMetrics,
}

/// How much of a page is read; what goes beyond is named and left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimits {
    /// Bytes of a page.
    pub bytes_max: usize,
    /// Bytes of a line, which are held until the line is complete.
    pub line_bytes_max: usize,
    /// Samples of a page.
    pub samples_max: usize,
    /// Labels of a series.
    pub labels_max: usize,
    /// Bytes of the name of a label, and of its value.
    pub label_bytes_max: usize,
}

// === impl Format ===

impl Format {
    /// Returns the format that an HTTP response names in its `Content-Type`; unknown ones are read as text.
    pub fn of_content_type(content_type: &str) -> Self {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/openmetrics-text") { Self::OpenMetrics } else { Self::Text }
    }

    /// Returns the format of a page that is there as a whole, by its last line.
    pub fn of_page(page: &str) -> Self {
        if page.trim_end().ends_with("# EOF") { Self::OpenMetrics } else { Self::Text }
    }
}

// === impl PageLimits ===

impl Default for PageLimits {
    /// Returns limits far beyond what a client library writes: real series have a handful of labels, and Prometheus' own
    /// advice is to stay below 10.
    fn default() -> Self {
        Self {
            bytes_max: 64 << 20,
            line_bytes_max: 64 << 10,
            samples_max: 200_000,
            labels_max: 64,
            label_bytes_max: 8 << 10,
        }
    }
}

/// Reads a metrics page; samples without a timestamp of their own are stamped `now_ms`.
///
/// What cannot be read is left out and named in the diagnostics, at most 50 of them and one that counts the rest.
pub fn parse(page: &str, now_ms: i64) -> (Vec<Sample>, Vec<Diagnostic>) {
    let mut scanner = Scanner::new(Format::of_page(page), PageLimits::default());
    let mut all = Collected { now_ms, samples: Vec::new() };
    scanner.feed(page.as_bytes(), &mut all);
    let rejected = scanner.close(&mut all);
    (all.samples, rejected.diagnostics)
}

/// Takes whatever is read, and expects nothing.
struct Collected {
    now_ms: i64,
    samples: Vec<Sample>,
}

// === impl Collected ===

impl Sink for Collected {
    fn expected(&self, _: &[u8]) -> Option<usize> {
        None
    }

    fn known(&mut self, _: Reading, _: &Families) {}

    fn series(&mut self, _: &[u8], pairs: &Pairs<'_>, reading: Reading, _: &Families) {
        let labels: Labels = pairs.iter().map(|(name, value)| (name, value)).collect();
        let at_ms = reading.at_ms.unwrap_or(self.now_ms);
        self.samples.push(Sample { labels, at_ms, value: reading.value });
    }
}

#[cfg(test)]
mod tests;
