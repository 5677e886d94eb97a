//! Owns the incident: from a firing alert, over the steps of the runbook, to verified recovery and the report.
//!
//! Everything that happened is a [`Record`] in the journal; an [`Incident`] is a fold over its records and
//! holds nothing else. The [`Engine`] walks the procedure over that fold, so that a walk that was cut short
//! by a crash continues where the journal ends.

mod approval;
mod control;
mod engine;
mod error_chain;
mod evidence;
mod findings;
mod flapping;
mod fold;
mod id;
mod inhibition;
mod ledger;
mod merging;
mod policy;
mod record;
mod recovery;
mod report;
mod shelf;
mod state;
mod triage;
mod word;
mod world;

pub use approval::Binding;
pub use control::{Control, ControlEvent};
pub use engine::{Engine, EngineError, Fired, Settings, Suppressed, Verification};
pub use error_chain::error_chain;
pub use flapping::Flapping;
pub use fold::{Approved, Asked, Ended, FollowUp, Incident, Intended, Place, StepView, Tracked, UnitView};
pub use id::IncidentId;
pub use ledger::Happening;
pub use policy::{
    Approve, Decision, Hold, Kill, Maintenance, MaintenanceError, Mode, Policy, Request, Storm, Trouble,
    Window,
};
pub use record::{
    Alarm, AlertFacts, ApprovalEnd, Captured, ExitFacts, Output, Record, RunbookPin, Source, Step, StepEnd,
    UnitEnd, UnitRef, VERSION,
};
pub use recovery::{Goal, Progress, Reading, Recovery};
pub use report::{describe, duration, render};
pub use shelf::{Book, Shelf};
pub use state::{Event, Refusal, State, StepEvent, StepState};
pub use triage::{Firing, Triage};
pub use word::Word;
pub use world::World;
