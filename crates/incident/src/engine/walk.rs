//! Owns the walk: evidence first, then the steps in order, then verification, as often as policy allows.
//!
//! The walk is a replay: each part looks first whether the journal has it already. A walker that was ended
//! at any point is simply started again.

use std::time::Duration;

use probe::CheckType;
use runbook::Procedure;

use super::fence::FenceEnd;
use super::lead::stands_back;
use super::{Engine, EngineError, Verification};
use crate::evidence;
use crate::findings;
use crate::fold::Incident;
use crate::id::IncidentId;
use crate::record::{Record, RunbookPin, Step, StepEnd};
use crate::recovery::{Goal, Progress, Reading, Recovery};
use crate::shelf::Book;
use crate::state::{State, StepState};
use crate::world::World;

/// What a walker keeps at hand: all of it can be made again from the journal.
pub(super) struct Walk<'a> {
    pub(super) id: &'a IncidentId,
    pub(super) server: String,
    pub(super) book: &'a Book,
    pub(super) procedure: &'a Procedure,
    pub(super) run: u32,
}

/// How one run of the procedure ended.
enum RunEnd {
    /// Every step was come to.
    Complete,
    /// A change went wrong: what comes after it must not be done.
    Stopped(String),
    /// A person said no, or has to find out what a unit did.
    Rejected(String),
}

impl<W: World> Engine<W> {
    /// Carries an incident to its end.
    pub(super) async fn respond(&self, id: &IncidentId) -> Result<(), EngineError> {
        let incident = self.inner.ledger.with(id, Incident::clone).await?;
        if !incident.state.is_open() && !has_loose_ends(&incident) {
            return self.write_report(&incident).await;
        }
        let book = self.pinned(id).await?;
        let Some(procedure) = book.procedure(&incident.procedure) else {
            return Err(EngineError::Runbook(id.clone()));
        };
        self.mind_jobs(id).await?;
        self.keep_evidence(id).await?;
        self.merge(id).await?;
        let mut walk = Walk { id, server: incident.server.clone(), book: &book, procedure, run: 0 };
        loop {
            let incident = self.inner.ledger.with(id, Incident::clone).await?;
            match incident.state {
                // The walker that was in the middle of it when a person ended it is dead.
                _ if has_loose_ends(&incident) && stands_back(&incident).is_some() => {
                    walk.run = incident.run;
                    self.steps(&walk).await?;
                }
                State::Resolved | State::Closed => return self.write_report(&incident).await,
                State::Mitigated => self.await_resolution(id).await?,
                _ if is_verified(&incident) => self.record(id, Record::Mitigated {}).await?,
                State::Triggered | State::Acknowledged if waits_for_people(&incident) => {
                    self.await_people(&walk).await?;
                }
                State::Triggered | State::Acknowledged => {
                    self.tell_of_flapping(&incident).await?;
                    if let Some(run) = self.begin_run(&incident).await? {
                        walk.run = run;
                        self.end_due_jobs(id).await?;
                        self.one_run(&walk).await?;
                    }
                }
            }
        }
    }

    /// The runbook as it was when the incident was opened.
    pub(super) async fn pinned(&self, id: &IncidentId) -> Result<Book, EngineError> {
        let pin = self.inner.ledger.with(id, |incident| incident.runbook.clone()).await?;
        self.book(&pin).ok_or_else(|| EngineError::Runbook(id.clone()))
    }

    /// A runbook of one version, from the shelf or the blob store.
    pub(super) fn book(&self, pin: &RunbookPin) -> Option<Book> {
        let on_shelf = self.inner.shelf.books().iter().find(|book| book.runbook.sha256 == pin.sha256);
        on_shelf
            .cloned()
            .or_else(|| self.read_blob(&pin.sha256).map(|bytes| Book::parse(&pin.name, &bytes).0))
    }

    /// Keeps volatile evidence before anything is changed.
    async fn keep_evidence(&self, id: &IncidentId) -> Result<(), EngineError> {
        let (server, kept) = self
            .inner
            .ledger
            .with(id, |incident| {
                let is_kept =
                    |record: &Record| matches!(record, Record::Captured(one) if one.what == evidence::SNAPSHOT);
                (incident.server.clone(), incident.since_opened().any(is_kept))
            })
            .await?;
        if kept {
            return Ok(());
        }
        let world = &self.inner.world;
        let started_ms = world.now_ms();
        // First what is gone soonest. A disk that is full holds nobody up: that nothing was kept is in the record and the report.
        let preserved = world.preserve(&server, &id.to_string()).await;
        let bundle =
            preserved.map(|one| evidence::preserved(&self.inner.blobs, one, started_ms, world.now_ms()));
        let started_ms = world.now_ms();
        let took = || u64::try_from(world.now_ms() - started_ms).unwrap_or(0);
        let subject = world.subject(&server);
        let ((captured, mut found), known) = tokio::join!(
            evidence::capture(&**world, &self.inner.blobs, subject, started_ms, took),
            world.known(&server)
        );
        found.extend(known);
        found.extend(self.inner.ledger.with(id, |one| findings::of_alarm(&server, &one.alarm)).await?);
        if !found.is_empty() {
            self.record(id, Record::Found { unit: None, findings: found }).await?;
        }
        // The one that says that evidence was kept comes last: who is killed before begins again.
        if let Some(bundle) = bundle {
            self.record(id, Record::Captured(bundle)).await?;
        }
        self.record(id, Record::Captured(captured)).await?;
        self.conclude(id).await
    }

