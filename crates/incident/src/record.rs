//! Owns what the journal says of incidents: one record for everything that happened, in version 1 of its form.
//!
//! A record is stored as the JSON body of a journal entry whose kind is the record's `kind`. The form is
//! frozen by a test: a new field is optional, and a change of meaning is a new version.

mod blobs;
mod calls;
mod facts;
mod heard;
mod withheld;

use std::collections::BTreeMap;

use diagnosis::Finding;
use serde::{Deserialize, Serialize};

use crate::change::Change;
pub use calls::{Deadline, News};
pub use facts::{
    Alarm, AlertFacts, ApprovalEnd, Captured, ExitFacts, Output, RunbookPin, Source, Step, StepEnd, UnitEnd,
    UnitRef, WatchEnd,
};
pub use heard::{Heard, HeardState};
pub use withheld::{Keeper, Withheld};

/// The version of the form below, written beside each entry.
pub const VERSION: u32 = 1;

/// One thing that happened in an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are named by the types beside them and by the record")]
pub enum Record {
    /// The incident was opened, bound to one procedure of one version of a runbook.
    Opened {
        server: String,
        procedure: String,
        title: String,
        alarm: Alarm,
        runbook: RunbookPin,
        response_time_ms: Option<u64>,
        /// The failed dependency that it is about, with its target: further dependants join it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dependency: Option<String>,
        /// The incident of the same trouble that ended shortly before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        earlier: Option<String>,
    },
    /// The same alert was seen again while the incident was open.
    SeenAgain { alarm: Alarm },
    /// A person, or the runbook's own step, took notice.
    Acknowledged { by: String },
    /// Volatile evidence was kept.
    Captured(Captured),
    /// The procedure is walked through, for the `run`th time.
    RunStarted { run: u32 },
    /// A step began.
    StepStarted { step: Step },
    /// A unit was not run, and why.
    UnitSkipped {
        unit: UnitRef,
        statement: String,
        reason: String,
        /// What policy would have done with it, where it was policy that kept it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        withheld: Option<Withheld>,
    },
    /// A unit waits for a person's word.
    ApprovalAsked {
        unit: UnitRef,
        statement: String,
        effect: String,
        reason: String,
        binding: String,
        missing: Vec<String>,
        expires_ms: i64,
        /// How many people have to say yes; one where it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        people: Option<u32>,
    },
    /// A person approved a unit; `values` are parameters that were missing.
    Approved { unit: UnitRef, by: String, binding: String, values: BTreeMap<String, String> },
    /// An approval that was asked for came to nothing.
    ApprovalEnded { unit: UnitRef, end: ApprovalEnd, by: Option<String>, reason: String },
    /// A unit is about to be run: durable before anything starts.
    Intent {
        unit: UnitRef,
        attempt: u32,
        statement: String,
        effect: String,
        key: String,
        folder: String,
        /// The values of the parameters that the statement reads.
        values: BTreeMap<String, String>,
    },
    /// A unit has ended.
    Outcome {
        unit: UnitRef,
        attempt: u32,
        end: UnitEnd,
        meaning: String,
        started_ms: Option<i64>,
        finished_ms: Option<i64>,
        stdout: Option<Output>,
        stderr: Option<Output>,
        /// How long its background jobs run on, at most; absent where nothing of it runs any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        background_ms: Option<u64>,
    },
    /// The background jobs of a unit have ended, and why. They ran on for `took_ms` after their statement; the outputs are
    /// all that the unit has printed, what its outcome has included.
    BackgroundEnded {
        unit: UnitRef,
        attempt: u32,
        reason: String,
        took_ms: u64,
        stdout: Option<Output>,
        stderr: Option<Output>,
    },
    /// What the unit was to bring about was looked at: `satisfied` or what is wrong.
    UnitVerified { unit: UnitRef, condition: String, problem: Option<String> },
    /// A step ended.
    StepEnded { step: Step, end: StepEnd, reason: String },
    /// A server was restarted by its owner.
    Restarted {
        server: String,
        by: String,
        key: String,
        pid: Option<i32>,
        start_ms: Option<u64>,
        problem: Option<String>,
    },
    /// Recovery was verified by `probes` good answers in a row over `period_ms`, with the process unchanged.
    Verified { probes: u32, period_ms: u64, incarnation: Option<u64> },
    /// Recovery could not be verified.
    NotVerified { reason: String },
    /// The machine is done here: somebody has to look.
    PersonNeeded { reason: String },
    /// The alert that opened the incident no longer fires.
    AlertResolved {},
    /// Service is back; the incident is mitigated.
    Mitigated {},
    /// Mitigated, and the alert is resolved.
    Resolved {},
    /// A person, or the end of a procedure followed by hand, closed it.
    Closed { by: String, reason: String },
    /// The report was written.
    Reported { path: String },
    /// A person took over: the machine looks, and changes nothing.
    Held { by: String, reason: String },
    /// A person handed back to the machine.
    HandedBack { by: String },
    /// A person ended the machine's part.
    Aborted { by: String, reason: String },
    /// A person stopped a server of their own will.
    Stopped { server: String, by: String },
    /// A person added what only people know.
    Noted { by: String, text: String },
    /// More people were called.
    Escalated { by: String, to: String, reason: String },
    /// Something has to be done when it is over.
    FollowUp { number: u32, text: String, by: String },
    /// It was done.
    FollowUpDone { number: u32, by: String, note: String },
    /// Something was found: by a unit, or without one in the alarm and the host snapshot.
    Found { unit: Option<UnitRef>, findings: Vec<Finding> },
    /// What the findings point to now; `None` where no cause stands out. `why` is for people.
    CauseNamed { cause: Option<String>, why: Vec<String> },
    /// A person says that a documentation duty of the procedure is met, by its number from 1; `follow_up` is the
    /// one that has to be done before it is.
    DutyMet {
        duty: u32,
        by: String,
        note: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        follow_up: Option<u32>,
    },
    /// The statements of a fence are looked at again and again from now on, for `limit_ms` at most; `unit` is the first.
    WatchStarted { unit: UnitRef, until: Option<String>, every_ms: u64, limit_ms: u64 },
    /// A statement of a watch ended otherwise than in the round before; `stdout` is what it printed then.
    WatchChanged { unit: UnitRef, round: u32, end: UnitEnd, meaning: String, stdout: Option<Output> },
    /// A watch is over; `unit` is the first of its statements. Rounds before a restart of the engine count up to the
    /// last one in which something changed.
    WatchEnded { unit: UnitRef, end: WatchEnd, rounds: u32, took_ms: u64, reason: String },
    /// What takes a unit back, by its author; known before the unit is run.
    UndoKept { unit: UnitRef, statement: String },
    /// A command of the product changed something, and the value before is kept. `number` counts from 1 in the
    /// incident, and is 0 outside of one; `unit` ran the command, where a person did not.
    Changed { number: u32, unit: Option<UnitRef>, by: String, change: Change },
    /// A deadline has passed, which was due at `due_ms`, and what that means; `to` are told.
    DeadlinePassed { deadline: Deadline, due_ms: i64, to: Vec<String>, reason: String },
    /// A criterion of the runbook for calling more people holds, and why; `to` are called, once.
    CriterionMet { criterion: String, to: Vec<String>, reason: String },
    /// `to` have to be told of the record at the place `about` in the timeline: durable before anybody is.
    NotificationAsked {
        about: u64,
        news: News,
        to: Vec<String>,
        /// Why they are not those that were meant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// One of them was told, or could not be; then `instead` is told.
    NotificationEnded {
        about: u64,
        contact: String,
        attempts: u32,
        problem: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instead: Option<String>,
    },
    /// Another server has the same trouble for the same reason: it is listed here and gets no incident of its own.
    Joined { server: String, alarm: Alarm, reason: String },
    /// One of several alerts of the incident no longer fires.
    AlertOver { server: String, alert: String, fingerprint: String },
    /// The trouble came back shortly after the incident was resolved.
    Reopened {
        alarm: Alarm,
        /// Why it counts as flapping from now on, where it does: the machine looks, and changes nothing without a yes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        flapping: Option<String>,
    },
    /// It has been quiet for long enough.
    FlappingEnded { reason: String },
    /// Another incident of the server has the same cause and goes on for both; this one is closed.
    Merged { into: String, reason: String },
    /// An incident was merged into this one, which now answers its alerts too.
    Absorbed {
        from: String,
        procedure: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dependency: Option<String>,
        alerts: Vec<AlertFacts>,
        reason: String,
    },
    /// An alert that says nothing new while the one of this incident fires.
    Inhibited { alert: AlertFacts, by: String },
    /// Alerts that match were silenced.
    Silenced { number: u32, matchers: Vec<String>, starts_ms: i64, ends_ms: i64, by: String, comment: String },
    /// What another system told of alerts, as far as it was news.
    AlertsHeard { from: String, alerts: Vec<Heard> },
    /// Records on alerts that ended before this moment may be gone, to save room: what began before it is over.
    AlertsForgotten { before_ms: i64 },
    /// A silence was ended before its time.
    SilenceExpired { number: u32, by: String },
}

impl Record {
    /// The kind under which the journal files it, which is the `kind` of its JSON form.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::SeenAgain { .. } => "seen_again",
            Self::Acknowledged { .. } => "acknowledged",
            Self::Captured(_) => "captured",
            Self::RunStarted { .. } => "run_started",
            Self::StepStarted { .. } => "step_started",
            Self::UnitSkipped { .. } => "unit_skipped",
            Self::ApprovalAsked { .. } => "approval_asked",
            Self::Approved { .. } => "approved",
            Self::ApprovalEnded { .. } => "approval_ended",
            Self::Intent { .. } => "intent",
            Self::Outcome { .. } => "outcome",
            Self::BackgroundEnded { .. } => "background_ended",
            Self::UnitVerified { .. } => "unit_verified",
            Self::StepEnded { .. } => "step_ended",
            Self::Restarted { .. } => "restarted",
            Self::Verified { .. } => "verified",
            Self::NotVerified { .. } => "not_verified",
            Self::PersonNeeded { .. } => "person_needed",
            Self::AlertResolved {} => "alert_resolved",
            Self::Mitigated {} => "mitigated",
            Self::Resolved {} => "resolved",
            Self::Closed { .. } => "closed",
            Self::Reported { .. } => "reported",
            Self::Held { .. } => "held",
            Self::HandedBack { .. } => "handed_back",
            Self::Aborted { .. } => "aborted",
            Self::Stopped { .. } => "stopped",
            Self::Noted { .. } => "noted",
            Self::Escalated { .. } => "escalated",
            Self::FollowUp { .. } => "follow_up",
            Self::FollowUpDone { .. } => "follow_up_done",
            Self::Found { .. } => "found",
            Self::CauseNamed { .. } => "cause_named",
            Self::DutyMet { .. } => "duty_met",
            Self::WatchStarted { .. } => "watch_started",
            Self::WatchChanged { .. } => "watch_changed",
            Self::WatchEnded { .. } => "watch_ended",
            Self::UndoKept { .. } => "undo_kept",
            Self::Changed { .. } => "changed",
            Self::DeadlinePassed { .. } => "deadline_passed",
            Self::CriterionMet { .. } => "criterion_met",
            Self::NotificationAsked { .. } => "notification_asked",
            Self::NotificationEnded { .. } => "notification_ended",
            Self::Joined { .. } => "joined",
            Self::AlertOver { .. } => "alert_over",
            Self::Reopened { .. } => "reopened",
            Self::FlappingEnded { .. } => "flapping_ended",
            Self::Merged { .. } => "merged",
            Self::Absorbed { .. } => "absorbed",
            Self::Inhibited { .. } => "inhibited",
            Self::Silenced { .. } => "silenced",
            Self::AlertsHeard { .. } => "alerts_heard",
            Self::AlertsForgotten { .. } => "alerts_forgotten",
            Self::SilenceExpired { .. } => "silence_expired",
        }
    }
}

#[cfg(test)]
mod tests;
