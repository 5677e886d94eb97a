//! Owns the engine's part in telling people: who has to be told is written down, and what became of it.

use super::{Engine, EngineError};
use crate::fold::Incident;
use crate::id::IncidentId;
use crate::notice::{self, Notice};
use crate::record::Record;
use crate::turns::Key;
use crate::world::World;

/// How many notices are handed out at once; the rest stays in the journal until some of these have ended.
const NOTICES_MAX: usize = 256;

impl<W: World> Engine<W> {
    /// Writes down who has to be told of what is news, and returns what has to be told, the oldest first; without
    /// what is to be left out, because somebody is at it already.
    ///
    /// # Errors
    /// Where the journal refuses.
    pub async fn notices(
        &self,
        now_ms: i64,
        leave_out: impl Fn(&Notice) -> bool,
    ) -> Result<Vec<Notice>, EngineError> {
        let policy = self.inner.world.escalating();
        let plans = self.plans(|incident| !incident.telling.is_idle()).await?;
        let asked: Vec<(IncidentId, Vec<Record>)> = self
            .inner
            .ledger
            .with_all(|all| {
                let news = all.filter_map(|one| Some((one, plans.get(&one.id)?)));
                news.map(|(one, plan)| (one.id.clone(), notice::ask(one, plan, &policy, now_ms))).collect()
            })
            .await;
        for (id, records) in asked {
            for record in records {
                self.record_if_due(&id, now_ms, record).await?;
            }
        }
        let mut notices: Vec<Notice> = self
            .inner
            .ledger
            .with_all(|all| {
                let open = all.filter_map(|one| Some((one, plans.get(&one.id)?)));
                open.flat_map(|(one, plan)| notice::outstanding(one, plan))
                    .filter(|notice| !leave_out(notice))
                    .collect()
            })
            .await;
        notices.sort_by(|a, b| (a.at_ms, &a.key).cmp(&(b.at_ms, &b.key)));
        notices.truncate(NOTICES_MAX);
        Ok(notices)
    }

    /// Writes down that a contact was told, or could not be; then the next one is to be told.
    ///
    /// # Errors
    /// Where the journal refuses: the contact is told again, with the same key.
    pub async fn note_told(
        &self,
        notice: &Notice,
        attempts: u32,
        problem: Option<String>,
    ) -> Result<(), EngineError> {
        let policy = self.inner.world.escalating();
        // Two who could not be told of one thing must not both hand it on to the same third.
        let _turn = self.inner.turns.take(&[Key::of(&notice.incident)]).await;
        let next = |incident: &Incident| notice::instead(incident, notice, &policy);
        let instead = match problem {
            None => None,
            Some(_) => self.inner.ledger.with(&notice.incident, next).await?,
        };
        let (about, contact) = (notice.about, notice.contact.clone());
        let record = Record::NotificationEnded { about, contact, attempts, problem, instead };
        self.record_if_due(&notice.incident, self.inner.world.now_ms(), record).await
    }
}
