//! Owns running the tests of this program: by name, each in a thread of its own, reported as cargo does.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

/// A test's name and body.
pub(crate) type Test = (&'static str, fn());

/// Runs those tests whose name contains one of the arguments, or all of them.
pub(crate) fn run(args: &[String], tests: &[Test]) -> ExitCode {
    let wanted: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let listing = args.iter().any(|arg| arg == "--list");
    let mut failed = 0;
    for (name, body) in tests {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        if listing {
            println!("{name}: test");
            continue;
        }
        let started = Instant::now();
        let thread = thread::Builder::new().name((*name).to_owned()).spawn(*body).expect("a thread");
        let verdict = if thread.join().is_ok() { "ok" } else { "FAILED" };
        failed += usize::from(verdict == "FAILED");
        println!("test {name} ... {verdict} ({} ms)", started.elapsed().as_millis());
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Asks until `condition` gives something; the deadline is only reached when the test fails.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: not within 20 s");
        thread::sleep(Duration::from_millis(5));
    }
}
