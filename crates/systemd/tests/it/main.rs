//! Owns the tests with a real systemd, each in a machine of its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../../tests/machine/mod.rs"]
mod machine;

mod discovery;
mod drop_ins;
mod jobs;
mod journals;
mod permissions;
mod shipped;
mod watching;
