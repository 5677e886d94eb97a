//! Owns the fold: the records of an incident, in order, to everything that is known of it.

use std::collections::BTreeMap;

use crate::id::IncidentId;
use crate::record::{
    Alarm, ApprovalEnd, Captured, Output, Record, RunbookPin, Step, StepEnd, UnitEnd, UnitRef,
};
use crate::state::{Event, Refusal, State, StepEvent, StepState};

/// An incident as its records tell it.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are the records' own; what is special is said at the field")]
pub struct Incident {
    pub id: IncidentId,
    pub state: State,
    pub server: String,
    /// The procedure's id in the runbook.
    pub procedure: String,
    pub title: String,
    pub alarm: Alarm,
    pub runbook: RunbookPin,
    pub response_time_ms: Option<u64>,
    pub opened_ms: i64,
    /// When it was acknowledged first, and by whom.
    pub acknowledged: Option<(i64, String)>,
    pub mitigated_ms: Option<i64>,
    /// When the alert was last seen to be over; taken back when it is seen again.
    pub alert_resolved_ms: Option<i64>,
    pub resolved_ms: Option<i64>,
    /// Why a person is needed, where one is.
    pub person_needed: Option<String>,
    /// The run of the procedure, from 1; 0 before the first.
    pub run: u32,
    /// The steps in the order in which they began, over all runs.
    pub steps: Vec<StepView>,
    pub units: BTreeMap<UnitRef, UnitView>,
    /// All records with their times (milliseconds since the Unix epoch).
    pub timeline: Vec<(i64, Record)>,
}

/// A step as the records tell it.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct StepView {
    pub step: Step,
    pub state: StepState,
    pub started_ms: i64,
    pub ended_ms: Option<i64>,
    /// Why it ended as it did.
    pub reason: String,
}

/// A unit as the records tell it.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct UnitView {
    pub statement: String,
    /// Why it was not run, where it was not.
    pub skipped: Option<String>,
    /// The question that is open.
    pub asked: Option<Asked>,
    /// The answer that stands.
    pub approved: Option<Approved>,
    /// How the last question came to nothing.
    pub refused: Option<(ApprovalEnd, String)>,
    /// The last intent.
    pub intent: Option<Intended>,
    /// The outcome of the last intent.
    pub outcome: Option<Ended>,
    /// What `verify` found: `None` inside is good.
    pub verified: Option<Option<String>>,
}

/// An open question.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Asked {
    pub binding: String,
    pub effect: String,
    pub reason: String,
    pub missing: Vec<String>,
    pub expires_ms: i64,
}

/// A yes.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Approved {
    pub by: String,
    pub binding: String,
    pub values: BTreeMap<String, String>,
    pub expires_ms: i64,
}

/// An intent.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Intended {
    pub attempt: u32,
    pub effect: String,
    pub folder: String,
    pub at_ms: i64,
}

/// An outcome.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Ended {
    pub end: UnitEnd,
    pub meaning: String,
    pub started_ms: Option<i64>,
    pub finished_ms: Option<i64>,
    pub stdout: Option<Output>,
    pub stderr: Option<Output>,
}

// === impl Incident ===

