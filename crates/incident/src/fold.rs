//! Owns the fold: the records of an incident, in order, to everything that is known of it.

mod answer;
mod jobs;
mod lead;
mod trouble;
mod undo;
mod unit;
mod unwind;

use std::collections::BTreeMap;

use diagnosis::Finding;

use crate::control::Control;
use crate::escalation::Escalation;
use crate::id::IncidentId;
use crate::notice::Telling;
use crate::record::{Alarm, Captured, Deadline, Record, RunbookPin, Step, StepEnd, UnitEnd, UnitRef};
use crate::state::{Event, Refusal, State, StepEvent, StepState};
pub use jobs::Job;
pub use lead::FollowUp;
use lead::control_event;
pub use trouble::{Place, Tracked};
pub use undo::{Made, Takeback};
pub(crate) use undo::{is_undo, undo_of_change, undo_of_unit};
use unit::unit_of;
pub use unit::{Approved, Asked, Ended, Intended, UnitView, Watched};
pub use unwind::Fate;

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
    /// Who leads it.
    pub control: Control,
    /// Who took over or ended the machine's part, and why, where somebody did.
    pub taken: Option<(String, String)>,
    /// What has to be done when it is over, in order.
    pub follow_ups: Vec<FollowUp>,
    /// The newest finding of each kind about each subject.
    pub findings: BTreeMap<(String, String), Finding>,
    /// What they point to, where a cause stands out.
    pub cause: Option<String>,
    /// Why, or why none does; for people.
    pub why: Vec<String>,
    /// The run of the procedure, from 1; 0 before the first.
    pub run: u32,
    /// The steps in the order in which they began, over all runs.
    pub steps: Vec<StepView>,
    pub units: BTreeMap<UnitRef, UnitView>,
    /// What statements left running in the background, in the order in which they did.
    pub jobs: Vec<Job>,
    /// Who is wanted, and what was fired already.
    pub escalation: Escalation,
    /// Who has to be told of what.
    pub(crate) telling: Telling,
    /// The failed dependency that it is about, where servers share it.
    pub dependency: Option<String>,
    /// The incident of the same trouble that ended shortly before.
    pub earlier: Option<IncidentId>,
    /// The alerts that it is about, by fingerprint.
    pub alerts: BTreeMap<String, Tracked>,
    /// The alerts that say nothing new beside them, by fingerprint, with their starts.
    pub inhibited: BTreeMap<String, i64>,
    /// The incidents that were merged into it, with what they were the only open ones for.
    pub absorbed: Vec<(IncidentId, Place)>,
    /// The incident into which it was merged.
    pub merged_into: Option<IncidentId>,
    /// When it was opened again, each time since somebody or a quiet time last ended its flapping.
    pub reopened_ms: Vec<i64>,
    /// Why it counts as flapping, where it does.
    pub flapping: Option<String>,
    /// The run before it was opened the last time; 0 for the first.
    pub run_before: u32,
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
        let Record::Opened {
            server,
            procedure,
            title,
            alarm,
            runbook,
            response_time_ms,
            dependency,
            earlier,
        } = record
        else {
            return None;
        };
        let mut incident = Self {
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
            control: Control::Machine,
            taken: None,
            follow_ups: Vec::new(),
            findings: BTreeMap::new(),
            cause: None,
            why: Vec::new(),
            run: 0,
            steps: Vec::new(),
            units: BTreeMap::new(),
            jobs: Vec::new(),
            escalation: Escalation::opened(at_ms, alarm.source),
            telling: Telling::opened(alarm.source),
            dependency: dependency.clone(),
            earlier: earlier.as_deref().map(IncidentId::from_text),
            alerts: BTreeMap::new(),
            inhibited: BTreeMap::new(),
            absorbed: Vec::new(),
            merged_into: None,
            reopened_ms: Vec::new(),
            flapping: None,
            run_before: 0,
            timeline: vec![(at_ms, record.clone())],
        };
        incident.track(alarm);
        Some(incident)
    }

    /// Whether the state machines allow `record` now; asked before it is written.
    ///
    /// # Errors
    /// A [`Refusal`] that says what stands in the way.
    pub fn check(&self, record: &Record) -> Result<(), Refusal> {
        if let Some(event) = incident_event(record) {
            self.state.after(event)?;
        }
        if let Some(event) = control_event(record) {
            if !self.ends_flapping(record) {
                self.control.after(event)?;
            }
            if !self.state.is_open() {
                return Err(Refusal {
                    event: format!("`{event}`"),
                    reason: format!("it is already {}", self.state),
                });
            }
        }
        self.check_lead(record)?;
        self.check_answer(record)?;
        self.check_follow_ups(record)?;
        self.check_jobs(record)?;
        self.escalation.check(record)?;
        self.telling.check(record)?;
        self.check_trouble(record)?;
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
        self.move_machines(at_ms, record);
        match record {
            Record::Held { by, reason } | Record::Aborted { by, reason } => {
                self.taken = Some((by.clone(), reason.clone()));
                self.void_questions(&format!("{by} took over: {reason}"));
            }
            Record::Closed { by, .. } => self.void_questions(&format!("{by} closed the incident")),
            Record::HandedBack { by } => {
                self.taken = None;
                self.end_flapping(&format!("{by} handed back"));
                self.person_needed = None;
            }
            Record::Stopped { by, .. } => self.void_questions(&format!("{by} stopped the server meanwhile")),
            Record::Restarted { server, by, key, .. }
                if *server == self.server && !key.starts_with(self.id.as_str()) =>
            {
                self.void_questions(&format!("{by} restarted the server meanwhile"));
            }
            Record::FollowUp { number, text, by } => {
                self.follow_ups.push(FollowUp {
                    number: *number,
                    text: text.clone(),
                    by: by.clone(),
                    done: None,
                });
            }
            Record::FollowUpDone { number, by, note } => {
                if let Some(one) = self.follow_ups.iter_mut().find(|one| one.number == *number) {
                    one.done = Some((at_ms, by.clone(), note.clone()));
                }
            }
            Record::Found { findings, .. } => {
                let key = |finding: &Finding| (finding.kind().to_owned(), finding.subject().to_owned());
                self.findings.extend(findings.iter().map(|finding| (key(finding), finding.clone())));
            }
            Record::CauseNamed { cause, why } => {
                self.cause.clone_from(cause);
                self.why.clone_from(why);
            }
            Record::Acknowledged { by } => {
                self.acknowledged.get_or_insert((at_ms, by.clone()));
            }
            Record::RunStarted { run } => {
                self.run = *run;
                self.clear_person_needed();
            }
            Record::PersonNeeded { reason } => self.person_needed = Some(reason.clone()),
            Record::Mitigated {} => {
                self.mitigated_ms = Some(at_ms);
                self.clear_person_needed();
            }
            Record::Resolved {} => self.resolved_ms = Some(at_ms),
            Record::StepStarted { step } => self.begin_step(at_ms, step),
            Record::StepEnded { step, end, reason } => self.end_step(at_ms, step, *end, reason),
            _ => {
                self.apply_trouble(at_ms, record);
                self.apply_unit(at_ms, record);
            }
        }
    }

    /// Takes the state machines where a record takes them.
    fn move_machines(&mut self, at_ms: i64, record: &Record) {
        if let Some(Ok(state)) = incident_event(record).map(|event| self.state.after(event)) {
            self.state = state;
        }
        if let Some(Ok(control)) = control_event(record).map(|event| self.control.after(event)) {
            self.control = control;
        }
        self.escalation.apply(at_ms, record, self.alarm.source, self.state, self.control);
        self.telling.apply(self.timeline.len() as u64 - 1, record);
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
            Record::Approved { .. } if self.unit(unit).is_some_and(UnitView::waits_for_another) => None,
            Record::Outcome { end: UnitEnd::Interrupted {}, .. } => Some(StepEvent::Interrupt),
            Record::Approved { .. } | Record::ApprovalEnded { .. } | Record::Intent { .. } => {
                Some(StepEvent::Run)
            }
            _ => None,
        };
        let waits = waits.filter(|_| !is_undo(unit));
        if let (Some(event), Some(step)) = (waits, self.steps.last_mut()) {
            step.state = step.state.after(event).unwrap_or(step.state);
        }
        self.units.entry(unit.clone()).or_default().apply(at_ms, record);
        self.apply_jobs(at_ms, record);
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

    /// Whether its report was written since it was opened, the last time.
    pub fn is_reported(&self) -> bool {
        self.since_opened().any(|record| matches!(record, Record::Reported { .. }))
    }

    /// The evidence that was kept.
    pub fn evidence(&self) -> impl Iterator<Item = &Captured> {
        self.timeline.iter().filter_map(|(_, record)| match record {
            Record::Captured(captured) => Some(captured),
            _ => None,
        })
    }
}

fn incident_event(record: &Record) -> Option<Event> {
    match record {
        Record::Acknowledged { .. } => Some(Event::Acknowledge),
        Record::SeenAgain { .. } => Some(Event::SeenAgain),
        Record::Mitigated {} => Some(Event::Mitigate),
        Record::Resolved {} => Some(Event::Resolve),
        Record::Closed { .. } | Record::Merged { .. } => Some(Event::Close),
        Record::DeadlinePassed { deadline: Deadline::AckTimeout { .. }, .. } => Some(Event::Lapse),
        Record::Reopened { .. } => Some(Event::Reopen),
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
