//! Owns the tests of the crate over trees of real files.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alone;
mod backup;
mod check;
mod manifest;
mod mend;
mod site;
mod tree;
mod watch;
