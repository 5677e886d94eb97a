//! Owns running the PromQL cases of a folder by hand: `cargo xtask promqltest DIR`.

// The tests of the crate run their cases with the same code.
#[path = "../tests/it/promqltest/mod.rs"]
mod promqltest;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: promqltest DIR");
        return ExitCode::from(2);
    };
    match promqltest::run_folder(Path::new(&folder)) {
        Ok(report) => {
            println!("{report}");
            if report.passed == report.total { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::from(2)
        }
    }
}
