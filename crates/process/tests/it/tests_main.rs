//! Owns running the tests of this program: by name, each in a thread of its own, reported as cargo does.

use std::process::ExitCode;
use std::thread;
use std::time::Instant;

/// A test's name and body.
pub(crate) type Test = (&'static str, fn());

/// Runs those tests whose name contains one of the arguments, or all of them.
pub(crate) fn run(args: &[String], tests: &[Test]) -> ExitCode {
    let wanted: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let listing = args.iter().any(|arg| arg == "--list");
    let (mut passed, mut failed) = (0, 0);
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
        *if verdict == "ok" { &mut passed } else { &mut failed } += 1;
        println!("test {name} ... {verdict} ({} ms)", started.elapsed().as_millis());
    }
    if !listing {
        let verdict = if failed == 0 { "ok" } else { "FAILED" };
        println!(
            "\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out\n"
        );
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
