//! Owns the runner for PromQL cases in the format that Prometheus tests itself with.
//!
//! `load` series, `eval` a query, say what to expect, `clear`. Each case at one moment is evaluated a second time as
//! the middle step of a range query, and has to yield the same.

mod check;
mod durations;
mod format;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use check::Verdict;
use format::Command;
use metrics::{Limits, Store};

const LIMITS: Limits =
    Limits { retention_ms: i64::MAX, series_max: 100_000, samples_per_series_max: 1_000_000 };

/// What became of some cases.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) passed: usize,
    pub(crate) total: usize,
    /// Cases that do not hold, with the reason.
    failed: Vec<String>,
    /// Cases that need native histograms, which do not exist here.
    refused: Vec<String>,
    /// Cases that hold but for a remark that only a native histogram could cause.
    noted: Vec<String>,
}

/// Runs every case of the files `*.test` of a folder, in the order of their names.
pub(crate) fn run_folder(folder: &Path) -> Result<Report, String> {
    let failed = |error: std::io::Error| format!("cannot read `{}`: {error}", folder.display());
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        files.push(entry.map_err(failed)?.path());
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    files.sort();
    let mut report = Report::default();
    for file in files {
        let text = fs::read_to_string(&file).map_err(failed)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        report.add(run_text(&name, &text)?);
    }
    Ok(report)
}

/// Runs every case of one file; fails, with its name and a line, if it is not one.
pub(crate) fn run_text(name: &str, text: &str) -> Result<Report, String> {
    let commands = format::read(text).map_err(|(line, reason)| format!("{name}:{line}: {reason}"))?;
    let mut report = Report::default();
    let mut store = Store::new(LIMITS);
    let mut native = false;
    for command in commands {
        match command {
            Command::Clear => (store, native) = (Store::new(LIMITS), false),
            Command::Load { line, samples, has_native } => {
                native |= has_native;
                for sample in samples {
                    let added = store.append(&sample.labels, sample.at_ms, sample.value);
                    added.map_err(|error| format!("{name}:{line}: {error}"))?;
                }
            }
            Command::Eval(eval) => {
                report.total += 1;
                let say = |reason: String| format!("{name}:{}: `{}`: {reason}", eval.line, eval.query);
                match check::check(&store, &eval, native) {
                    Verdict::Holds => report.passed += 1,
                    Verdict::HoldsButFor(reason) => {
                        report.passed += 1;
                        report.noted.push(say(reason));
                    }
                    Verdict::Fails(reason) => report.failed.push(say(reason)),
                    Verdict::Refused(reason) => report.refused.push(say(reason)),
                }
            }
        }
    }
    Ok(report)
}

// === impl Report ===

impl Report {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.total += other.total;
        self.failed.extend(other.failed);
        self.refused.extend(other.refused);
        self.noted.extend(other.noted);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, all) in [("failed", &self.failed), ("refused", &self.refused), ("note", &self.noted)] {
            for one in all {
                writeln!(f, "{kind}: {one}")?;
            }
        }
        write!(f, "passed {} of {}", self.passed, self.total)
    }
}
