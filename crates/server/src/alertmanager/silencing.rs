//! Owns acknowledgement as a silence: an Alertmanager knows no acknowledgement, so while somebody looks after an incident
//! its alerts are silenced there, by exact labels, for a short time that is renewed until the incident is over.
//!
//! Nothing of it is kept here: what is wanted is in the journal, and what there is says of which incident it is. So a
//! `serve` that is killed renews its silences in its next life, and those of one that never comes back end by themselves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use incident::{Incident, IncidentId, Standing, State, Word, error_chain};

use super::api::{NewSilence, Silence, exactly, time};
use super::{Alertmanager, AlertmanagerError};
use crate::clock;
use crate::flow::Flow;

/// Who has made a silence.
const CREATED_BY: &str = "paramedic";

/// What the comment of a silence of ours begins with; its incident follows.
const COMMENT: &str = "paramedic incident ";

/// How many silences there may be: more is not somebody who looks after things.
const SILENCES_MAX: usize = 500;

/// The least and the most time between two looks.
const LOOK: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(60));

/// The longest rest between a change and the look that it causes.
const REST_MAX: Duration = Duration::from_secs(2);

/// How long is waited after it could not be asked.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// What a silence is about: an incident, and the labels of one of its alerts.
pub(super) type About = (IncidentId, BTreeMap<String, String>);

/// What is remembered between two looks.
#[derive(Default)]
struct Memory {
    /// The silences that we made or renewed, with what they are about and when they would end.
    made: HashMap<String, (About, i64)>,
    /// Those that a person ended: their word holds until the incident is over.
    lifted: BTreeSet<About>,
    /// Whether it was asked since the start.
    asked: bool,
}

/// Keeps silences until the task is dropped.
pub(crate) async fn keep_silences(flow: Arc<Flow>) {
    let Some(alertmanager) = flow.alertmanager.as_ref().filter(|one| one.config.silence_on_ack) else {
        return;
    };
    let (least, most) = LOOK;
    let interval = (alertmanager.config.silence.get() / 4).clamp(least, most);
    let mut changes = flow.engine.changes();
    let (mut memory, mut failed) = (Memory::default(), None::<String>);
    loop {
        changes.borrow_and_update();
        let wait = match look(&flow, alertmanager, &mut memory).await {
            Ok(()) => {
                if failed.take().is_some() {
                    tracing::info!("silences are kept again");
                }
                interval
            }
            // Once for each reason.
            Err(error) => {
                let error = error_chain(&error);
                if failed.as_ref() != Some(&error) {
                    tracing::warn!(
                        error,
                        "silences can not be kept; whoever is silenced is told again before long"
                    );
                }
                failed = Some(error);
                RETRY_AFTER
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            changed = changes.changed() => if changed.is_err() { return },
        }
        // An incident that is being worked on changes all the time.
        tokio::time::sleep((interval / 8).clamp(least, REST_MAX)).await;
    }
}

async fn look(
    flow: &Flow,
    alertmanager: &Alertmanager,
    memory: &mut Memory,
) -> Result<(), AlertmanagerError> {
    let heard = flow.engine.heard().await;
    let wanted = flow.engine.look(|all| wanted(all, &heard)).await;
    let (wanted, known) = match wanted {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(error = %error_chain(&error), "which alerts to silence is not known");
            return Ok(());
        }
    };
    memory.lifted.retain(|(incident, _)| wanted.keys().any(|(id, _)| id == incident));
    // Where nothing is wanted and nothing was made there is nothing to ask.
    if wanted.is_empty() && memory.made.is_empty() && memory.asked_once() {
        return Ok(());
    }
    let there = ours(alertmanager.silences().await?);
    memory.note_lifted(&there);
    let now_ms = clock::now_ms();
    let length_ms = alertmanager.config.silence.ms();
    for (about, name) in wanted.iter().filter(|(about, _)| !memory.lifted.contains(*about)).take(SILENCES_MAX)
    {
        let live = there.iter().find(|(of, silence)| of == about && !silence.is_over());
        if live.is_some_and(|(_, silence)| silence.ends_ms() - now_ms > length_ms / 2) {
            continue;
        }
        let (incident, labels) = about;
        let comment = format!("{COMMENT}{incident}: {name} is being looked after; it ends with the incident");
        let starts_at = live.map_or_else(|| time(now_ms), |(_, silence)| silence.starts_at.clone());
        let ends_ms = now_ms + length_ms;
        let id = live.map(|(_, silence)| silence.id.as_str());
        let (matchers, ends_at) = (exactly(labels), time(ends_ms));
        let new = NewSilence { id, matchers, starts_at, ends_at, created_by: CREATED_BY, comment: &comment };
        let made = alertmanager.silence(&new).await?;
        memory.made.insert(made, (about.clone(), ends_ms));
        if live.is_none() {
            let text =
                format!("{name} is silenced at {} while somebody looks after it", alertmanager.config.url);
            note(flow, incident, text).await;
        }
    }
    for (about, silence) in there.iter().filter(|(_, silence)| !silence.is_over()) {
        // What is not ours to know belongs to another `serve`, or to nobody, and ends by itself.
        if known.contains(&about.0) && !wanted.contains_key(about) {
            alertmanager.expire(&silence.id).await?;
            memory.made.remove(&silence.id);
            note(flow, &about.0, format!("the silence at {} is ended", alertmanager.config.url)).await;
        }
    }
    Ok(())
}

