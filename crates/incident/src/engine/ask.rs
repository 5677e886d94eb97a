//! Owns questions to people: asked once, bound to what they are about, answered, void or expired.

use std::collections::BTreeMap;
use std::time::Duration;

use super::edited::Edited;
use super::walk::Walk;
use super::{Engine, EngineError};
use crate::approval::Binding;
use crate::fold::Incident;
use crate::record::{ApprovalEnd, Record, UnitRef};
use crate::world::World;

/// How often a question that nobody answered is asked anew before it counts as a no.
pub(super) const ASKED_MAX: usize = 48;

/// The time between two looks whether the maintenance is over that a question is about.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(15);

/// The effect under which a task for a person stands in the records.
const MANUAL: &str = "manual";

/// What is asked.
pub(super) struct Question<'a> {
    pub(super) unit: &'a UnitRef,
    pub(super) statement: &'a str,
    pub(super) effect: &'a str,
    pub(super) reason: &'a str,
    /// Parameters that have no value.
    pub(super) missing: Vec<String>,
    /// The values of the parameters that the statement reads.
    pub(super) values: &'a BTreeMap<String, String>,
    /// The hash of the shell state that it would start from.
    pub(super) state: Option<String>,
    /// The attempt that was cut off and would be repeated.
    pub(super) interrupted: Option<u32>,
}

/// What came of it.
pub(super) enum Answer {
    /// Yes, by whom, with these values.
    Yes { by: String, values: BTreeMap<String, String> },
    /// No, and why.
    No(String),
    /// It is no question any more.
    Over(String),
}

impl<W: World> Engine<W> {
    pub(super) async fn ask_manual(
        &self,
        walk: &Walk<'_>,
        unit: &UnitRef,
        what: &str,
        reason: &str,
    ) -> Result<Answer, EngineError> {
        let question = Question {
            unit,
            statement: what,
            effect: MANUAL,
            reason,
            missing: Vec::new(),
            values: &BTreeMap::new(),
            state: None,
            interrupted: None,
        };
        self.ask(walk, &question).await
    }

    /// Asks and waits. A question that is open already is not asked again.
    pub(super) async fn ask(&self, walk: &Walk<'_>, question: &Question<'_>) -> Result<Answer, EngineError> {
        for _ in 0..ASKED_MAX {
            if let Some(answer) = self.ask_once(walk, question, None).await? {
                return Ok(answer);
            }
        }
        Ok(Answer::No(format!("nobody answered, {ASKED_MAX} times")))
    }

    /// Asks and waits, up to `until_ms` where that comes before the question expires. `None` is no answer: the
    /// question has expired or become void.
    pub(super) async fn ask_once(
        &self,
        walk: &Walk<'_>,
        question: &Question<'_>,
        until_ms: Option<i64>,
    ) -> Result<Option<Answer>, EngineError> {
        if let Some(reason) = self.lead_for(walk, !is_change(question)).await? {
            return Ok(Some(Answer::No(reason)));
        }
        let expiry = self.inner.world.policy(&walk.server).approval_expiry;
        let expires_ms = self.inner.world.now_ms() + expiry.as_millis() as i64;
        let expires_ms = until_ms.map_or(expires_ms, |until_ms| expires_ms.min(until_ms));
        let expires_ms = self.pose(walk, question, expires_ms).await?;
        self.wait_for_answer(walk, question, expires_ms).await
    }

    /// Writes the question down, if it is not open or answered already; returns when it expires.
    async fn pose(
        &self,
        walk: &Walk<'_>,
        question: &Question<'_>,
        expires_ms: i64,
    ) -> Result<i64, EngineError> {
        let standing = self
            .inner
            .ledger
            .with(walk.id, |incident| {
                let view = incident.unit(question.unit)?;
                match (&view.asked, &view.approved, &view.refused) {
                    (Some(asked), ..) => Some(asked.expires_ms),
                    (None, Some(_), _) | (None, None, Some((ApprovalEnd::Rejected, _))) => Some(expires_ms),
                    _ => None,
                }
            })
            .await?;
        if let Some(expires_ms) = standing {
            return Ok(expires_ms);
        }
        let people = self.people(walk, question);
        let mut reason = question.reason.to_owned();
        if people > 1 {
            reason += "; two people have to approve it";
        }
        let edited = self.edited(walk);
        if let Some(edited) = &edited {
            reason = format!("{reason}; {}", edited.told(walk));
        }
        let record = Record::ApprovalAsked {
            unit: question.unit.clone(),
            statement: question.statement.to_owned(),
            effect: question.effect.to_owned(),
            reason,
            binding: self.binding(walk, question, edited.as_ref(), expires_ms),
            missing: question.missing.clone(),
            expires_ms,
            people: (people > 1).then_some(people),
        };
        self.record(walk.id, record).await?;
        Ok(expires_ms)
    }

