//! Owns what records are made of: alarms, steps, units, outputs, and the ways in which things end.

use std::collections::BTreeMap;

use process::control::OutOfMemory;
use serde::{Deserialize, Serialize};

/// Why an incident was opened, as it was known at that moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Who noticed.
    pub source: Source,
    /// One sentence for people: what is wrong, with the ending of the process or the words of the probe.
    pub summary: String,
    /// The alert, where a rule stands behind it.
    pub alert: Option<AlertFacts>,
    /// The end of the process, where one stands behind it.
    pub exit: Option<ExitFacts>,
}

/// Who noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A process ended.
    Exit,
    /// A rule fired on samples.
    Rule,
    /// Another system told of an alert.
    Inbound,
    /// The server was asked, and did not answer.
    Probe,
    /// A person follows the runbook by hand.
    Person,
    /// A person opened it, and the machine carries it out.
    Operator,
}

/// An alert, as far as an incident keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertFacts {
    /// The alert's name.
    pub name: String,
    /// `critical`, `warning` or `info`.
    pub severity: String,
    /// All labels.
    pub labels: BTreeMap<String, String>,
    /// The fingerprint of the labels, 16 hexadecimal digits.
    pub fingerprint: String,
    /// When the condition was first seen, in milliseconds since the Unix epoch.
    pub started_ms: i64,
}

/// The label by which an alert names what a server needs and does not get.
const DEPENDENCY_LABEL: &str = "dependency_name";

// === impl Alarm ===

impl Alarm {
    /// The name of what a server needs and does not get, where the alarm is about that.
    pub fn dependency(&self) -> Option<&str> {
        let labels = &self.alert.as_ref()?.labels;
        labels.get(DEPENDENCY_LABEL).map(String::as_str).filter(|name| !name.is_empty())
    }
}

/// The end of a process, as far as an incident keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExitFacts {
    /// The process that ended.
    pub pid: Option<i32>,
    /// How: "killed by SIGKILL", "exited with code 1", or why it could not be started.
    pub reason: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// How long it had run, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uptime_ms: Option<u64>,
    /// Its last words on standard error.
    pub stderr: Vec<String>,
    /// That the kernel ended it for want of memory, where that is certain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_of_memory: Option<OutOfMemory>,
}

/// The version of the runbook that an incident follows to its end, whatever happens to the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunbookPin {
    /// Where it was read from.
    pub name: String,
    /// The SHA-256 of its bytes, under which the blob store keeps a copy.
    pub sha256: String,
}

/// A piece of evidence in the blob store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Captured {
    /// What it is, for example `host snapshot`.
    pub what: String,
    /// One line on its contents.
    pub summary: String,
    /// The SHA-256 of its bytes; absent where it could not be kept, with the reason in `problem`.
    pub sha256: Option<String>,
    /// Its size.
    pub bytes: u64,
    /// How long it took.
    pub took_ms: u64,
    /// Why it is missing or incomplete: a gap is a fact too.
    pub problem: Option<String>,
}

/// A step of a procedure in one run of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The run, from 1.
    pub run: u32,
    /// The number in the document.
    pub number: u32,
    /// Its title.
    pub title: String,
    /// The title of its phase.
    pub phase: String,
}

/// A unit of a procedure in one run of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnitRef {
    /// The run, from 1.
    pub run: u32,
    /// The unit's name in the procedure, for example `6.1`.
    pub unit: String,
}

/// How a unit ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
#[expect(missing_docs, reason = "each field is what its name says")]
pub enum UnitEnd {
    /// It ran and exited.
    Exited { code: i32 },
    /// A signal ended it.
    Signaled { signal: i32 },
    /// It ran out of time and was ended.
    TimedOut {},
    /// It was never started.
    NotStarted { reason: String },
    /// Paramedic died while it ran, and what it did is not known.
    Interrupted {},
    /// Paramedic died while it ran, and what it was to bring about holds.
    DoneByEvidence { condition: String },
}

/// What a unit printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The SHA-256 under which the blob store keeps it.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// Its beginning and end, for the reader.
    pub excerpt: String,
    /// Whether more was printed than is kept.
    pub truncated: bool,
}

/// How a watch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchEnd {
    /// What it waited for holds.
    Held,
    /// It lasted as long as it was to last, and its last look was as expected.
    Over,
    /// The same, and its last look was not.
    Unexpected,
    /// What it waited for did not hold in time.
    NotWithin,
    /// A person ended the machine's part.
    CutShort,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepEnd {
    /// Everything in it ran as expected.
    Succeeded,
    /// Something in it did not.
    Failed,
    /// Nothing in it was run.
    Skipped,
}

/// Why an approval came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalEnd {
    /// A person said no.
    Rejected,
    /// Nobody answered in time.
    Expired,
    /// The world has changed, so that the question is another one.
    Void,
}
