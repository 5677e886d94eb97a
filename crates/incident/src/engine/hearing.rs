//! Owns taking in what other systems tell of alerts: durable before anybody is told that it came.

use super::{Engine, EngineError};
use crate::inbound::{Standing, Verdict};
use crate::record::{Heard, Record};
use crate::turns::Key;
use crate::world::World;

/// How much of what was heard one record holds, in bytes of its JSON: an entry of the journal has a limit.
const RECORD_BYTES_MAX: usize = 256 * 1024;

impl<W: World> Engine<W> {
    /// Takes in what `from` tells, in its order; returns what is made of each. What is news is on disk when this returns.
    ///
    /// # Errors
    /// Where the journal refuses; then some of it may be written down all the same, and is known when it comes again.
    pub async fn hear(&self, from: &str, all: &[Heard]) -> Result<Vec<Verdict>, EngineError> {
        // Two who tell the same at the same moment must not both be news.
        let _turn = self.inner.turns.take(&[Key::of(&"what other systems tell")]).await;
        let now_ms = self.inner.world.now_ms();
        let mut part = self.inner.ledger.inbound(|inbound| inbound.part(all.iter())).await;
        let verdicts: Vec<Verdict> = all.iter().map(|heard| part.next(now_ms, from, heard)).collect();
        let news = all.iter().zip(&verdicts).filter(|(_, verdict)| **verdict == Verdict::News);
        let (mut alerts, mut bytes) = (Vec::new(), 0);
        for (heard, _) in news {
            let length = serde_json::to_string(heard)?.len();
            if bytes + length > RECORD_BYTES_MAX && !alerts.is_empty() {
                self.write_heard(now_ms, from, std::mem::take(&mut alerts)).await?;
                bytes = 0;
            }
            bytes += length;
            alerts.push(heard.clone());
        }
        if !alerts.is_empty() {
            self.write_heard(now_ms, from, alerts).await?;
        }
        Ok(verdicts)
    }

    async fn write_heard(&self, now_ms: i64, from: &str, alerts: Vec<Heard>) -> Result<(), EngineError> {
        let record = Record::AlertsHeard { from: from.to_owned(), alerts };
        self.inner.ledger.write_loose(now_ms, &record).await
    }

    /// The alerts of other systems that stand.
    pub async fn heard(&self) -> Vec<Standing> {
        self.inner.ledger.inbound(|inbound| inbound.standing().cloned().collect()).await
    }
}
