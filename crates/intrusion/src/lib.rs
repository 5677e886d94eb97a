//! Owns what a machine shows of an intrusion: sign-ins, processes, files and traffic, each beside what is known of a server.
//!
//! What belongs is learned only when a person says so ([`Baseline`]). A [`Sign`] says when, who, what, how sure that is, and
//! has the raw line or the place that shows it. [`Picture`] joins the signs of all sources by time and by who took part. All of
//! it blocks, reads within bounds, and says what it could not read.

mod access;
mod baseline;
mod event;
mod files;
mod impact;
mod picture;
mod processes;
mod sign;
mod sources;
mod traffic;

pub use access::Known;
pub use baseline::{Baseline, BaselineError};
pub use event::{Event, What, classify};
pub use files::{Files, PLACES};
pub use impact::Impact;
pub use picture::{Assessment, Confidence, Picture, Row};
pub use processes::{Belonging, Scene};
pub use sign::{Attack, Certainty, Sign};
pub use sources::{Events, events};
pub use traffic::Traffic;
