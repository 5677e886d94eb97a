//! Owns what was found out, what it may mean, and why: findings, the catalogue of causes, the rules that rank them.
//!
//! Commands and scripts write findings; [`read`] takes them in. [`rank`] lets every rule of a fixed table look at
//! them, [`named`] gives the one cause that stands out, or none, and [`explain`] says why in lines for people.
//! Nothing is learned and nothing is hidden: the table is [`RULES`], and `docs/causes.md` shows all of it.
//!
//! The findings of one call are those of one server at one moment. Their order tells nothing, so whoever has an
//! older and a newer finding of the same thing passes the newer one only.

mod cause;
mod explain;
mod finding;
pub mod kind;
mod pattern;
mod rank;
mod read;
mod relation;
mod rules;
mod trend;
mod words;

pub use cause::Cause;
pub use explain::{explain, why};
pub use finding::{Finding, Scalar, Severity};
pub use kind::Kind;
pub use pattern::{Is, Pattern, Test};
pub use rank::{Evidence, MARGIN, Ranked, Role, SCORE_MIN, Spoken, named, rank};
pub use read::{FINDINGS_MAX, Fault, Problem, read};
pub use rules::{RULES, Rule};
pub use trend::{Shape, Trend, trend};
pub use words::log_error;
