//! Owns the integration tests of the crate, and the roles that they start this same program in.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod detached;
mod lifelines;
mod poll;
mod tests_main;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("lifeline") => {
            let number = args[2].parse().expect("a descriptor");
            process::lifeline::run(number, &args[4..])
        }
        Some("owner") => lifelines::owner(&args[1..]),
        _ => tests_main::run(&args, &[lifelines::TESTS, detached::TESTS].concat()),
    }
}
