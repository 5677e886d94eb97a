//! Owns the page of an incident: what is wrong, what is asked, and the runbook with what has come of each of its lines.

mod account;
mod actions;
mod asked;
mod head;
mod procedure;
mod step;
#[cfg(test)]
mod tests;
mod undo;
mod unit;

use ::incident::{Book, Incident, Report};

use crate::part::Part;

/// What somebody may do, and the word that their forms bring back.
#[derive(Debug, Clone, Copy)]
pub struct May<'a> {
    /// Leads incidents: takes notice, notes, holds, calls others.
    pub lead: bool,
    /// Says yes and no.
    pub answer: bool,
    /// The word of forms.
    pub csrf: &'a str,
}

/// What the page is made of.
#[derive(Debug, Clone, Copy)]
pub struct IncidentPage<'a> {
    /// The incident.
    pub incident: &'a Incident,
    /// Its report, as it stands now.
    pub report: &'a Report,
    /// The runbook as it was when the incident began, where it could be read back.
    pub book: Option<&'a Book>,
    /// The names of those who can be called.
    pub contacts: &'a [String],
    /// The bundles of evidence that belong to it, the oldest first.
    pub bundles: &'a [Bundle],
    /// What whoever looks may do.
    pub may: May<'a>,
}

/// A bundle of evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Its name.
    pub name: String,
    /// Its size, in bytes.
    pub bytes: u64,
    /// Its last check; none where nobody has checked it.
    pub checked: Option<Checked>,
}

/// A check of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Who has checked it.
    pub by: String,
    /// What was wrong with it; nothing where it was as it was sealed.
    pub problems: Vec<String>,
}

/// The parts of the page, in the order in which somebody reads them who was just woken up.
pub fn incident(page: &IncidentPage<'_>) -> Vec<Part> {
    vec![
        head::head(page),
        asked::asked(page),
        actions::actions(page),
        account::cause(page),
        procedure::procedure(page),
        undo::undo(page),
        account::timeline(page),
        account::evidence(page),
        account::report(page),
    ]
}

// === impl IncidentPage ===

impl IncidentPage<'_> {
    /// The path of something of the incident.
    fn path(&self, what: &str) -> String {
        format!("/incidents/{}/{what}", self.incident.id)
    }
}
