//! Tests the engine through its public face: a real journal, a small world, and a person or two.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod approvals;
mod back_again;
mod by_hand;
mod causes;
mod crash;
mod dedup;
mod duties;
mod escalation;
mod false_alarm;
mod fences;
mod grouping;
mod happy;
mod inhibiting;
mod interrupted;
mod jobs;
mod journal_refuses;
mod lethal;
mod loose_ends;
mod merging;
mod once_more;
mod parameters;
mod policy;
mod retention;
mod said;
mod shadow;
mod sim;
mod stage;
mod stops;
mod storm;
mod story;
mod two_people;
mod undo;
mod verify;
mod watches;
mod words;
mod world;
