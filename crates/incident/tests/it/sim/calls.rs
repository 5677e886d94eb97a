//! Owns the rules for calling people: each deadline fires once and never early, each contact is asked and told once of each thing.

use std::collections::BTreeSet;

use incident::{Deadline, Record};

/// What was called so far, by incident.
#[derive(Default)]
pub(crate) struct Calls {
    passed: BTreeSet<(String, String, i64)>,
    met: BTreeSet<(String, String)>,
    asked: BTreeSet<(String, u64, String)>,
    told: BTreeSet<(String, u64, String)>,
}

// === impl Calls ===

impl Calls {
    /// Takes in a record; returns the rule that it breaks.
    pub(crate) fn take(&mut self, name: &str, at_ms: i64, record: &Record) -> Option<String> {
        match record {
            Record::DeadlinePassed { deadline, due_ms, .. } => {
                let key = (name.to_owned(), format!("{deadline:?}"), *due_ms);
                if at_ms < *due_ms {
                    return Some(format!("early: {} of {name} is due at {due_ms}, not at {at_ms}", key.1));
                }
                // A person who is reminded for the third time has been so twice.
                if let Deadline::AckReminder { number: 0, .. } = deadline {
                    return Some(format!("calls: {} of {name} counts from 0", key.1));
                }
                let what = format!("calls: {} of {name} fires twice", key.1);
                (!self.passed.insert(key)).then_some(what)
            }
            Record::CriterionMet { criterion, .. } => {
                let is_new = self.met.insert((name.to_owned(), criterion.clone()));
                (!is_new).then(|| format!("calls: `{criterion}` of {name} is met twice"))
            }
            // What is opened again may be met again.
            Record::Reopened { .. } => {
                self.met.retain(|(known, _)| known != name);
                None
            }
            Record::NotificationAsked { about, to, .. } => {
                let again = to.iter().find(|who| {
                    let key = (name.to_owned(), *about, (*who).clone());
                    !self.asked.insert(key)
                });
                again.map(|who| format!("calls: {who} is to be told twice of {about} of {name}"))
            }
            Record::NotificationEnded { about, contact, instead, .. } => {
                let key = |who: &str| (name.to_owned(), *about, who.to_owned());
                if !self.asked.contains(&key(contact)) {
                    return Some(format!("calls: {contact} was told of {about} of {name} unasked"));
                }
                if let Some(instead) = instead
                    && !self.asked.insert(key(instead))
                {
                    return Some(format!("calls: {instead} is to be told twice of {about} of {name}"));
                }
                let is_new = self.told.insert(key(contact));
                (!is_new).then(|| format!("calls: {contact} was told twice of {about} of {name}"))
            }
            _ => None,
        }
    }

    /// Who was to be told, and was not.
    pub(crate) fn untold(&self) -> impl Iterator<Item = &(String, u64, String)> {
        self.asked.difference(&self.told)
    }
}
