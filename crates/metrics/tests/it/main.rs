//! Owns the tests of the crate from outside: PromQL by cases, and beside a real Prometheus.

mod cases;
#[path = "../../../../tests/product/poll.rs"]
mod poll;
mod prometheus;
mod promqltest;
mod promtool;
