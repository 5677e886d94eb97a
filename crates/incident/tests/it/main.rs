//! Tests the engine through its public face: a real journal, a small world, and a person or two.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod approvals;
mod back_again;
mod by_hand;
mod causes;
mod crash;
mod dedup;
mod fences;
mod grouping;
mod happy;
mod inhibiting;
mod interrupted;
mod journal_refuses;
mod merging;
mod once_more;
mod parameters;
mod policy;
mod said;
mod stage;
mod stops;
mod story;
mod two_people;
mod words;
mod world;
