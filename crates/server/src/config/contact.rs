//! Owns the part of the configuration on people: who can be told, how, and who is called when.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Config, Secret, Span, Text, secret};

/// The longest name of a contact.
const NAME_BYTES_MAX: usize = 128;

/// How many contacts there may be.
const CONTACTS_MAX: usize = 256;

/// How often all levels are called again at most: whoever has not answered nine times does not.
const LOOPS_MAX: u32 = 9;

/// The shortest delay that is no mistake, in milliseconds.
const DELAY_MS_MIN: i64 = 10;

/// `[[contact]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// Its name: what runbooks and levels call it.
    pub name: String,
    /// How it is told.
    pub kind: ContactKind,
    /// For `command`: the program and its arguments. The notice is on its standard input, as JSON.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// For `webhook`: where the notice is posted, as JSON; a text, or where this secret is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Text>,
    /// For `webhook`: where the value of the header `Authorization` is, read anew each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Secret>,
    /// How long one attempt may take.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
}

/// How a contact is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ContactKind {
    /// A line in the log of `serve`.
    Log,
    /// A program is run.
    Command,
    /// An HTTP request is made.
    Webhook,
}

/// `[escalation]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Escalation {
    /// How long somebody may take to take notice, where the runbook says nothing.
    pub response_time: Span,
    /// How often all levels are called again after the first time.
    pub loops: u32,
    /// How long whoever took notice may do nothing before it counts no more; `0s` is for ever.
    pub ack_timeout: Span,
    /// After how long they are reminded; `0s` is never.
    pub ack_reminder: Span,
    /// Who is called, in this order.
    pub level: Vec<EscalationLevel>,
}

/// `[[escalation.level]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EscalationLevel {
    /// Names of contacts.
    pub contacts: Vec<String>,
    /// How long they have to answer before the next level is called.
    #[serde(default = "default_delay")]
    pub delay: Span,
}

fn default_timeout() -> Span {
    Span::seconds(10)
}

fn default_delay() -> Span {
    Span::seconds(5 * 60)
}

// === impl Escalation ===

impl Default for Escalation {
    fn default() -> Self {
        Self {
            response_time: Span::seconds(15 * 60),
            loops: 2,
            ack_timeout: Span::seconds(30 * 60),
            ack_reminder: Span::seconds(15 * 60),
            level: Vec::new(),
        }
    }
}

// === impl Contact ===

impl Contact {
    /// The contact that is always there.
    pub(crate) fn log() -> Self {
        Self {
            name: incident::Escalating::LOG.to_owned(),
            kind: ContactKind::Log,
            command: Vec::new(),
            url: None,
            authorization: None,
            timeout: default_timeout(),
        }
    }

    /// What is wrong with it by itself: the key, and why.
    fn problem(&self) -> Option<(&'static str, String)> {
        let name = &self.name;
        if name == incident::Escalating::LOG && self.kind != ContactKind::Log {
            return Some(("name", format!("`{name}` is the log of `serve`; take another name")));
        }
        let fine = |letter: char| letter.is_ascii_alphanumeric() || "-_.@:+/".contains(letter);
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(fine) {
            let said = format!(
                "`{name}` is no name for a contact: it has letters, digits, `-_.@:+/`, at most {NAME_BYTES_MAX} in all"
            );
            return Some(("name", said));
        }
        let url = self.url.as_ref().map(|url| url.plain());
        // Where it is read from somewhere, it is seen then.
        let is_http = url.is_some_and(|url| {
            url.is_none_or(|url| url.starts_with("http://") || url.starts_with("https://"))
        });
        let has_password = url.flatten().is_some_and(secret::has_password);
        match self.kind {
            ContactKind::Command if self.command.first().is_none_or(String::is_empty) => {
                Some(("command", format!("the contact `{name}` of kind `command` has none")))
            }
            ContactKind::Webhook if !is_http => {
                Some(("url", format!("the contact `{name}` of kind `webhook` needs an http or https URL")))
            }
            ContactKind::Webhook if has_password => {
                let said = format!(
                    "the address of the contact `{name}` has a password in it: name where it is, as {{ file = \"PATH\" }}, or give it `authorization`"
                );
                Some(("url", said))
            }
            ContactKind::Log | ContactKind::Webhook if !self.command.is_empty() => {
                Some(("command", format!("only a contact of kind `command` runs one; `{name}` is none")))
            }
            ContactKind::Log | ContactKind::Command if self.url.is_some() || self.authorization.is_some() => {
                Some(("url", format!("only a contact of kind `webhook` has one; `{name}` is none")))
            }
            _ if self.timeout.ms() < DELAY_MS_MIN => {
                Some(("timeout", format!("`{}` is too short; 10ms is the least", self.timeout)))
            }
            _ => None,
        }
    }
}

/// Checks who can be told: each problem with its key.
pub(super) fn contact_problems(config: &Config) -> Vec<(&'static str, String)> {
    let mut problems: Vec<(&'static str, String)> =
        config.contact.iter().filter_map(Contact::problem).collect();
    if config.contact.len() > CONTACTS_MAX {
        problems.push(("name", format!("more than {CONTACTS_MAX} contacts are too many")));
    }
    let mut names = BTreeSet::new();
    for contact in &config.contact {
        if !names.insert(contact.name.as_str()) {
            problems.push(("name", format!("two contacts are called `{}`", contact.name)));
        }
    }
    problems
}

/// Checks who is called when: each problem with its key.
pub(super) fn escalation_problems(config: &Config) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    let names: BTreeSet<&str> = config.contact.iter().map(|contact| contact.name.as_str()).collect();
    let escalation = &config.escalation;
    if escalation.loops > LOOPS_MAX {
        problems.push(("loops", format!("all levels are called again {LOOPS_MAX} times at most")));
    }
    if escalation.response_time.ms() < DELAY_MS_MIN {
        problems.push(("response_time", "10ms is the least".to_owned()));
    }
    for level in &escalation.level {
        if level.contacts.is_empty() {
            problems.push(("contacts", "a level calls nobody".to_owned()));
        }
        if level.delay.ms() < DELAY_MS_MIN {
            problems.push(("delay", format!("`{}` is too short; 10ms is the least", level.delay)));
        }
        let is_known = |name: &&String| names.contains(name.as_str()) || *name == incident::Escalating::LOG;
        for name in level.contacts.iter().filter(|name| !is_known(name)) {
            problems.push(("contacts", format!("there is no contact `{name}`; give it a `[[contact]]`")));
        }
    }
    problems
}

/// The policy of escalation that the configuration makes.
pub(crate) fn escalating(config: &Config) -> incident::Escalating {
    let escalation = &config.escalation;
    let levels = escalation
        .level
        .iter()
        .map(|level| incident::Level { contacts: level.contacts.clone(), delay: level.delay.get() });
    let mut contacts: BTreeSet<String> = config.contact.iter().map(|contact| contact.name.clone()).collect();
    if levels.clone().any(|level| level.contacts.iter().any(|name| name == incident::Escalating::LOG)) {
        contacts.insert(incident::Escalating::LOG.to_owned());
    }
    incident::Escalating {
        levels: levels.collect(),
        loops: escalation.loops,
        response_time: escalation.response_time.get(),
        ack_timeout: escalation.ack_timeout.get(),
        ack_reminder: escalation.ack_reminder.get(),
        contacts,
    }
}
