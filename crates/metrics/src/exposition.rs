//! Owns the reading of metrics pages: Prometheus text 0.0.4 and OpenMetrics 1.0, line by line, never failing.
//!
//! ```text
//! # TYPE name counter          what kind of family follows; other comments are passed over
//! name{label="value",…} 1.5 timestamp # {exemplar…}
//! # EOF                        last line of an OpenMetrics page
//! ```
//!
//! A page that ends with `# EOF` is OpenMetrics: its timestamps are seconds and its samples may carry exemplars
//! (which are not kept); otherwise timestamps are milliseconds. A line that cannot be read costs only itself.

mod line;

use std::collections::HashMap;

use crate::labels::{Labels, Sample};
use line::Malformed;

/// One line is longest with many labels of long values; 64 KiB is far beyond what a client library writes.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// A page of garbage must not become as many messages: the rest is only counted.
const DIAGNOSTICS_MAX: usize = 50;
/// Families whose kind is remembered while a page is read; a page with more loses only the kinds of the rest.
const FAMILIES_MAX: usize = 50_000;

/// Something in a text that could not be used, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

/// A page as it was understood.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) samples: Vec<PageSample>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// How many lines could not be read, those without a diagnostic of their own included.
    pub(crate) lines_rejected: usize,
}

/// A sample, and what the page says around it.
#[derive(Debug)]
pub(crate) struct PageSample {
    pub(crate) sample: Sample,
    pub(crate) kind: Kind,
    pub(crate) stamp: Stamp,
}

/// How the values of a series may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Starts at zero and only grows: counters, and the parts of histograms and summaries that count.
    Counter,
    /// Anything else, or not known.
    Other,
}

/// Where the timestamp of a sample comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stamp {
    /// The moment of the scrape.
    Scrape,
    /// The page itself.
    Page,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    OpenMetrics,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Counter,
    Distribution,
    Other,
}

/// Reads a metrics page; samples without a timestamp of their own are stamped `now_ms`.
///
/// What cannot be read is left out and named in the diagnostics, at most 50 of them and one that counts the rest.
pub fn parse(page: &str, now_ms: i64) -> (Vec<Sample>, Vec<Diagnostic>) {
    let page = read(page, now_ms);
    (page.samples.into_iter().map(|read| read.sample).collect(), page.diagnostics)
}

/// Reads a metrics page and keeps what a store needs to know about each sample.
pub(crate) fn read(text: &str, now_ms: i64) -> Page {
    let format = if text.trim_end().ends_with("# EOF") { Format::OpenMetrics } else { Format::Text };
    let mut page = Page::default();
    let mut families: HashMap<&str, Family> = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_matches([' ', '\t', '\r']);
        if line.is_empty() {
            continue;
        }
        if let Some(comment) = line.strip_prefix('#') {
            if comment.trim() == "EOF" && format == Format::OpenMetrics {
                break;
            }
            if let Some((name, family)) = family(comment)
                && families.len() < FAMILIES_MAX
            {
                families.insert(name, family);
            }
            continue;
        }
        match sample(line, format, now_ms) {
            Ok((sample, stamp)) => {
                let kind = kind(sample.labels.metric_name().unwrap_or_default(), &families);
                page.samples.push(PageSample { sample, kind, stamp });
            }
            Err(malformed) => page.reject(index + 1, &malformed),
        }
    }
    page.close();
    page
}

// === impl Page ===

impl Page {
    fn reject(&mut self, line: usize, malformed: &Malformed) {
        self.lines_rejected += 1;
        if self.lines_rejected <= DIAGNOSTICS_MAX {
            self.diagnostics.push(Diagnostic { line, message: malformed.to_string() });
        }
    }

    fn close(&mut self) {
        let unnamed = self.lines_rejected.saturating_sub(DIAGNOSTICS_MAX);
        if let Some(last) = self.diagnostics.last()
            && unnamed > 0
        {
            let message = format!("{unnamed} more lines below could not be read");
            self.diagnostics.push(Diagnostic { line: last.line, message });
        }
    }
}

/// Reads what follows the `#` of a `# TYPE name kind` line.
fn family(comment: &str) -> Option<(&str, Family)> {
    let mut words = comment.split_ascii_whitespace();
    if words.next()? != "TYPE" {
        return None;
    }
    let name = words.next()?.trim_matches('"');
    let family = match words.next()? {
        "counter" => Family::Counter,
        "histogram" | "summary" => Family::Distribution,
        _ => Family::Other,
    };
    Some((name, family))
}

/// Tells the kind of a series from its name and the families declared so far. `_total` without any declaration
/// is a counter by convention.
fn kind(name: &str, families: &HashMap<&str, Family>) -> Kind {
    if let Some(family) = families.get(name) {
        return if *family == Family::Counter { Kind::Counter } else { Kind::Other };
    }
    if let Some(stem) = name.strip_suffix("_total") {
        return match families.get(stem) {
            Some(Family::Counter) | None => Kind::Counter,
            Some(_) => Kind::Other,
        };
    }
    let counted = ["_bucket", "_count", "_sum"]
        .iter()
        .filter_map(|suffix| name.strip_suffix(suffix))
        .any(|stem| families.get(stem) == Some(&Family::Distribution));
    if counted { Kind::Counter } else { Kind::Other }
}

fn sample(line: &str, format: Format, now_ms: i64) -> Result<(Sample, Stamp), Malformed> {
    if line.len() > LINE_BYTES_MAX {
        return Err(Malformed::Long(LINE_BYTES_MAX));
    }
    let (labels, rest): (Labels, &str) = line::series(line)?;
    let mut words = rest.split_ascii_whitespace();
    let value = words.next().ok_or_else(|| Malformed::NoValue(labels.clone()))?;
    let value: f64 = value.parse().map_err(|_| Malformed::Value(labels.clone(), value.to_owned()))?;
    let mut next = words.next();
    let mut at_ms = (now_ms, Stamp::Scrape);
    if let Some(word) = next
        && !word.starts_with('#')
    {
        let given =
            timestamp(word, format).ok_or_else(|| Malformed::Time(labels.clone(), word.to_owned()))?;
        at_ms = (given, Stamp::Page);
        next = words.next();
    }
    match next {
        Some(word) if !(format == Format::OpenMetrics && word.starts_with('#')) => {
            Err(Malformed::Trailing(labels, word.to_owned()))
        }
        _ => Ok((Sample { labels, at_ms: at_ms.0, value }, at_ms.1)),
    }
}

fn timestamp(word: &str, format: Format) -> Option<i64> {
    match format {
        Format::Text => word.parse().ok(),
        Format::OpenMetrics => {
            let seconds: f64 = word.parse().ok()?;
            let at_ms = (seconds * 1000.0).round();
            // A float reaches far beyond what a timestamp can hold.
            (at_ms.abs() < i64::MAX as f64).then_some(at_ms as i64)
        }
    }
}

#[cfg(test)]
mod tests;
