//! Owns what the records say of background jobs: which run on, and how they ended.

use super::Incident;
use crate::record::{Record, UnitRef};
use crate::state::Refusal;

/// What one attempt at a unit left running in the background.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The unit.
    pub unit: UnitRef,
    /// The attempt at it.
    pub attempt: u32,
    /// The effect of its statement.
    pub effect: String,
    /// The folder of the attempt.
    pub folder: String,
    /// When its statement had ended, in milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// When it was written down that it has ended, and why.
    pub ended: Option<(i64, String)>,
}

// === impl Incident ===

impl Incident {
    /// The background jobs that are not known to have ended.
    pub fn open_jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.iter().filter(|job| job.ended.is_none())
    }

    /// Jobs end once: whoever comes second hears it here.
    pub(super) fn check_jobs(&self, record: &Record) -> Result<(), Refusal> {
        let Record::BackgroundEnded { unit, attempt, .. } = record else { return Ok(()) };
        if self.open_jobs().any(|job| job.unit == *unit && job.attempt == *attempt) {
            return Ok(());
        }
        let event = format!("the end of the background jobs of {}", unit.unit);
        Err(Refusal { event, reason: "none is known to run".to_owned() })
    }

    pub(super) fn apply_jobs(&mut self, at_ms: i64, record: &Record) {
        match record {
            Record::Outcome { unit, attempt, finished_ms, background_ms: Some(_), .. } => {
                let intent = self.units.get(unit).and_then(|view| view.intent.as_ref());
                let Some(intent) = intent.filter(|intent| intent.attempt == *attempt) else { return };
                self.jobs.push(Job {
                    unit: unit.clone(),
                    attempt: *attempt,
                    effect: intent.effect.clone(),
                    folder: intent.folder.clone(),
                    since_ms: finished_ms.unwrap_or(at_ms),
                    ended: None,
                });
            }
            Record::BackgroundEnded { unit, attempt, reason, .. } => {
                let is_it = |job: &&mut Job| job.unit == *unit && job.attempt == *attempt;
                if let Some(job) = self.jobs.iter_mut().find(is_it) {
                    job.ended = Some((at_ms, reason.clone()));
                }
            }
            _ => {}
        }
    }
}