/// What is to be silenced, each with the name of the alert; and all incidents there are.
fn wanted(
    all: &mut dyn Iterator<Item = &Incident>,
    heard: &[Standing],
) -> (BTreeMap<About, String>, BTreeSet<IncidentId>) {
    let (mut wanted, mut known) = (BTreeMap::new(), BTreeSet::new());
    for incident in all {
        known.insert(incident.id.clone());
        let looked_after = match incident.state {
            State::Acknowledged => true,
            State::Mitigated => incident.acknowledged.is_some(),
            _ => false,
        };
        if !looked_after {
            continue;
        }
        let is_its = |one: &&Standing| {
            let of_it = |(fingerprint, alert): (&String, &incident::Tracked)| {
                *fingerprint == one.heard.fingerprint
                    || (alert.name == one.heard.name && alert.server == one.heard.server)
            };
            one.from == "alertmanager" && incident.alerts.iter().any(of_it)
        };
        for one in heard.iter().filter(is_its) {
            let labels = one.heard.labels.iter().filter(|(_, value)| !value.is_empty());
            let labels = labels.map(|(name, value)| (name.clone(), value.clone())).collect();
            wanted.insert((incident.id.clone(), labels), one.heard.name.clone());
        }
    }
    (wanted, known)
}

/// Those that we have made, with what they are about.
pub(super) fn ours(all: Vec<Silence>) -> Vec<(About, Silence)> {
    let about = |silence: &Silence| {
        let rest = silence.comment.strip_prefix(COMMENT).filter(|_| silence.created_by == CREATED_BY)?;
        let incident = IncidentId::from_text(rest.split_once(':')?.0);
        Some((incident, silence.labels()?))
    };
    all.into_iter().filter_map(|silence| Some((about(&silence)?, silence))).collect()
}

async fn note(flow: &Flow, incident: &IncidentId, text: String) {
    if let Err(error) = flow.engine.say(incident, "serve", Word::Note { text }).await {
        tracing::debug!(%incident, error = %error_chain(&error), "a silence is not noted in its incident");
    }
}

// === impl Memory ===

impl Memory {
    /// Whether it was asked since the start: an earlier life may have left something there.
    fn asked_once(&mut self) -> bool {
        std::mem::replace(&mut self.asked, true)
    }

    /// Those that are over before their time were ended by somebody else.
    fn note_lifted(&mut self, there: &[(About, Silence)]) {
        for (about, silence) in there.iter().filter(|(_, silence)| silence.is_over()) {
            let Some((_, ends_ms)) = self.made.remove(&silence.id) else { continue };
            if silence.ends_ms() < ends_ms {
                tracing::info!(incident = %about.0, "somebody has ended the silence of an incident; it is not made again");
                self.lifted.insert(about.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence(id: &str, comment: &str, state: &str, ends_at: &str) -> Silence {
        let text = format!(
            r#"{{"id":"{id}","status":{{"state":"{state}"}},"comment":"{comment}","createdBy":"paramedic",
                "startsAt":"2026-01-01T00:00:00Z","endsAt":"{ends_at}","updatedAt":"2026-01-01T00:00:00Z",
                "matchers":[{{"name":"a","value":"b","isRegex":false}}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn ours_are_known_by_their_comment() {
        let all = vec![
            silence("1", "paramedic incident i-1: A", "active", "2026-01-01T00:15:00Z"),
            silence("2", "paramedic incident", "active", "2026-01-01T00:15:00Z"),
            Silence {
                created_by: "ann".to_owned(),
                ..silence("3", "paramedic incident i-1: A", "active", "2026-01-01T00:15:00Z")
            },
        ];
        let found: Vec<String> = ours(all).into_iter().map(|(_, one)| one.id).collect();
        assert_eq!(found, ["1"]);
    }

    #[test]
    fn what_somebody_ends_before_its_time_is_not_made_again() {
        let end_ms = |text: &str| silence("", "", "active", text).ends_ms();
        let mut memory = Memory::default();
        let about = (IncidentId::from_text("i-1"), BTreeMap::from([("a".to_owned(), "b".to_owned())]));
        for id in ["1", "2"] {
            memory.made.insert(id.to_owned(), (about.clone(), end_ms("2026-01-01T00:15:00Z")));
        }
        // That one ended when it was to end: we were away.
        memory.note_lifted(&ours(vec![silence(
            "1",
            "paramedic incident i-1: A",
            "expired",
            "2026-01-01T00:15:00Z",
        )]));
        assert!(memory.lifted.is_empty());
        memory.note_lifted(&ours(vec![silence(
            "2",
            "paramedic incident i-1: A",
            "expired",
            "2026-01-01T00:05:00Z",
        )]));
        assert_eq!(memory.lifted, BTreeSet::from([about]));
    }
}