impl Incident {
    /// Folds the records of one incident; `None` where the first is not [`Record::Opened`].
    pub fn fold<'a>(id: &IncidentId, records: impl IntoIterator<Item = (i64, &'a Record)>) -> Option<Self> {
        let mut records = records.into_iter();
        let (opened_ms, first) = records.next()?;
        let mut incident = Self::open(id.clone(), opened_ms, first)?;
        for (at_ms, record) in records {
            incident.apply(at_ms, record);
        }
        Some(incident)
    }

    fn open(id: IncidentId, at_ms: i64, record: &Record) -> Option<Self> {
        let Record::Opened { server, procedure, title, alarm, runbook, response_time_ms } = record else {
            return None;
        };
        Some(Self {
            id,
            state: State::Triggered,
            server: server.clone(),
            procedure: procedure.clone(),
            title: title.clone(),
            alarm: alarm.clone(),
            runbook: runbook.clone(),
            response_time_ms: *response_time_ms,
            opened_ms: at_ms,
            acknowledged: None,
            mitigated_ms: None,
            alert_resolved_ms: None,
            resolved_ms: None,
            person_needed: None,
            run: 0,
            steps: Vec::new(),
            units: BTreeMap::new(),
            timeline: vec![(at_ms, record.clone())],
        })
    }

    /// Whether the state machines allow `record` now; asked before it is written.
    ///
    /// # Errors
    /// A [`Refusal`] that says what stands in the way.
    pub fn check(&self, record: &Record) -> Result<(), Refusal> {
        if let Some(event) = incident_event(record) {
            self.state.after(event)?;
        }
        if let Some((step, event)) = step_event(record)
            && let Some(view) = self.steps.iter().find(|view| view.step == *step)
        {
            view.state.after(event)?;
        }
        Ok(())
    }

    /// Takes in one more record. What the machines refuse is kept in the timeline and changes no state.
    pub fn apply(&mut self, at_ms: i64, record: &Record) {
        let allowed = self.check(record).is_ok();
        self.timeline.push((at_ms, record.clone()));
        if !allowed {
            return;
        }
        if let Some(Ok(state)) = incident_event(record).map(|event| self.state.after(event)) {
            self.state = state;
        }
        match record {
            Record::Acknowledged { by } => {
                self.acknowledged.get_or_insert((at_ms, by.clone()));
            }
            Record::SeenAgain { .. } => {
                self.alert_resolved_ms = None;
                self.mitigated_ms = None;
            }
            Record::RunStarted { run } => {
                self.run = *run;
                self.person_needed = None;
            }
            Record::PersonNeeded { reason } => self.person_needed = Some(reason.clone()),
            Record::AlertResolved {} => self.alert_resolved_ms = Some(at_ms),
            Record::Mitigated {} => {
                self.mitigated_ms = Some(at_ms);
                self.person_needed = None;
            }
            Record::Resolved {} => self.resolved_ms = Some(at_ms),
            Record::StepStarted { step } => self.begin_step(at_ms, step),
            Record::StepEnded { step, end, reason } => self.end_step(at_ms, step, *end, reason),
            _ => self.apply_unit(at_ms, record),
        }
    }

    fn begin_step(&mut self, at_ms: i64, step: &Step) {
        if let Some(view) = self.steps.iter_mut().find(|view| view.step == *step) {
            view.state = view.state.after(StepEvent::Run).unwrap_or(view.state);
            return;
        }
        self.steps.push(StepView {
            step: step.clone(),
            state: StepState::Running,
            started_ms: at_ms,
            ended_ms: None,
            reason: String::new(),
        });
    }

    fn end_step(&mut self, at_ms: i64, step: &Step, end: StepEnd, reason: &str) {
        if let Some(view) = self.steps.iter_mut().find(|view| view.step == *step) {
            view.state = view.state.after(StepEvent::End(end)).unwrap_or(view.state);
            view.ended_ms = Some(at_ms);
            view.reason = reason.to_owned();
        }
    }

    fn apply_unit(&mut self, at_ms: i64, record: &Record) {
        let Some(unit) = unit_of(record) else { return };
        let waits = match record {
            Record::ApprovalAsked { missing, effect, .. } if !missing.is_empty() || effect == "manual" => {
                Some(StepEvent::AskPerson)
            }
            Record::ApprovalAsked { .. } => Some(StepEvent::AskApproval),
            Record::Outcome { end: UnitEnd::Interrupted {}, .. } => Some(StepEvent::Interrupt),
            Record::Approved { .. } | Record::ApprovalEnded { .. } | Record::Intent { .. } => {
                Some(StepEvent::Run)
            }
            _ => None,
        };
        if let (Some(event), Some(step)) = (waits, self.steps.last_mut()) {
            step.state = step.state.after(event).unwrap_or(step.state);
        }
        self.units.entry(unit.clone()).or_default().apply(at_ms, record);
    }

    /// The unit, where anything is known of it.
    pub fn unit(&self, unit: &UnitRef) -> Option<&UnitView> {
        self.units.get(unit)
    }

    /// The questions that wait for an answer, in order.
    pub fn open_questions(&self) -> impl Iterator<Item = (&UnitRef, &UnitView, &Asked)> {
        self.units.iter().filter_map(|(unit, view)| Some((unit, view, view.asked.as_ref()?)))
    }

    /// How often a server was restarted in this incident, successfully.
    pub fn restarts(&self) -> usize {
        self.timeline
            .iter()
            .filter(|(_, record)| matches!(record, Record::Restarted { problem: None, .. }))
            .count()
    }

    /// Whether its report was written.
    pub fn is_reported(&self) -> bool {
        self.timeline.iter().any(|(_, record)| matches!(record, Record::Reported { .. }))
    }

    /// The evidence that was kept.
    pub fn evidence(&self) -> impl Iterator<Item = &Captured> {
        self.timeline.iter().filter_map(|(_, record)| match record {
            Record::Captured(captured) => Some(captured),
            _ => None,
        })
    }
}

