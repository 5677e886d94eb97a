//! Owns what is written down of a unit's end: its meaning, its output in the blob store and an excerpt for readers.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use runbook::Unit;

use super::walk::Walk;
use super::{Engine, EngineError};
use crate::fold::Ended;
use crate::record::{Output, Record, UnitEnd, UnitRef};
use crate::world::World;

/// How much of an output a reader of the timeline gets from its beginning, and as much from its end, in bytes.
const EXCERPT_HALF: usize = 2_048;

/// The largest blob that is read back, in bytes.
pub(super) const BLOB_BYTES_MAX: u64 = 64 * 1024 * 1024;

impl<W: World> Engine<W> {
    /// Writes down how a unit ended that ran.
    pub(super) async fn note_outcome(
        &self,
        walk: &Walk<'_>,
        named: &UnitRef,
        unit: &Unit,
        attempt: u32,
        folder: &Path,
        outcome: &runner::Outcome,
    ) -> Result<Ended, EngineError> {
        self.note_findings(walk, named, unit, folder).await?;
        self.note_changes(walk.id, named, unit, folder).await?;
        let ended = self.ended(unit, folder, outcome);
        let ended = self.note(walk, named, attempt, ended, outcome.background_ms).await?;
        self.mind_jobs(walk.id).await?;
        Ok(ended)
    }

    /// What is to be known of a unit that ran, with its output in the blob store.
    pub(super) fn ended(&self, unit: &Unit, folder: &Path, outcome: &runner::Outcome) -> Ended {
        let end = end_of(outcome);
        let (stdout, stderr) = self.keep_printed(folder, outcome);
        Ended {
            meaning: meaning(unit, &end),
            end,
            started_ms: Some(outcome.started_ms),
            finished_ms: Some(outcome.finished_ms),
            stdout,
            stderr,
        }
    }

    /// Keeps what a unit printed until it ended, to standard output and to standard error: its jobs go on printing.
    pub(super) fn keep_printed(
        &self,
        folder: &Path,
        outcome: &runner::Outcome,
    ) -> (Option<Output>, Option<Output>) {
        let keep = |name, bytes| self.keep(&folder.join(name), bytes, outcome.truncated);
        (keep(runner::STDOUT, outcome.stdout_bytes), keep(runner::STDERR, outcome.stderr_bytes))
    }

    /// Writes down how a unit ended of which nothing else is known.
    pub(super) async fn note_end(
        &self,
        walk: &Walk<'_>,
        named: &UnitRef,
        attempt: u32,
        end: UnitEnd,
    ) -> Result<Ended, EngineError> {
        let (meaning, started_ms, finished_ms, stdout, stderr) = (String::new(), None, None, None, None);
        let ended = Ended { end, meaning, started_ms, finished_ms, stdout, stderr };
        self.note(walk, named, attempt, ended, None).await
    }

    pub(super) async fn note(
        &self,
        walk: &Walk<'_>,
        named: &UnitRef,
        attempt: u32,
        ended: Ended,
        background_ms: Option<u64>,
    ) -> Result<Ended, EngineError> {
        let record = Record::Outcome {
            unit: named.clone(),
            attempt,
            end: ended.end.clone(),
            meaning: ended.meaning.clone(),
            started_ms: ended.started_ms,
            finished_ms: ended.finished_ms,
            stdout: ended.stdout.clone(),
            stderr: ended.stderr.clone(),
            background_ms,
        };
        self.record(walk.id, record).await?;
        Ok(ended)
    }

    /// Keeps the beginning of an output; an empty one is none. What cannot be kept is told of, and stays in its file.
    pub(super) fn keep(&self, path: &Path, bytes_max: u64, truncated: bool) -> Option<Output> {
        let mut bytes = Vec::new();
        File::open(path).ok()?.take(bytes_max).read_to_end(&mut bytes).ok()?;
        if bytes.is_empty() {
            return None;
        }
        match self.inner.blobs.put(&bytes) {
            Ok(kept) => Some(Output {
                sha256: kept.sha256.to_string(),
                bytes: kept.bytes,
                excerpt: excerpt(&bytes),
                truncated,
            }),
            Err(error) => {
                tracing::error!(path = %path.display(), error = %crate::error_chain(&error), "an output could not be kept");
                None
            }
        }
    }

    pub(super) fn read_blob(&self, sha256: &str) -> Option<Vec<u8>> {
        self.inner.blobs.read(sha256.parse().ok()?, BLOB_BYTES_MAX).ok()
    }
}

/// How a runner says that its unit ended.
pub(super) fn end_of(outcome: &runner::Outcome) -> UnitEnd {
    match &outcome.end {
        runner::End::Exited(code) => UnitEnd::Exited { code: *code },
        runner::End::Signaled(signal) => UnitEnd::Signaled { signal: *signal },
        runner::End::TimedOut => UnitEnd::TimedOut {},
        runner::End::NotStarted(reason) => UnitEnd::NotStarted { reason: reason.clone() },
    }
}

/// What a known exit code of the unit's program says; empty where nothing is known.
pub(super) fn meaning(unit: &Unit, end: &UnitEnd) -> String {
    let UnitEnd::Exited { code } = end else { return String::new() };
    let Some(program) = &unit.program else { return String::new() };
    match runbook::exits::meaning(program, *code) {
        runbook::exits::Meaning::Answer(what) => what.to_owned(),
        _ => String::new(),
    }
}

/// The beginning and the end of an output as text, without control characters that could play with a terminal.
fn excerpt(bytes: &[u8]) -> String {
    let clean = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes)
            .chars()
            .filter(|letter| *letter == '\n' || *letter == '\t' || !letter.is_control())
            .collect::<String>()
    };
    if bytes.len() <= 2 * EXCERPT_HALF {
        return clean(bytes);
    }
    let left_out = bytes.len() - 2 * EXCERPT_HALF;
    format!(
        "{}\n… {left_out} bytes left out …\n{}",
        clean(&bytes[..EXCERPT_HALF]),
        clean(&bytes[bytes.len() - EXCERPT_HALF..])
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_has_both_ends_and_no_escapes() {
        assert_eq!(excerpt(b"ok\n\x1b[31mred"), "ok\n[31mred");
        let long = [b"a".repeat(3000), b"z".repeat(3000)].concat();
        let shown = excerpt(&long);
        assert!(shown.starts_with("aaa") && shown.ends_with("zzz") && shown.contains("1904 bytes left out"));
    }
}
