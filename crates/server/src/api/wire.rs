//! Owns the JSON forms of the API.

mod alerts;
mod commands;
mod evidence;
mod incidents;
mod journal;
mod lists;
mod logs;
mod looks;
mod problem;
mod runbooks;
mod schemas;
mod servers;
mod switches;
mod tokens;
mod traces;

pub use alerts::{AddSilence, AlertStatus, SilenceStatus};
pub use commands::{Collect, Collected, Depth, Diagnosis, EvidenceKey, Tune, Tuned};
pub use evidence::{BundleCheck, BundleQuestion, BundleSummary, BundleVerification, NoteCheck};
pub use incidents::{
    Approve, Asked, Detail, Happened, IncidentQuestion, Open, Reject, ReportFormat, Say, Severity, Summary,
    Undo, Undone, Watch,
};
pub use journal::{JournalEntry, JournalQuestion, JournalVerification};
pub use lists::{LIMIT_MAX, ListQuestion};
pub use logs::{LogLine, LogLines, LogQuestion};
pub use looks::{CheckData, Look, LookForm, LookQuestion, MakeBackup};
pub use problem::Problem;
pub use runbooks::{ProcedureSummary, RunbookDetail, RunbookFinding, RunbookSummary};
pub use servers::{Done, Health, Made, Order, OrderControl, Outcome, ServerStatus, Signs, SignsRead};
pub use switches::{KillSwitchStatus, StartMaintenance, ThrowKillSwitch};
pub use tokens::{By, NewToken};
pub use traces::{TraceQuestion, TraceSummary};
