//! Owns runbooks: Markdown becomes procedures, phases, steps and fences, and shell text becomes units with effects.
//!
//! Everything here is pure: bytes in, a [`Runbook`] and [`Diagnostic`]s out. Parsing never fails; a statement that is
//! not understood is a unit of effect [`Effect::Unknown`], with the reason in words.

mod attributes;
mod bash;
mod budget;
mod condition;
mod diagnostic;
mod duration;
mod duty;
mod effect;
mod escalation;
pub mod exits;
pub mod export;
mod front;
pub mod lint;
mod markdown;
mod outline;
mod procedure;
mod shell;
mod step;
mod watch;

pub use attributes::{Approve, Attributes};
pub use condition::{Condition, ConditionError, NAMES as CONDITION_NAMES};
pub use diagnostic::{Diagnostic, Level};
pub use duration::{Window, parse_duration};
pub use duty::{Asks, Duty};
pub use effect::{Effect, Stated, Table, TableError, Trust, statements};
pub use escalation::{Among, Criterion, Subject};
pub use front::FrontMatter;
pub use markdown::parse;
pub use procedure::{AlertSpec, Parameter, Phase, Procedure, Runbook, Severity};
pub use shell::is_reserved_variable;
pub use step::{Fence, Language, Step, Unit};
pub use watch::Watch;
