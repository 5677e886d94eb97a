//! Owns the tests of the whole product: the real program, real processes, and servers that no one here wrote.
//!
//! Each test has a folder, ports and processes of its own (see `site.rs`) and leaves nothing behind.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod approval;
mod authoring;
mod bad_input;
mod by_hand;
mod calling;
mod client;
mod crash;
mod demo;
mod guards;
mod hold;
mod jobs;
mod journal;
mod kills;
mod poll;
mod processes;
mod real;
mod receiver;
mod reports;
mod site;
mod story;
mod triage;
mod tune;
mod watch;
mod watching;
