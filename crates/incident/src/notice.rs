//! Owns what people are told: which records are news, who was asked to be told of them, and the words.
//!
//! A record that is news is told once to each contact, under a key made of the incident, the place of the record in
//! the timeline, and the contact: whoever is told twice, because Paramedic died in between, can see that it is one.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::escalation::{BRAKE, Called, Escalating, Plan};
use crate::fold::Incident;
use crate::id::IncidentId;
use crate::record::{News, Record, Source};
use crate::report::describe;
use crate::state::{Refusal, State};

/// The version of the form of a notice.
const VERSION: u32 = 1;

/// Records older than this are no news any more, in milliseconds: a journal from before there were notices, or one
/// that nobody read for days, must not call anybody about what is long over.
const NEWS_AGE_MAX_MS: i64 = 24 * 60 * 60 * 1_000;

/// What one contact is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// The version of this form.
    pub version: u32,
    /// Makes telling it idempotent: the same key is the same notice.
    pub key: String,
    /// What kind of news it is.
    pub news: News,
    /// The incident.
    pub incident: IncidentId,
    /// Who is told.
    pub contact: String,
    /// What happened, in one line.
    pub text: String,
    /// Why it is this contact who is told, where another one was meant.
    pub note: Option<String>,
    /// The server; empty where the alert names none.
    pub server: String,
    /// The title of the procedure.
    pub title: String,
    /// The alert.
    pub alert: Option<String>,
    /// `critical`, `warning` or `info`.
    pub severity: Option<String>,
    /// Why the incident was opened.
    pub summary: String,
    /// Where the incident stands.
    pub state: State,
    /// When it was opened, in milliseconds since the Unix epoch.
    pub opened_ms: i64,
    /// When this happened, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The units that wait for a person's word.
    pub waiting: Vec<String>,
    /// The escalation criteria that only people can decide.
    pub undecided: Vec<String>,
    /// The place in the timeline.
    #[serde(skip)]
    pub(crate) about: u64,
}

/// Who has to be told of what, as the records tell it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Telling {
    /// Whether nobody is ever told: a person follows the procedure by hand.
    is_silent: bool,
    /// News of which nobody was asked to be told yet, by their place in the timeline.
    pending: BTreeMap<u64, News>,
    /// News that somebody waits for.
    open: BTreeMap<u64, Open>,
    /// Who was told of anything.
    told: BTreeSet<String>,
    /// Whether anybody ever had to be told of anything.
    has_begun: bool,
}

/// News that somebody waits for.
#[derive(Debug, Clone)]
struct Open {
    news: News,
    /// Why those who were asked first are not those that were meant.
    note: Option<String>,
    /// Who waits, and why it is them where another one was meant.
    waiting: BTreeMap<String, Option<String>>,
    /// Who was asked at all.
    tried: BTreeSet<String>,
}

// === impl Telling ===

impl Telling {
    pub(crate) fn opened(source: Source) -> Self {
        let is_silent = source == Source::Person;
        let pending = if is_silent { BTreeMap::new() } else { BTreeMap::from([(0, News::Opened)]) };
        Self { is_silent, pending, ..Self::default() }
    }

    /// Whether `record` may be written now: nobody is asked or told twice.
    ///
    /// # Errors
    /// A [`Refusal`] where that has been done.
    pub(crate) fn check(&self, record: &Record) -> Result<(), Refusal> {
        let (fits, event) = match record {
            Record::NotificationAsked { about, .. } => (self.pending.contains_key(about), "asking"),
            Record::NotificationEnded { about, contact, .. } => {
                (self.open.get(about).is_some_and(|open| open.waiting.contains_key(contact)), "telling")
            }
            _ => return Ok(()),
        };
        let refusal = || Refusal { event: event.to_owned(), reason: "it has been done already".to_owned() };
        if fits { Ok(()) } else { Err(refusal()) }
    }

    /// Takes in the record at the place `at` of the timeline.
    pub(crate) fn apply(&mut self, at: u64, record: &Record) {
        match record {
            Record::NotificationAsked { about, news, to, note } => {
                self.pending.remove(about);
                self.has_begun = true;
                let waiting = to.iter().map(|contact| (contact.clone(), None)).collect();
                let tried = to.iter().cloned().collect();
                self.open.insert(*about, Open { news: *news, note: note.clone(), waiting, tried });
            }
            Record::NotificationEnded { about, contact, problem, instead, .. } => {
                if problem.is_none() {
                    self.told.insert(contact.clone());
                }
                let Some(open) = self.open.get_mut(about) else { return };
                open.waiting.remove(contact);
                if let Some(instead) = instead {
                    let why = format!("{contact} could not be told: {}", problem.as_deref().unwrap_or(""));
                    open.waiting.insert(instead.clone(), Some(why));
                    open.tried.insert(instead.clone());
                }
                if open.waiting.is_empty() {
                    self.open.remove(about);
                }
            }
            _ => {
                if let Some(news) = news_of(record).filter(|_| !self.is_silent) {
                    self.pending.insert(at, news);
                }
            }
        }
    }

