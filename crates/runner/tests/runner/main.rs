//! Tests units with a real bash and real runners: this program is also the runner, started as `PROGRAM runner FOLDER`.
//!
//! The test harness takes those arguments for names of tests, so one test has "runner" in its name, and no other.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod background;
mod crash;
mod ending;
mod format;
mod hostile;
mod read_only;
mod role;
mod session;
mod state;
mod verbatim;
