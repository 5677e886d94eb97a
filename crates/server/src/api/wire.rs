//! Owns the JSON forms of the API.

mod traces;

use std::collections::BTreeMap;

use incident::change::Change;
use incident::{Control, Incident, IncidentId, Record, State, UnitEnd, Word};
use process::control::Package;
use serde::{Deserialize, Serialize};

pub use traces::{TraceQuestion, TraceSummary};

use crate::tokens::Token;

/// An incident in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    /// Its name.
    pub id: IncidentId,
    /// Where it stands.
    pub state: State,
    /// The server; empty where the alert names none.
    pub server: String,
    /// The title of the procedure.
    pub title: String,
    /// What was wrong.
    pub summary: String,
    /// When it was opened, in milliseconds since the Unix epoch.
    pub opened_ms: i64,
    /// When it was resolved.
    pub resolved_ms: Option<i64>,
    /// The units that wait for a person's word.
    pub waiting: Vec<String>,
    /// Why a person is needed, where one is.
    pub person_needed: Option<String>,
    /// Who leads it.
    pub control: Control,
    /// How many follow-ups are open.
    pub follow_ups: usize,
    /// The other servers that it is about.
    #[serde(default)]
    pub members: Vec<String>,
    /// Why it counts as flapping, where it does.
    #[serde(default)]
    pub flapping: Option<String>,
}

/// An alert that is pending, fires, or was resolved a short time ago.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AlertStatus {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: metrics::AlertState,
    /// The server that it names.
    pub server: String,
    /// Since when it stands so, in milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// The last value of its element; none where that is no number.
    pub value: Option<f64>,
    /// All labels.
    pub labels: metrics::Labels,
    /// The fingerprint of the labels.
    pub fingerprint: String,
    /// The numbers of the silences that it falls under.
    pub silenced_by: Vec<u32>,
    /// The name of the alert beside which it says nothing new, where one fires.
    pub inhibited_by: Option<String>,
    /// Who tells of it: `runbooks`, the rule file that has its rule, or another system.
    #[serde(default)]
    pub from: String,
    /// Why it opens no incident, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens_nothing: Option<String>,
}

/// A silence, and where it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SilenceStatus {
    /// Where it stands.
    pub state: metrics::SilenceState,
    /// The silence.
    pub silence: metrics::Silence,
}

/// A silence that a person adds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddSilence {
    /// All of them have to match.
    pub matchers: Vec<metrics::Matcher>,
    /// When it begins, in milliseconds since the Unix epoch.
    pub starts_ms: i64,
    /// When it is over, in milliseconds since the Unix epoch.
    pub ends_ms: i64,
    /// Who.
    pub by: String,
    /// Why.
    pub comment: String,
    /// Whether it may be about nearly everything.
    #[serde(default)]
    pub force: bool,
}

/// An incident whole: its records, from which everything else follows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Detail {
    /// Its name.
    pub id: IncidentId,
    /// What happened, in order.
    pub timeline: Vec<Happened>,
}

/// A record with its time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Happened {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// What.
    pub record: Record,
}

/// In which form a report is asked for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The form.
    #[serde(default)]
    pub format: ReportFormat,
}

/// The forms of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportFormat {
    /// For people, as text.
    #[default]
    Markdown,
    /// For people, as a page.
    Html,
    /// For programs.
    Json,
}

/// From where on an incident is watched.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// How many of its records are known already.
    #[serde(default)]
    pub after: usize,
}

/// Who acts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct By {
    /// The name of a person, or of the step of a runbook.
    pub by: String,
}

/// What a person says to an incident.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Say {
    /// Who.
    pub by: String,
    /// What.
    pub say: Word,
}

/// An incident that a person opens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// The server.
    pub server: String,
    /// The procedure: its id, title or alert.
    pub procedure: String,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A yes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// The unit, for example `6.1`.
    pub unit: String,
    /// Who says so.
    pub by: String,
    /// The question that they have read: the beginning of its `binding`, eight digits at least. A yes to another one than
    /// is open is refused.
    pub question: String,
    /// Values of parameters that were missing.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
}

/// A no.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reject {
    /// The unit.
    pub unit: String,
    /// Who says so.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// An order to a server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Makes it idempotent: the same key is carried out once.
    pub key: String,
    /// Who gives it.
    pub by: String,
}

