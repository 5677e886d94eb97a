//! Owns the form of a report: one typed document, which Markdown and HTML are rendered from and which is its own JSON.
//!
//! # Version 1
//!
//! Times are milliseconds since the Unix epoch, durations milliseconds. A reader passes over fields that it does
//! not know: a new field is optional, a change of meaning is a new version. A test holds the form.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::IncidentId;
use crate::record::{Captured, Output, RunbookPin, Withheld};
use crate::state::{State, StepState};

/// The version of the form.
pub(super) const VERSION: u32 = 1;

/// The report of one incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is what its name says; what is special is said at the field")]
pub struct Report {
    pub version: u32,
    pub id: IncidentId,
    pub title: String,
    pub procedure: String,
    pub state: State,
    /// Empty where the alert names none.
    pub server: String,
    pub alert: Option<Alert>,
    pub runbook: RunbookPin,
    pub opened_ms: i64,
    pub resolved_ms: Option<i64>,
    /// When it was rendered, where the incident was still open: later it says more.
    pub as_of_ms: Option<i64>,
    pub summary: String,
    /// The first sign of trouble: what the clocks count from.
    pub began_ms: i64,
    pub clocks: Vec<Clock>,
    pub response_time_ms: Option<u64>,
    pub phases: Vec<PhaseTime>,
    pub cause: Option<Cause>,
    pub timeline: Vec<Moment>,
    pub steps: Vec<StepReport>,
    pub not_run: Vec<NotRun>,
    pub errors: Vec<ErrorSeen>,
    pub changes: Vec<Change>,
    pub questions: Vec<Question>,
    pub notes: Vec<Note>,
    pub evidence: Vec<Captured>,
    /// What the record lacks.
    pub gaps: Vec<String>,
    /// What is not done.
    pub open_ends: Vec<String>,
    pub follow_ups: Vec<FollowUpReport>,
    /// None where the runbook could not be read back.
    pub duties: Option<Vec<DutyReport>>,
    /// Data that were damaged, and what became of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataRecovery>,
    /// The failed dependency that servers share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependency: Option<String>,
    /// Its alerts, where it is about several servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<TroubleReport>,
}

/// Data that were damaged, and what became of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is what its name says; what is special is said at the field")]
pub struct DataRecovery {
    pub detected_ms: i64,
    /// Between which two checks it began, in words.
    pub since: Option<String>,
    /// The damaged files, the first of them, in words.
    pub damaged: Vec<String>,
    pub more_damaged: u64,
    /// The backup that was put back.
    pub backup: Option<String>,
    /// How much of it, and where what was there before is kept, in words.
    pub restored: Option<String>,
    /// What was there and not in the backup, in words.
    pub loss: Option<String>,
    pub restored_ms: Option<i64>,
    /// When clients could work again, verified.
    pub recovered_ms: Option<i64>,
}

/// An alert of one of several servers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct TroubleReport {
    pub server: String,
    pub alert: String,
    pub over: bool,
}

/// The alert behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Alert {
    pub name: String,
    pub severity: String,
}

/// One clock; `None` is not yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Clock {
    /// `detected`, `acknowledged`, `diagnosed`, `mitigated` or `resolved`.
    pub name: String,
    pub after_ms: Option<i64>,
    pub by: Option<String>,
}

/// How long a phase took, against its window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct PhaseTime {
    pub run: u32,
    pub title: String,
    /// When it is due, in seconds after the opening; an absent end is an open one.
    pub window: Option<(u64, Option<u64>)>,
    pub started_ms: Option<i64>,
    pub ended_ms: Option<i64>,
    /// By how much it is over its window, in milliseconds; 0 is within.
    pub over_ms: Option<u64>,
    /// The same for people.
    pub words: String,
}

/// What the findings point to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Cause {
    /// None where none stands out.
    pub name: Option<String>,
    pub why: Vec<String>,
    pub findings: Vec<String>,
}

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Moment {
    pub at_ms: i64,
    pub after_ms: i64,
    pub what: String,
}

/// One step, with what was executed in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct StepReport {
    pub run: u32,
    pub number: u32,
    pub title: String,
    pub phase: String,
    pub state: StepState,
    pub reason: String,
    pub started_ms: i64,
    pub ended_ms: Option<i64>,
    pub commands: Vec<Command>,
}

/// One execution of a statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Command {
    pub unit: String,
    pub attempt: u32,
    pub statement: String,
    /// The values that it read.
    pub values: BTreeMap<String, String>,
    pub effect: String,
    pub at_ms: i64,
    /// How it ended, for people; none where that is not known.
    pub end: Option<String>,
    pub exit_code: Option<i32>,
    pub took_ms: Option<u64>,
    /// Where it ran on in the background, with all that it printed there.
    pub stdout: Option<Output>,
    pub stderr: Option<Output>,
    /// What became of its background jobs, for people, where it left some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
}

/// A statement that was not run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct NotRun {
    pub at_ms: i64,
    pub run: u32,
    pub unit: String,
    pub statement: String,
    pub reason: String,
    /// What policy would have done with it, where it was policy that kept it.
    pub withheld: Option<Withheld>,
}

/// An error message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct ErrorSeen {
    pub at_ms: i64,
    /// Who said it.
    pub source: String,
    pub text: String,
}

/// Something that was changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Change {
    pub at_ms: i64,
    pub by: String,
    pub what: String,
    pub values: Option<Values>,
    pub undone_ms: Option<i64>,
}

/// The value before a change and the one after it; `None` is no value at all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Values {
    pub old: Option<String>,
    pub new: Option<String>,
}

/// A question to people, with all that came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Question {
    pub at_ms: i64,
    pub run: u32,
    pub unit: String,
    pub statement: String,
    pub effect: String,
    pub reason: String,
    /// How many people have to say yes.
    pub people: u32,
    pub answers: Vec<Answer>,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Answer {
    pub at_ms: i64,
    /// `yes`, `no`, `expired` or `void`.
    pub answer: String,
    pub by: Option<String>,
    pub reason: String,
    pub values: BTreeMap<String, String>,
}

/// What a person wrote down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Note {
    pub at_ms: i64,
    pub by: String,
    pub text: String,
    /// The duty that it meets, where it says so.
    pub duty: Option<u32>,
}

/// What has to be done when it is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct FollowUpReport {
    pub number: u32,
    pub text: String,
    pub by: String,
    pub done_ms: Option<i64>,
    pub done_by: Option<String>,
    pub note: Option<String>,
}

/// A documentation duty of the procedure, and whether it is met.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct DutyReport {
    /// From 1, in the order of the runbook.
    pub number: u32,
    /// The line of the runbook, verbatim.
    pub text: String,
    pub met: bool,
    pub why: String,
}