// === impl UnitView ===

impl UnitView {
    fn apply(&mut self, at_ms: i64, record: &Record) {
        match record {
            Record::UnitSkipped { statement, reason, .. } => {
                self.statement.clone_from(statement);
                self.skipped = Some(reason.clone());
            }
            Record::ApprovalAsked { statement, effect, reason, binding, missing, expires_ms, .. } => {
                self.statement.clone_from(statement);
                self.refused = None;
                self.approved = None;
                self.asked = Some(Asked {
                    binding: binding.clone(),
                    effect: effect.clone(),
                    reason: reason.clone(),
                    missing: missing.clone(),
                    expires_ms: *expires_ms,
                });
            }
            Record::Approved { by, binding, values, .. } => {
                let expires_ms = self.asked.take().map_or(0, |asked| asked.expires_ms);
                let (by, binding, values) = (by.clone(), binding.clone(), values.clone());
                self.approved = Some(Approved { by, binding, values, expires_ms });
            }
            Record::ApprovalEnded { end, reason, .. } => {
                self.asked = None;
                self.approved = None;
                self.refused = Some((*end, reason.clone()));
            }
            Record::Intent { attempt, statement, effect, folder, .. } => {
                self.statement.clone_from(statement);
                self.outcome = None;
                self.intent = Some(Intended {
                    attempt: *attempt,
                    effect: effect.clone(),
                    folder: folder.clone(),
                    at_ms,
                });
            }
            Record::Outcome { end, meaning, started_ms, finished_ms, stdout, stderr, .. } => {
                self.outcome = Some(Ended {
                    end: end.clone(),
                    meaning: meaning.clone(),
                    started_ms: *started_ms,
                    finished_ms: *finished_ms,
                    stdout: stdout.clone(),
                    stderr: stderr.clone(),
                });
            }
            Record::UnitVerified { problem, .. } => self.verified = Some(problem.clone()),
            _ => {}
        }
    }
}

fn unit_of(record: &Record) -> Option<&UnitRef> {
    match record {
        Record::UnitSkipped { unit, .. }
        | Record::ApprovalAsked { unit, .. }
        | Record::Approved { unit, .. }
        | Record::ApprovalEnded { unit, .. }
        | Record::Intent { unit, .. }
        | Record::Outcome { unit, .. }
        | Record::UnitVerified { unit, .. } => Some(unit),
        _ => None,
    }
}

fn incident_event(record: &Record) -> Option<Event> {
    match record {
        Record::Acknowledged { .. } => Some(Event::Acknowledge),
        Record::SeenAgain { .. } => Some(Event::SeenAgain),
        Record::Mitigated {} => Some(Event::Mitigate),
        Record::Resolved {} => Some(Event::Resolve),
        Record::Closed { .. } => Some(Event::Close),
        _ => None,
    }
}

fn step_event(record: &Record) -> Option<(&Step, StepEvent)> {
    match record {
        Record::StepStarted { step } => Some((step, StepEvent::Run)),
        Record::StepEnded { step, end, .. } => Some((step, StepEvent::End(*end))),
        _ => None,
    }
}
