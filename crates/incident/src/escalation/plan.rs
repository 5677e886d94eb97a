//! Owns what a procedure says of calling people: its criteria, the times of its phases, its contacts.

use std::collections::BTreeMap;

use runbook::Criterion;

use crate::shelf::Book;

/// What one procedure says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    /// The criteria, as written and as read.
    pub(crate) criteria: Vec<(String, Criterion)>,
    /// The phases that have an end.
    pub(crate) phases: Vec<PhaseTime>,
    /// Whom the alert names.
    pub(crate) contact: Option<String>,
    /// The routes of the runbook's people.
    pub(crate) contacts: BTreeMap<String, String>,
}

/// The time of a phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PhaseTime {
    pub(crate) title: String,
    /// When it is due to be over, in milliseconds after the opening.
    pub(crate) end_ms: u64,
    /// How many steps it has.
    pub(crate) steps: usize,
}

// === impl Plan ===

impl Plan {
    /// Reads a procedure; what is not there says nothing.
    pub(crate) fn of(book: &Book, procedure: &str) -> Self {
        let Some(procedure) = book.procedure(procedure) else { return Self::default() };
        let time = |phase: &runbook::Phase| {
            let end_ms = phase.window?.end_s?.saturating_mul(1_000);
            Some(PhaseTime { title: phase.title.clone(), end_ms, steps: phase.steps.len() })
        };
        Self {
            criteria: procedure.criteria().map(|(text, read)| (text.to_owned(), read)).collect(),
            phases: procedure.phases.iter().filter_map(time).collect(),
            contact: procedure.alert.as_ref().and_then(|alert| alert.contact.clone()),
            contacts: book.runbook.front.contacts.clone(),
        }
    }

    /// Whether a criterion is about the time since a restart.
    pub(crate) fn asks_for_restarts(&self) -> bool {
        self.criteria.iter().any(|(_, read)| matches!(read, Criterion::Returns { .. }))
    }

    /// The criteria that only people can decide.
    pub(crate) fn unread(&self) -> impl Iterator<Item = &str> {
        self.criteria.iter().filter(|(_, read)| *read == Criterion::Unread).map(|(text, _)| text.as_str())
    }
}
