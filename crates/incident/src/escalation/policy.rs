//! Owns the escalation policy: levels of contacts, how long each has, how often all are called, who stands for whom.

use std::collections::BTreeSet;
use std::time::Duration;

use super::plan::Plan;

/// When whom is called.
#[derive(Debug, Clone)]
pub struct Escalating {
    /// The levels, in the order in which they are called.
    pub levels: Vec<Level>,
    /// How often all levels are called again after the first time.
    pub loops: u32,
    /// How long somebody may take to take notice, where the runbook says nothing.
    pub response_time: Duration,
    /// How long whoever took notice may do nothing; zero is for ever.
    pub ack_timeout: Duration,
    /// After how long they are reminded; zero is never.
    pub ack_reminder: Duration,
    /// The names of all contacts there are.
    pub contacts: BTreeSet<String>,
}

/// One level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// Who is called.
    pub contacts: Vec<String>,
    /// How long they have to answer before the next level is called.
    pub delay: Duration,
}

/// Who is called, and what there is to say about that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// The contacts.
    pub to: Vec<String>,
    /// Why they are not those that were meant.
    pub note: Option<String>,
}

// === impl Escalating ===

impl Default for Escalating {
    /// Nobody can be called: it is only logged.
    fn default() -> Self {
        Self {
            levels: Vec::new(),
            loops: 0,
            response_time: Duration::from_secs(15 * 60),
            ack_timeout: Duration::from_secs(30 * 60),
            ack_reminder: Duration::from_secs(15 * 60),
            contacts: BTreeSet::new(),
        }
    }
}

impl Escalating {
    /// The contact that is always there: the log of `serve`.
    pub const LOG: &str = "log";

    /// How many levels there are; where none is configured, the runbook's own contact is one.
    pub(super) fn levels_count(&self) -> u32 {
        u32::try_from(self.levels.len()).unwrap_or(u32::MAX).max(1)
    }

    /// How long a level (from 1) has to answer.
    pub(super) fn delay(&self, level: u32) -> Duration {
        let level = self.levels.get(level.saturating_sub(1) as usize);
        level.map_or(self.response_time, |level| level.delay)
    }

    /// Who belongs to a level, from 1. The first is whom the runbook names, where that is a contact.
    pub(crate) fn at_level(&self, level: u32, plan: &Plan) -> Called {
        if level <= 1
            && let Some(named) = plan.contact.as_deref().and_then(|name| self.named(name, plan))
        {
            return Called { to: vec![named], note: None };
        }
        let of_level = self.levels.get(level.saturating_sub(1) as usize);
        let known = |name: &&String| self.contacts.contains(*name);
        let to: Vec<String> =
            of_level.into_iter().flat_map(|level| level.contacts.iter().filter(known)).cloned().collect();
        if to.is_empty() { nobody() } else { Called { to, note: None } }
    }

    /// More people than those of the first level: those of the second, where there is one.
    pub(crate) fn more(&self, plan: &Plan) -> Called {
        self.at_level(self.levels_count().min(2), plan)
    }

    /// Who is called by this name; where nobody is, more people are.
    pub(crate) fn by_name(&self, name: &str, plan: &Plan) -> Called {
        match self.named(name, plan) {
            Some(named) => Called { to: vec![named], note: None },
            None => {
                let more = self.more(plan);
                let note = match more.note {
                    Some(note) => note,
                    None => format!("the configuration has no contact `{name}`; others are told instead"),
                };
                Called { to: more.to, note: Some(note) }
            }
        }
    }

    /// The contact of a name: one of the configuration, or the one to which the runbook's front matter leads.
    fn named(&self, name: &str, plan: &Plan) -> Option<String> {
        let routed = plan.contacts.get(name).map(String::as_str);
        [Some(name), routed]
            .into_iter()
            .flatten()
            .find(|name| self.contacts.contains(*name))
            .map(str::to_owned)
    }
}

fn nobody() -> Called {
    let note = "nobody was called: no contact is configured for this, so it is only logged".to_owned();
    Called { to: vec![Escalating::LOG.to_owned()], note: Some(note) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(contacts: &[&str], levels: &[&[&str]]) -> Escalating {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let level = |contacts: &&[&str]| Level { contacts: names(contacts), delay: Duration::from_secs(60) };
        Escalating {
            levels: levels.iter().map(level).collect(),
            contacts: contacts.iter().map(|name| (*name).to_owned()).collect(),
            ..Escalating::default()
        }
    }

    fn plan(contact: Option<&str>, routes: &[(&str, &str)]) -> Plan {
        Plan {
            contact: contact.map(str::to_owned),
            contacts: routes.iter().map(|(name, to)| ((*name).to_owned(), (*to).to_owned())).collect(),
            ..Plan::default()
        }
    }

    #[test]
    fn the_runbook_chooses_the_first_level_where_it_names_a_contact() {
        let policy = policy(&["ann", "pager:on-call", "bob"], &[&["ann"], &["bob", "gone"]]);
        for (plan, first) in [
            (plan(None, &[]), "ann"),
            (plan(Some("bob"), &[]), "bob"),
            (plan(Some("primary"), &[]), "ann"),
            (plan(Some("primary"), &[("primary", "pager:on-call")]), "pager:on-call"),
            (plan(Some("primary"), &[("primary", "mailto:x")]), "ann"),
        ] {
            assert_eq!(policy.at_level(1, &plan), Called { to: vec![first.to_owned()], note: None });
            assert_eq!(policy.at_level(2, &plan).to, ["bob"]);
            assert_eq!(policy.more(&plan).to, ["bob"]);
        }
    }

    #[test]
    fn where_nobody_is_configured_it_says_so() {
        let called = Escalating::default().at_level(1, &plan(Some("primary"), &[]));
        assert_eq!(called.to, ["log"]);
        assert!(called.note.unwrap().starts_with("nobody was called"));
        let called = Escalating::default().by_name("database", &plan(None, &[]));
        assert!(called.note.unwrap().starts_with("nobody was called"));
    }

    #[test]
    fn a_name_that_leads_nowhere_goes_to_others_and_says_so() {
        let policy = policy(&["ann", "dba"], &[&["ann"]]);
        assert_eq!(
            policy.by_name("dba", &plan(None, &[])),
            Called { to: vec!["dba".to_owned()], note: None }
        );
        let called = policy.by_name("network", &plan(None, &[]));
        assert_eq!(called.to, ["ann"]);
        assert_eq!(
            called.note.as_deref(),
            Some("the configuration has no contact `network`; others are told instead")
        );
    }
}