    async fn wait_for_answer(
        &self,
        walk: &Walk<'_>,
        question: &Question<'_>,
        expires_ms: i64,
    ) -> Result<Option<Answer>, EngineError> {
        let left_ms = u64::try_from(expires_ms - self.inner.world.now_ms()).unwrap_or(0);
        // A clock that was set back gives nobody more time: it may be set right again while this waits.
        let left = Duration::from_millis(left_ms).min(self.inner.world.policy(&walk.server).approval_expiry);
        let answered = |incident: &Incident| {
            let open = incident.unit(question.unit).is_some_and(|view| view.asked.is_some());
            !open || is_over(incident, question)
        };
        let lapsed = tokio::select! {
            // An answer that came in the same moment counts.
            biased;
            waited = self.wait_until(walk.id, answered) => { waited?; None }
            () = self.inner.world.pause(left) => Some("nobody answered in time"),
            () = self.maintenance_over(walk, question) => Some("the maintenance is over"),
        };
        let (view, over) = self
            .inner
            .ledger
            .with(walk.id, |incident| (incident.unit(question.unit).cloned(), is_over(incident, question)))
            .await?;
        let Some(view) = view else { return Ok(None) };
        if over && view.refused.is_none() {
            let reason = "the alert is resolved: a change would come too late".to_owned();
            self.end_question(walk, question, ApprovalEnd::Void, &reason).await?;
            return Ok(Some(Answer::Over(reason)));
        }
        if let Some((ApprovalEnd::Rejected, reason)) = view.refused {
            return Ok(Some(Answer::No(reason)));
        }
        if let Some(approved) = view.approved {
            if let Some(reason) = approved.void {
                self.end_question(walk, question, ApprovalEnd::Void, &reason).await?;
                return Ok(None);
            }
            // Said in time, and not carried out in time: nobody was there to do it.
            if self.inner.world.now_ms() >= approved.expires_ms {
                let reason = "the approval expired before it was carried out";
                self.end_question(walk, question, ApprovalEnd::Expired, reason).await?;
                return Ok(None);
            }
            // What was approved is what stands in the question: ask anew where it is another one by now.
            let edited = self.edited(walk);
            if approved.binding != self.binding(walk, question, edited.as_ref(), approved.expires_ms) {
                let reason = match &edited {
                    Some(edited) => edited.told(walk),
                    None => "what the approval was about has changed meanwhile".to_owned(),
                };
                self.end_question(walk, question, ApprovalEnd::Void, &reason).await?;
                return Ok(None);
            }
            return Ok(Some(Answer::Yes { by: approved.by, values: approved.values }));
        }
        if let Some(reason) = lapsed {
            self.end_question(walk, question, ApprovalEnd::Expired, reason).await?;
        }
        Ok(None)
    }

    /// Waits until the maintenance that a change waits for is over; for ever where there is none.
    async fn maintenance_over(&self, walk: &Walk<'_>, question: &Question<'_>) {
        let world = &self.inner.world;
        if !is_change(question) || world.maintenance(&walk.server, walk.id).is_none() {
            return std::future::pending().await;
        }
        while world.maintenance(&walk.server, walk.id).is_some() {
            world.pause(MAINTENANCE_INTERVAL).await;
        }
    }

    /// How many people have to say yes.
    fn people(&self, walk: &Walk<'_>, question: &Question<'_>) -> u32 {
        self.inner.world.policy(&walk.server).people_needed(question.effect)
    }

    fn binding(
        &self,
        walk: &Walk<'_>,
        question: &Question<'_>,
        edited: Option<&Edited>,
        expires_ms: i64,
    ) -> String {
        let pinned = &walk.book.runbook.sha256;
        let runbook = match edited {
            Some(edited) => format!("{pinned}, now {}", edited.sha256),
            None => pinned.clone(),
        };
        Binding {
            incident: walk.id,
            unit: question.unit,
            runbook: &runbook,
            statement: question.statement,
            target: &walk.server,
            values: question.values,
            state: question.state.as_deref(),
            interrupted: question.interrupted,
            people: self.people(walk, question),
            expires_ms,
        }
        .digest()
    }

    async fn end_question(
        &self,
        walk: &Walk<'_>,
        question: &Question<'_>,
        end: ApprovalEnd,
        reason: &str,
    ) -> Result<(), EngineError> {
        let (unit, reason) = (question.unit.clone(), reason.to_owned());
        self.record(walk.id, Record::ApprovalEnded { unit, end, by: None, reason }).await
    }
}

/// Whether the trouble went away under a question that is about a change.
fn is_over(incident: &Incident, question: &Question<'_>) -> bool {
    incident.is_trouble_over() && is_change(question)
}

fn is_change(question: &Question<'_>) -> bool {
    !matches!(question.effect, MANUAL | "observe")
}