    /// Goes on with the run that was cut short, or begins the next. After the last one a person is asked.
    async fn begin_run(&self, incident: &Incident) -> Result<Option<u32>, EngineError> {
        if let Some(reason) = stands_back(incident) {
            self.record(&incident.id, Record::PersonNeeded { reason }).await?;
            return Ok(None);
        }
        // A person may have judged it before it was over: then it is gone on with as well.
        if incident.run > 0 && (!run_is_judged(incident) || has_loose_ends(incident)) {
            return Ok(Some(incident.run));
        }
        let runs = incident.run.saturating_sub(incident.run_before);
        if runs >= self.inner.world.policy(&incident.server).runs_max {
            let problem = last_problem(incident).unwrap_or_else(|| "the trouble came back".to_owned());
            let reason = format!("{runs} run(s) of the procedure did not help for good: {problem}");
            self.record(&incident.id, Record::PersonNeeded { reason }).await?;
            return Ok(None);
        }
        let run = incident.run + 1;
        self.record(&incident.id, Record::RunStarted { run }).await?;
        Ok(Some(run))
    }

    /// One run of the procedure and its verification.
    async fn one_run(&self, walk: &Walk<'_>) -> Result<(), EngineError> {
        let end = self.steps(walk).await?;
        if !self.inner.ledger.with(walk.id, |incident| incident.state.is_open()).await? {
            return Ok(());
        }
        let Verification::Probes { goal, interval } = self.inner.settings.verification else {
            let reason = match end {
                RunEnd::Complete => "the procedure was followed to its end".to_owned(),
                RunEnd::Stopped(reason) | RunEnd::Rejected(reason) => format!("stopped: {reason}"),
            };
            return self.record(walk.id, Record::Closed { by: "the procedure".to_owned(), reason }).await;
        };
        match end {
            RunEnd::Complete => match self.verify_recovery(walk, goal, interval).await? {
                Some(reason) => self.record(walk.id, Record::NotVerified { reason }).await,
                None => Ok(()),
            },
            RunEnd::Stopped(reason) => self.record(walk.id, Record::NotVerified { reason }).await,
            RunEnd::Rejected(reason) => self.record(walk.id, Record::PersonNeeded { reason }).await,
        }
    }

    async fn steps(&self, walk: &Walk<'_>) -> Result<RunEnd, EngineError> {
        for phase in &walk.procedure.phases {
            for step in &phase.steps {
                let named = Step {
                    run: walk.run,
                    number: step.number,
                    title: step.title.clone(),
                    phase: phase.title.clone(),
                };
                let end = self.step(walk, step, named).await?;
                if !matches!(end, RunEnd::Complete) {
                    return Ok(end);
                }
            }
        }
        Ok(RunEnd::Complete)
    }

    async fn step(&self, walk: &Walk<'_>, step: &runbook::Step, named: Step) -> Result<RunEnd, EngineError> {
        let before = self
            .inner
            .ledger
            .with(walk.id, |incident| {
                incident.steps.iter().find(|view| view.step == named).map(|view| view.state)
            })
            .await?;
        match before {
            Some(StepState::Succeeded | StepState::Skipped) => return Ok(RunEnd::Complete),
            Some(_) => {}
            None => self.record(walk.id, Record::StepStarted { step: named.clone() }).await?,
        }
        let mut ends = Vec::new();
        if step.is_manual() {
            ends.push(self.manual(walk, step).await?);
        }
        for fence in &step.fences {
            let end = self.fence(walk, step, fence).await?;
            let stops = matches!(end, FenceEnd::Stopped(_) | FenceEnd::Rejected(_));
            ends.push(end);
            if stops {
                break;
            }
        }
        self.conclude(walk.id).await?;
        // Of a step that has failed already, only a replay tells whether that ends the run.
        if before != Some(StepState::Failed) {
            let (end, reason) = step_end(&ends);
            self.record(walk.id, Record::StepEnded { step: named, end, reason }).await?;
        }
        Ok(match ends.pop() {
            Some(FenceEnd::Stopped(reason)) => RunEnd::Stopped(reason),
            Some(FenceEnd::Rejected(reason)) => RunEnd::Rejected(reason),
            _ => RunEnd::Complete,
        })
    }