/// How a server is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Its name.
    pub name: String,
    /// `ready`, `starting`, `installing`, `exited`, `failed`, `stopped`, `no guard`, `upstream`, `absent` or
    /// `unknown`.
    pub phase: String,
    /// What the last probe said: `healthy`, `degraded`, `unhealthy` or `unknown`.
    pub health: String,
    /// In words.
    pub reason: String,
    /// Where clients connect.
    pub endpoint: String,
    /// `configuration`, `unit`, `upstream` or `client`.
    pub source: String,
    /// Who restarts it: `serve`, `systemd`, `upstream` or `client`.
    pub restart_owner: String,
    /// The package that is really run, where that is known.
    #[serde(default)]
    pub package: Option<Package>,
    /// Its process.
    pub pid: Option<i32>,
    /// The process of its guard.
    pub guard_pid: Option<i32>,
    /// How often its guard has started it.
    pub starts: Option<u64>,
    /// How its last process ended.
    pub last_exit: Option<String>,
    /// When that was, in milliseconds since the Unix epoch.
    pub last_exit_ms: Option<i64>,
    /// Its last words on standard error.
    pub stderr: Vec<String>,
    /// Who stopped it, where a person did.
    pub stopped_by: Option<String>,
    /// What operators have laid down that clients notice.
    #[serde(default)]
    pub restriction: Option<String>,
    /// Whether its guard runs with other arguments than the configuration has for it now.
    #[serde(default)]
    pub outdated: bool,
}

/// What an order brought about.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Done {
    /// The server as it is now.
    pub server: ServerStatus,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Whether anything was done: its owner may have restarted it by itself already.
    pub anew: bool,
}

/// A token that was just made.
#[derive(Clone, Serialize, Deserialize)]
pub struct NewToken {
    /// What is known of it.
    pub token: Token,
    /// Its word, which is shown this once.
    pub word: String,
}

/// Something to be taken back.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// Who says so.
    pub by: String,
    /// What: a unit, for example `6.1`, or a change, for example `c1`.
    pub what: String,
}

/// What came of taking it back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Undone {
    /// The unit that did so.
    pub unit: String,
    /// Whether it ended as expected.
    pub done: bool,
    /// How it ended, in words.
    pub outcome: String,
    /// What it printed, or the beginning and end of that.
    pub printed: String,
}

/// What a person has changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// Who.
    pub by: String,
    /// The server that it is about; none where it is the machine.
    pub server: Option<String>,
    /// What.
    pub change: Change,
}

/// The health of `serve` itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Health {
    /// `healthy`, `unhealthy`, or `degraded` where a runbook is not used, or another engine does not answer.
    pub status: String,
    /// What is wrong.
    pub reason: String,
    /// Servers watched.
    pub servers: usize,
    /// Incidents that are open.
    pub open_incidents: usize,
}

/// What went wrong with a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Problem {
    /// In words, with what to do next.
    pub error: String,
}

// === impl Summary ===

impl From<&Incident> for Summary {
    fn from(incident: &Incident) -> Self {
        Self {
            id: incident.id.clone(),
            state: incident.state,
            server: incident.server.clone(),
            title: incident.title.clone(),
            summary: incident.alarm.summary.clone(),
            opened_ms: incident.opened_ms,
            resolved_ms: incident.resolved_ms,
            waiting: incident.open_questions().map(|(unit, ..)| unit.unit.clone()).collect(),
            person_needed: incident.person_needed.clone(),
            control: incident.control,
            follow_ups: incident.follow_ups.iter().filter(|one| one.done.is_none()).count(),
            members: incident.members().map(str::to_owned).collect(),
            flapping: incident.flapping.clone(),
        }
    }
}

// === impl Undone ===

impl From<incident::Undone> for Undone {
    fn from(undone: incident::Undone) -> Self {
        let done = undone.end == (UnitEnd::Exited { code: 0 });
        Self { unit: undone.unit.unit, done, outcome: undone.outcome, printed: undone.printed }
    }
}

// === impl AddSilence ===

impl AddSilence {
    /// The silence, and whether it may be about nearly everything.
    pub fn into_parts(self) -> (metrics::Silence, metrics::Breadth) {
        let Self { matchers, starts_ms, ends_ms, by: created_by, comment, force } = self;
        let breadth = if force { metrics::Breadth::Any } else { metrics::Breadth::Narrow };
        (metrics::Silence { number: 0, matchers, starts_ms, ends_ms, created_by, comment }, breadth)
    }
}

// === impl Detail ===

impl Detail {
    /// The incident that its records tell of.
    pub fn fold(&self) -> Option<Incident> {
        Incident::fold(&self.id, self.timeline.iter().map(|happened| (happened.at_ms, &happened.record)))
    }
}

impl From<Incident> for Detail {
    fn from(incident: Incident) -> Self {
        let happened = |(at_ms, record)| Happened { at_ms, record };
        Self { id: incident.id, timeline: incident.timeline.into_iter().map(happened).collect() }
    }
}
