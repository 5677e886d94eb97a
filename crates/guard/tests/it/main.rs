//! Owns the integration tests of the guard, and the roles that they start this same program in.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod batches;
mod clients;
mod cold;
mod conformance;
mod control;
mod exhaustion;
mod fake;
mod fake_http;
mod faults;
mod faults_named;
mod fixture;
mod guarded;
mod half_open;
mod handover;
mod hostile;
mod http_sse;
mod limits;
mod operations;
#[path = "../../../process/tests/it/poll.rs"]
mod poll;
mod private;
mod protocol;
mod questions;
mod real;
mod security;
mod spans;
mod stdio;
mod stdio_client;
mod streams;
#[path = "../../../process/tests/it/tests_main.rs"]
mod tests_main;
mod upstream;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("lifeline") => {
            let number = args[2].parse().expect("a descriptor");
            process::lifeline::run(number, &args[4..])
        }
        Some("guard") => guarded::role(&args[1..]),
        Some("guard-stdio") => stdio_client::role(&args[1..]),
        Some("knock") => operations::knock(&args[1..]),
        Some("fixture") => fixture::role(),
        Some("fake") => fake::role(&args[1..]),
        _ => tests_main::run(&args, &all()),
    }
}

/// All tests.
fn all() -> Vec<tests_main::Test> {
    [
        protocol::TESTS,
        questions::TESTS,
        streams::TESTS,
        faults::TESTS,
        control::TESTS,
        stdio::TESTS,
        operations::TESTS,
        limits::TESTS,
        security::TESTS,
        hostile::TESTS,
        spans::TESTS,
        clients::TESTS,
        handover::TESTS,
        upstream::TESTS,
        http_sse::TESTS,
        half_open::TESTS,
        conformance::TESTS,
        batches::TESTS,
        private::TESTS,
        bad_input::TESTS,
        exhaustion::TESTS,
        faults_named::TESTS,
        real::TESTS,
    ]
    .concat()
}
