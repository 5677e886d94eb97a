//! Tests of the readers beside the commands that people use for the same, on this machine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod beside;