    /// Whether there is anything to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.open.is_empty()
    }
}

/// Which record is news.
fn news_of(record: &Record) -> Option<News> {
    use crate::record::Deadline::{AckReminder, AckTimeout, Level, NobodyAnswered, Phase};
    Some(match record {
        Record::Opened { .. } => News::Opened,
        Record::DeadlinePassed { deadline, .. } => match deadline {
            Level { .. } => News::Escalated,
            NobodyAnswered {} => News::NobodyAnswered,
            Phase { .. } => News::Late,
            AckReminder { .. } => News::Reminder,
            // The next level is news soon enough.
            AckTimeout { .. } => return None,
        },
        Record::CriterionMet { .. } | Record::Escalated { .. } => News::Escalated,
        Record::ApprovalAsked { .. } => News::ApprovalWanted,
        Record::PersonNeeded { .. } => News::PersonNeeded,
        Record::Mitigated {} => News::Recovered,
        Record::Resolved {} => News::Resolved,
        _ => return None,
    })
}

/// The records that ask for people to be told of what is news.
pub(crate) fn ask(incident: &Incident, plan: &Plan, policy: &Escalating, now_ms: i64) -> Vec<Record> {
    let telling = &incident.telling;
    let is_wanted = incident.state.is_open() || telling.has_begun;
    let pending = telling.pending.iter().filter(|_| is_wanted);
    pending
        .filter_map(|(about, news)| {
            let (at_ms, record) = incident.timeline.get(usize::try_from(*about).ok()?)?;
            if now_ms.saturating_sub(*at_ms) > NEWS_AGE_MAX_MS {
                return None;
            }
            let Called { to, note } = whom(record, telling, plan, policy);
            Some(Record::NotificationAsked { about: *about, news: *news, to, note })
        })
        .collect()
}

/// Who is told of a record.
fn whom(record: &Record, telling: &Telling, plan: &Plan, policy: &Escalating) -> Called {
    match record {
        Record::DeadlinePassed { to, .. } | Record::CriterionMet { to, .. } => {
            Called { to: to.clone(), note: None }
        }
        Record::Escalated { by, .. } if by == BRAKE => policy.more(plan),
        Record::Escalated { to, .. } => policy.by_name(to, plan),
        // Whoever was called wants to hear that it is over.
        Record::Mitigated {} | Record::Resolved {} if !telling.told.is_empty() => {
            Called { to: telling.told.iter().cloned().collect(), note: None }
        }
        _ => policy.at_level(1, plan),
    }
}

/// What is to be told, and was not yet.
pub(crate) fn outstanding(incident: &Incident, plan: &Plan) -> Vec<Notice> {
    let mut notices = Vec::new();
    for (about, open) in &incident.telling.open {
        let place = usize::try_from(*about).ok();
        let Some((at_ms, record)) = place.and_then(|place| incident.timeline.get(place)) else { continue };
        for (contact, why) in &open.waiting {
            let alert = incident.alarm.alert.as_ref();
            notices.push(Notice {
                version: VERSION,
                key: format!("{}-{about}-{contact}", incident.id),
                news: open.news,
                incident: incident.id.clone(),
                contact: contact.clone(),
                text: text(record),
                note: why.clone().or_else(|| open.note.clone()),
                server: incident.server.clone(),
                title: incident.title.clone(),
                alert: alert.map(|alert| alert.name.clone()),
                severity: alert.map(|alert| alert.severity.clone()),
                summary: incident.alarm.summary.clone(),
                state: incident.state,
                opened_ms: incident.opened_ms,
                at_ms: *at_ms,
                waiting: incident.open_questions().map(|(unit, ..)| unit.unit.clone()).collect(),
                undecided: plan.unread().map(str::to_owned).collect(),
                about: *about,
            });
        }
    }
    notices
}

/// What happened, for somebody who does not see the incident before them.
fn text(record: &Record) -> String {
    match record {
        Record::Mitigated {} => "service is back, and that is verified".to_owned(),
        Record::Resolved {} => "it is over: the alert no longer fires".to_owned(),
        other => describe(other).unwrap_or_default(),
    }
}

/// Who is told in the place of a contact that could not be: the next in the order of the levels, and the log at last.
pub(crate) fn instead(incident: &Incident, notice: &Notice, policy: &Escalating) -> Option<String> {
    let tried = &incident.telling.open.get(&notice.about)?.tried;
    let in_levels = policy.levels.iter().flat_map(|level| &level.contacts);
    let mut order = in_levels.filter(|name| policy.contacts.contains(*name));
    let next = order.find(|name| !tried.contains(*name)).cloned();
    next.or_else(|| (!tried.contains(Escalating::LOG)).then(|| Escalating::LOG.to_owned()))
}