    /// Probes until recovery is verified, and writes that down, or time is up: then it returns why it is not.
    async fn verify_recovery(
        &self,
        walk: &Walk<'_>,
        goal: Goal,
        interval: Duration,
    ) -> Result<Option<String>, EngineError> {
        let world = &self.inner.world;
        let check = self.inner.ledger.with(walk.id, recovered_by).await?;
        let mut recovery = Recovery::new(goal, world.now_ms());
        loop {
            let problem = world.check(&walk.server, check).await;
            let incarnation = world.incarnation(&walk.server);
            match recovery.observe(&Reading { at_ms: world.now_ms(), problem, incarnation }) {
                Progress::More => world.pause(interval).await,
                Progress::Verified { probes, period_ms } => {
                    self.record(walk.id, Record::Verified { probes, period_ms, incarnation }).await?;
                    return Ok(None);
                }
                Progress::Failed(reason) => return Ok(Some(reason)),
            }
        }
    }

    /// A person is needed: waits until the alert is over, and then verifies what they did.
    async fn await_people(&self, walk: &Walk<'_>) -> Result<(), EngineError> {
        self.wait_until(walk.id, |incident| {
            incident.alert_resolved_ms.is_some() || !needs_person(incident) || !incident.state.is_open()
        })
        .await?;
        let (verify, known) = self
            .inner
            .ledger
            .with(walk.id, |incident| {
                (needs_person(incident) && incident.state.is_open(), last_problem(incident))
            })
            .await?;
        let Verification::Probes { goal, interval } = self.inner.settings.verification else {
            return Ok(());
        };
        if verify
            && let Some(reason) = self.verify_recovery(walk, goal, interval).await?
            && known.as_ref() != Some(&reason)
        {
            // Looked at again and again until it is well: written down only where there is news.
            self.record(walk.id, Record::NotVerified { reason }).await?;
        }
        Ok(())
    }
}

/// What has to be well for an incident to be over: the server, and of one that is about what it needs that as well. A server
/// that answers while its database is gone is alive, and nothing is mended.
fn recovered_by(incident: &Incident) -> CheckType {
    if incident.is_about_dependency() { CheckType::Readiness } else { CheckType::Liveness }
}

/// Whether a step of the last run has begun and not ended.
fn has_loose_ends(incident: &Incident) -> bool {
    incident.steps.iter().any(|view| view.step.run == incident.run && !view.state.has_ended())
}

fn needs_person(incident: &Incident) -> bool {
    incident.person_needed.is_some()
}

/// Whether a person is needed and nothing is left to look at: a flapping incident is gone through once each time.
fn waits_for_people(incident: &Incident) -> bool {
    let looks = incident.flapping.is_some()
        && stands_back(incident).is_none()
        && (incident.run == incident.run_before || !run_is_judged(incident));
    needs_person(incident) && !looks
}

/// Whether recovery is verified and nothing has happened since.
fn is_verified(incident: &Incident) -> bool {
    let last = incident.timeline.iter().rev().map(|(_, record)| record).find(|record| {
        matches!(
            record,
            Record::Verified { .. }
                | Record::Mitigated {}
                | Record::SeenAgain { .. }
                | Record::Reopened { .. }
                | Record::RunStarted { .. }
        )
    });
    matches!(last, Some(Record::Verified { .. }))
}

/// Whether the last run has been judged: verified, not verified, or given to a person.
fn run_is_judged(incident: &Incident) -> bool {
    incident.timeline.iter().rev().take_while(|(_, record)| !matches!(record, Record::RunStarted { .. })).any(
        |(_, record)| {
            matches!(
                record,
                Record::Verified { .. } | Record::NotVerified { .. } | Record::PersonNeeded { .. }
            )
        },
    )
}

/// Why the last verification failed, where it did.
fn last_problem(incident: &Incident) -> Option<String> {
    incident.timeline.iter().rev().find_map(|(_, record)| match record {
        Record::NotVerified { reason } => Some(Some(reason.clone())),
        Record::Verified { .. } => Some(None),
        _ => None,
    })?
}

fn step_end(ends: &[FenceEnd]) -> (StepEnd, String) {
    let failed = ends.iter().find_map(|end| match end {
        FenceEnd::Finding(reason) | FenceEnd::Stopped(reason) | FenceEnd::Rejected(reason) => Some(reason),
        FenceEnd::Ran(_) | FenceEnd::Skipped(_) => None,
    });
    if let Some(reason) = failed {
        return (StepEnd::Failed, reason.clone());
    }
    let ran: Vec<_> = ends
        .iter()
        .filter_map(|end| if let FenceEnd::Ran(note) = end { Some(note.as_str()) } else { None })
        .collect();
    if !ran.is_empty() {
        return (StepEnd::Succeeded, ran.join("; "));
    }
    let skipped = ends
        .iter()
        .find_map(|end| if let FenceEnd::Skipped(reason) = end { Some(reason.clone()) } else { None });
    (StepEnd::Skipped, skipped.unwrap_or_else(|| "there is nothing to run in it".to_owned()))
}
