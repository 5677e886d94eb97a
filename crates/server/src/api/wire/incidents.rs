//! Owns the forms of incidents: in lists, whole, and what people say to them.

use std::collections::BTreeMap;

use incident::{Control, Incident, IncidentId, Record, State, UnitEnd, Word};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schemas;

/// An incident in a list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Its name.
    #[schemars(with = "String")]
    pub id: IncidentId,
    /// Where it stands.
    pub state: State,
    /// The server; empty where the alert names none.
    pub server: String,
    /// The title of the procedure.
    pub title: String,
    /// What was wrong.
    pub summary: String,
    /// How bad it is, by its alert: `critical`, `warning` or `info`; none where nobody has said so.
    #[serde(default)]
    pub severity: Option<String>,
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

/// Which incidents are wanted, the oldest first: those that are all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IncidentQuestion {
    /// About this server, alone or among others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// That stand so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// That are open, or over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// This bad.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Opened at this moment or later, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    /// So many at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// Where to go on: what `Link` (`rel="next"`) of the answer before has, as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 600))]
    pub cursor: Option<String>,
}

/// How bad an incident is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Someone has to act now.
    Critical,
    /// Someone should look during the day.
    Warning,
    /// For the record.
    Info,
}

/// An incident whole: its records, from which everything else follows.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Detail {
    /// Its name.
    #[schemars(with = "String")]
    pub id: IncidentId,
    /// What happened, in order.
    pub timeline: Vec<Happened>,
}

/// A record with its time.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Happened {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// What.
    #[schemars(schema_with = "schemas::record")]
    pub record: Record,
}

/// In which form a report is asked for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The form.
    #[serde(default)]
    pub format: ReportFormat,
}

/// The forms of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// How many of its records are known already.
    #[serde(default)]
    pub after: usize,
}

/// What a person says to an incident.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Say {
    /// Who.
    pub by: String,
    /// What.
    pub say: Word,
}

/// An incident that a person opens.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reject {
    /// The unit.
    pub unit: String,
    /// Who says so.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Something to be taken back.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// Who says so.
    pub by: String,
    /// What: a unit, for example `6.1`, or a change, for example `c1`.
    pub what: String,
}

/// What came of taking it back.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
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

// === impl Severity ===

impl Severity {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

// === impl IncidentQuestion ===

impl IncidentQuestion {
    /// Whether an incident is one of those.
    pub fn is_about(&self, one: &Summary) -> bool {
        let is_of = |server: &String| one.server == *server || one.members.contains(server);
        self.server.as_ref().is_none_or(is_of)
            && self.state.is_none_or(|state| one.state == state)
            && self.open.is_none_or(|open| one.state.is_open() == open)
            && self.severity.is_none_or(|severity| one.severity.as_deref() == Some(severity.name()))
            && self.since_ms.is_none_or(|since_ms| one.opened_ms >= since_ms)
    }
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
            severity: incident.alarm.alert.as_ref().map(|alert| alert.severity.clone()),
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
