//! Owns what becomes of background jobs: who looks after each, when it has to end, and what is written down of that.
//!
//! A job belongs to its run of the procedure. It goes on while recovery is verified, so that it sees that as well, and ends
//! when that is done, when its statement or the whole procedure is run once more, or when the incident is over or a person
//! has ended the machine's part. One that may do more than look ends as well when a person takes over or the kill switch
//! is on.

use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

use runbook::Effect;
use runner::{Background, BackgroundEnd};

use super::lead::stands_back;
use super::{Engine, EngineError, RETRY_AFTER};
use crate::control::Control;
use crate::error_chain::error_chain;
use crate::fold::{Incident, Job};
use crate::id::IncidentId;
use crate::policy::Kill;
use crate::record::Record;
use crate::state::State;
use crate::world::World;

/// How often the kill switch is looked at while a job runs that may do more than look.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How often ending a job is tried before that is written down as failed, and the pause between.
const TRIES: u32 = 3;
const TRY_AGAIN: Duration = Duration::from_secs(1);

impl<W: World> Engine<W> {
    /// Makes sure that somebody looks after each background job of an incident.
    pub(super) async fn mind_jobs(&self, id: &IncidentId) -> Result<(), EngineError> {
        for job in self.inner.ledger.with(id, open_jobs).await? {
            let minded = || self.inner.minded.lock().unwrap_or_else(PoisonError::into_inner);
            if !minded().insert(job.folder.clone()) {
                continue;
            }
            let (engine, id) = (self.clone(), id.clone());
            tokio::spawn(async move {
                while let Err(error) = engine.mind(&id, &job).await {
                    tracing::error!(incident = %id, unit = job.unit.unit, error = %error_chain(&error), "cannot look after a background job; looking again in {} s", RETRY_AFTER.as_secs());
                    engine.inner.world.pause(RETRY_AFTER).await;
                }
                engine.inner.minded.lock().unwrap_or_else(PoisonError::into_inner).remove(&job.folder);
            });
        }
        Ok(())
    }

    /// Looks after a job until it has ended.
    async fn mind(&self, id: &IncidentId, job: &Job) -> Result<(), EngineError> {
        let world = &self.inner.world;
        loop {
            let change = self.inner.ledger.change(id);
            if !self.inner.ledger.with(id, |incident| incident.open_jobs().any(|one| one == job)).await? {
                return Ok(());
            }
            let kill = if looks(job) { Kill::Off } else { world.kill() };
            if let Some(reason) = self.inner.ledger.with(id, |incident| over(incident, job, kill)).await? {
                return self.end_job(id, job, &reason).await;
            }
            tokio::select! {
                biased;
                () = change => {}
                over = world.background_over(Path::new(&job.folder)) => {
                    over?;
                    return self.end_job(id, job, "it was told to").await;
                }
                () = world.pause(LOOK_EVERY), if !looks(job) => {}
            }
        }
    }

    /// Ends the jobs of an incident that have to end, and returns when that is written down.
    pub(super) async fn end_due_jobs(&self, id: &IncidentId) -> Result<(), EngineError> {
        let kill = self.inner.world.kill();
        self.end_jobs(id, |incident, job| over(incident, job, kill)).await
    }

    /// The same for those that have to end by `due`.
    pub(super) async fn end_jobs(
        &self,
        id: &IncidentId,
        due: impl Fn(&Incident, &Job) -> Option<String>,
    ) -> Result<(), EngineError> {
        let due = |incident: &Incident| {
            let jobs = incident.open_jobs();
            jobs.filter_map(|job| Some((job.clone(), due(incident, job)?))).collect::<Vec<_>>()
        };
        for (job, reason) in self.inner.ledger.with(id, due).await? {
            self.end_job(id, &job, &reason).await?;
        }
        Ok(())
    }

    /// Ends all background jobs of an incident.
    ///
    /// # Errors
    /// Where there is no such incident, or the journal refuses.
    pub async fn end_background(&self, id: &IncidentId, reason: &str) -> Result<(), EngineError> {
        self.end_jobs(id, |_, _| Some(reason.to_owned())).await
    }

    /// Ends a job, unless it has ended, and writes down what became of it. Two may do so at the same time: the runner
    /// and the journal take it once.
    async fn end_job(&self, id: &IncidentId, job: &Job, reason: &str) -> Result<(), EngineError> {
        let (world, folder) = (&self.inner.world, Path::new(&job.folder));
        let mut ended = world.end_background(folder).await;
        for _ in 1..TRIES {
            if ended.is_ok() {
                break;
            }
            world.pause(TRY_AGAIN).await;
            ended = world.end_background(folder).await;
        }
        let (reason, ended_ms, truncated) = match ended {
            Ok(Background { ended_ms, end, truncated }) => (in_words(end, reason), ended_ms, truncated),
            Err(error) => (format!("{reason}; {}", error_chain(&error)), world.now_ms(), false),
        };
        let keep = |name| self.keep(&folder.join(name), self.inner.settings.output_bytes_max, truncated);
        let record = Record::BackgroundEnded {
            unit: job.unit.clone(),
            attempt: job.attempt,
            reason,
            took_ms: u64::try_from(ended_ms - job.since_ms).unwrap_or(0),
            stdout: keep(runner::STDOUT),
            stderr: keep(runner::STDERR),
        };
        self.record_if_due(id, world.now_ms(), record).await
    }
}

fn open_jobs(incident: &Incident) -> Vec<Job> {
    incident.open_jobs().cloned().collect()
}

fn looks(job: &Job) -> bool {
    job.effect == Effect::Observe.name()
}

/// Why a job has to end now, where it has to.
fn over(incident: &Incident, job: &Job, kill: Kill) -> Option<String> {
    // The alert may be over as soon as that is so.
    if matches!(incident.state, State::Mitigated | State::Resolved) {
        return Some("recovery is verified".to_owned());
    }
    if let Some(reason) = stands_back(incident) {
        return Some(reason);
    }
    if job.unit.run < incident.run {
        return Some(format!("run {} of the procedure begins", incident.run));
    }
    let intent = incident.unit(&job.unit).and_then(|view| view.intent.as_ref());
    if intent.is_some_and(|intent| intent.attempt > job.attempt) {
        return Some("its statement is run once more".to_owned());
    }
    if looks(job) {
        return None;
    }
    match (incident.control, kill) {
        (Control::Held, _) => {
            let by = incident.taken.as_ref().map_or("a person", |(by, _)| by.as_str());
            Some(format!("{by} took over, and it may do more than look"))
        }
        (_, Kill::On) => Some("the kill switch is on, and it may do more than look".to_owned()),
        _ => None,
    }
}

/// Why it ended; `reason` is why it was told to, where it was.
fn in_words(end: BackgroundEnd, reason: &str) -> String {
    match end {
        BackgroundEnd::ByItself => "it came to its end",
        BackgroundEnd::Limit => "it ran for as long as it may",
        BackgroundEnd::Lost => "the process that kept it was gone, and what was left of it was ended",
        BackgroundEnd::Told => reason,
    }
    .to_owned()
}
