//! Owns what the records say of one unit: its question and answer, its last intent and outcome.

use std::collections::BTreeMap;

use crate::record::{ApprovalEnd, Output, Record, UnitEnd, UnitRef, WatchEnd};

/// So many digits of a binding name a question: nobody finds another one with them by chance.
const MARK_DIGITS: usize = 12;

/// A unit as the records tell it.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct UnitView {
    pub statement: String,
    /// Why it was not run, where it was not.
    pub skipped: Option<String>,
    /// The question that is open.
    pub asked: Option<Asked>,
    /// The answer that stands.
    pub approved: Option<Approved>,
    /// How the last question came to nothing.
    pub refused: Option<(ApprovalEnd, String)>,
    /// The last intent.
    pub intent: Option<Intended>,
    /// The outcome of the last intent.
    pub outcome: Option<Ended>,
    /// What `verify` found: `None` inside is good.
    pub verified: Option<Option<String>>,
    /// The watch that begins with it.
    pub watch: Option<Watched>,
    /// How it ended in the last round of a watch that is known.
    pub looked: Option<(UnitEnd, String)>,
    /// What takes it back, by its author.
    pub undo: Option<String>,
}

/// A watch.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Watched {
    pub started_ms: i64,
    pub limit_ms: u64,
    pub ended: Option<(WatchEnd, String)>,
}

/// An open question.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Asked {
    pub binding: String,
    pub effect: String,
    pub reason: String,
    pub missing: Vec<String>,
    pub expires_ms: i64,
    /// How many people have to say yes.
    pub people: u32,
    /// The first yes of two.
    pub first: Option<(String, BTreeMap<String, String>)>,
}

// === impl Asked ===

impl Asked {
    /// What names it to whoever answers: as much of its binding as can be typed.
    pub fn mark(&self) -> &str {
        self.binding.get(..MARK_DIGITS).unwrap_or(&self.binding)
    }
}

/// A yes.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Approved {
    pub by: String,
    pub binding: String,
    pub values: BTreeMap<String, String>,
    pub expires_ms: i64,
    /// Why it allows no further attempt, where it does not. The values are still those of the attempt before.
    pub void: Option<String>,
}

/// An intent.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Intended {
    pub attempt: u32,
    pub effect: String,
    pub folder: String,
    pub at_ms: i64,
}

/// An outcome.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Ended {
    pub end: UnitEnd,
    pub meaning: String,
    pub started_ms: Option<i64>,
    pub finished_ms: Option<i64>,
    pub stdout: Option<Output>,
    pub stderr: Option<Output>,
}

// === impl UnitView ===

impl UnitView {
    pub(super) fn apply(&mut self, at_ms: i64, record: &Record) {
        match record {
            Record::UnitSkipped { statement, reason, .. } => {
                self.statement.clone_from(statement);
                self.skipped = Some(reason.clone());
            }
            Record::ApprovalAsked {
                statement, effect, reason, binding, missing, expires_ms, people, ..
            } => {
                self.statement.clone_from(statement);
                self.refused = None;
                self.approved = None;
                self.asked = Some(Asked {
                    binding: binding.clone(),
                    effect: effect.clone(),
                    reason: reason.clone(),
                    missing: missing.clone(),
                    expires_ms: *expires_ms,
                    people: people.unwrap_or(1),
                    first: None,
                });
            }
            Record::Approved { by, values, .. } if self.waits_for_another() => self.take_first(by, values),
            Record::Approved { by, binding, values, .. } => {
                let asked = self.asked.take();
                let expires_ms = asked.as_ref().map_or(0, |asked| asked.expires_ms);
                let first = asked.and_then(|asked| asked.first);
                let by = first.map_or(by.clone(), |(first, _)| format!("{first} and {by}"));
                let (binding, values) = (binding.clone(), values.clone());
                self.approved = Some(Approved { by, binding, values, expires_ms, void: None });
            }
            Record::ApprovalEnded { end, reason, .. } => {
                self.asked = None;
                self.approved = None;
                self.refused = Some((*end, reason.clone()));
            }
            Record::Intent { attempt, statement, effect, folder, .. } => {
                self.statement.clone_from(statement);
                self.outcome = None;
                self.intent = Some(Intended {
                    attempt: *attempt,
                    effect: effect.clone(),
                    folder: folder.clone(),
                    at_ms,
                });
            }
            Record::Outcome { end, meaning, started_ms, finished_ms, stdout, stderr, .. } => {
                self.outcome = Some(Ended {
                    end: end.clone(),
                    meaning: meaning.clone(),
                    started_ms: *started_ms,
                    finished_ms: *finished_ms,
                    stdout: stdout.clone(),
                    stderr: stderr.clone(),
                });
            }
            Record::UnitVerified { problem, .. } => self.verified = Some(problem.clone()),
            Record::WatchStarted { limit_ms, .. } => {
                self.watch = Some(Watched { started_ms: at_ms, limit_ms: *limit_ms, ended: None });
            }
            Record::WatchChanged { end, meaning, .. } => self.looked = Some((end.clone(), meaning.clone())),
            Record::WatchEnded { end, reason, .. } => {
                if let Some(watch) = &mut self.watch {
                    watch.ended = Some((*end, reason.clone()));
                }
            }
            Record::UndoKept { statement, .. } => self.undo = Some(statement.clone()),
            _ => {}
        }
    }
}

pub(super) fn unit_of(record: &Record) -> Option<&UnitRef> {
    match record {
        Record::UnitSkipped { unit, .. }
        | Record::ApprovalAsked { unit, .. }
        | Record::Approved { unit, .. }
        | Record::ApprovalEnded { unit, .. }
        | Record::Intent { unit, .. }
        | Record::Outcome { unit, .. }
        | Record::BackgroundEnded { unit, .. }
        | Record::UnitVerified { unit, .. }
        | Record::WatchStarted { unit, .. }
        | Record::WatchChanged { unit, .. }
        | Record::WatchEnded { unit, .. }
        | Record::UndoKept { unit, .. } => Some(unit),
        _ => None,
    }
}
