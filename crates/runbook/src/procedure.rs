//! Owns runbooks and procedures: the answer to one alert, phase by phase, and what it has to be told.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::duration::{Window, serialize_ms};
use crate::front::FrontMatter;
use crate::shell::is_own_variable;
use crate::step::{Step, Unit};

/// A document that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Runbook {
    /// The name it was given, usually of its file.
    pub name: String,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// What it says about itself.
    pub front: FrontMatter,
    /// Its procedures, in order.
    pub procedures: Vec<Procedure>,
    /// The titles of its other sections, which are only read.
    pub reference: Vec<String>,
}

/// The answer to one alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Procedure {
    /// Its title as a slug, unique in the runbook.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Line of its heading in the document, from 1.
    pub line: usize,
    /// The alert that it answers.
    pub alert: Option<AlertSpec>,
    /// Its phases, in order.
    pub phases: Vec<Phase>,
    /// When to call for more people; inherited where it names none itself. [`Procedure::criteria`] reads them.
    #[serde(serialize_with = "crate::escalation::serialize")]
    pub escalation: Vec<String>,
    /// What has to be written down; inherited where it names none itself.
    pub duties: Vec<String>,
}

/// An alert as a runbook specifies it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlertSpec {
    /// Its name.
    pub name: String,
    /// How bad it is.
    pub severity: Severity,
    /// How soon someone has to be at it.
    #[serde(rename = "response_time_ms", serialize_with = "serialize_ms")]
    pub response_time: Option<Duration>,
    /// The PromQL query that fires it.
    pub query: Option<String>,
    /// How long the query has to hold before it fires.
    #[serde(rename = "for_ms", serialize_with = "serialize_ms")]
    pub for_: Option<Duration>,
    /// How long it goes on firing when the query no longer holds.
    #[serde(rename = "keep_firing_for_ms", serialize_with = "serialize_ms")]
    pub keep_firing_for: Option<Duration>,
    /// Names of alerts that say nothing new while this one fires.
    pub inhibits: Vec<String>,
    /// Whom to call: a name from the front matter.
    pub contact: Option<String>,
}

/// How bad an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For the record.
    Info,
    /// Someone should look during the day.
    Warning,
    /// Someone has to act now.
    Critical,
}

/// A part of a procedure with its own time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Phase {
    /// Its title, without the window.
    pub title: String,
    /// When it is due, counted from the beginning of the incident.
    pub window: Option<Window>,
    /// Its steps, in order.
    pub steps: Vec<Step>,
}

/// A value that a procedure has to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// The name of the variable.
    pub name: String,
    /// Line of the first unit that needs it, from 1.
    pub first_line: usize,
}

// === impl Runbook ===

impl Runbook {
    /// Finds a procedure by its id, its title or the name of its alert; exactly, but for upper and lower case.
    pub fn procedure(&self, name_or_alert: &str) -> Option<&Procedure> {
        let same = |text: &str| text.eq_ignore_ascii_case(name_or_alert);
        let found = self.procedures.iter().find(|procedure| same(&procedure.id) || same(&procedure.title));
        found.or_else(|| self.for_alert(name_or_alert))
    }

    /// Finds the procedure that answers an alert, by the alert's name; exactly, but for upper and lower case.
    pub fn for_alert(&self, alert: &str) -> Option<&Procedure> {
        let answers = |spec: &AlertSpec| spec.name.eq_ignore_ascii_case(alert);
        self.procedures.iter().find(|procedure| procedure.alert.as_ref().is_some_and(answers))
    }
}

// === impl Procedure ===

impl Procedure {
    /// Returns its steps in order, across phases.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.phases.iter().flat_map(|phase| &phase.steps)
    }

    /// Returns its units in order, across steps.
    pub fn units(&self) -> impl Iterator<Item = &Unit> {
        self.steps().flat_map(Step::units)
    }

    /// Returns the variables that are read before any statement sets them: the values that it has to be told.
    ///
    /// Variables of the shell, of the runner (`PARAMEDIC_*`) and those with a default are none.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut known: BTreeSet<&str> = BTreeSet::new();
        let mut parameters = Vec::new();
        for unit in self.units() {
            for name in &unit.needs {
                if known.insert(name) && !is_own_variable(name) {
                    parameters.push(Parameter { name: name.clone(), first_line: unit.line });
                }
            }
            known.extend(unit.sets.iter().map(String::as_str));
        }
        parameters
    }
}

// === impl Severity ===

impl Severity {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Info, Self::Warning, Self::Critical].into_iter().find(|s| s.name().eq_ignore_ascii_case(name))
    }

    /// Returns the label value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
