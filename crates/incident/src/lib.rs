//! Owns the incident: from a firing alert, over the steps of the runbook, to verified recovery and the report.
//!
//! Everything that happened is a [`Record`] in the journal; an [`Incident`] is a fold over its records and
//! holds nothing else. The [`Engine`] walks the procedure over that fold, so that a walk that was cut short
//! by a crash continues where the journal ends.

mod approval;
pub mod change;
mod clocks;
mod control;
mod engine;
mod error_chain;
mod escalation;
mod evidence;
mod findings;
mod flapping;
mod fold;
mod id;
mod inbound;
mod inhibition;
mod ledger;
mod merging;
mod notice;
mod policy;
mod record;
mod recovery;
mod report;
mod retention;
mod shelf;
mod state;
mod store;
mod triage;
mod turns;
mod verify;
mod word;
mod world;

pub use approval::Binding;
pub use clocks::Clocks;
pub use control::{Control, ControlEvent};
pub use engine::{Engine, EngineError, Fired, Settings, Suppressed, Undone, Verification};
pub use error_chain::error_chain;
pub use escalation::{Answerer, Called, Calling, CallingEvent, Escalating, Escalation, Level, Wanted};
pub use findings::findings_of_exit;
pub use flapping::Flapping;
pub use fold::{
    Approved, Asked, Ended, Fate, FollowUp, Incident, Intended, Job, Made, Place, StepView, Takeback,
    Tracked, UnitView, Watched,
};
pub use id::IncidentId;
pub use inbound::{STANDING_MAX, Standing, Verdict};
pub use ledger::{Happening, loose_draft};
pub use merging::is_security;
pub use notice::Notice;
pub use policy::{
    Approve, Decision, Hold, Kill, Maintenance, MaintenanceError, Mode, Policy, Request, Storm, Trouble,
    Window,
};
pub use record::{
    Alarm, AlertFacts, ApprovalEnd, Captured, Deadline, ExitFacts, Heard, HeardState, Keeper, News, Output,
    Record, RunbookPin, Source, Step, StepEnd, UnitEnd, UnitRef, VERSION, WatchEnd, Withheld,
};
pub use recovery::{Goal, Progress, Reading, Recovery};
pub use report::{
    Alert, Answer, Cause, Change, Clock, Command, DataRecovery, DutyReport, ErrorSeen, FollowUpReport,
    Moment, NotRun, Note, PhaseTime, Question, Report, Shadow, StepReport, TroubleReport, Values,
    Withholding, describe, duration, plain,
};
pub use retention::Kept;
pub use shelf::{Book, Shelf};
pub use state::{Event, Refusal, State, StepEvent, StepState};
pub use store::{Answered, Store};
pub use triage::{Firing, Triage};
pub use verify::{BadBlob, Verified, verify_stores};
pub use word::Word;
pub use world::{Preserved, World};
