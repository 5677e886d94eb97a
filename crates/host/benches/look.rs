//! Measures one whole look at the machine and one server beside the commands of the original runbook, with 100 to 5,000
//! processes more: `cargo bench -p host --bench look`. With the path of a `paramedic` in `PARAMEDIC_BENCH_PROGRAM` its whole
//! `diagnose` as well.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use host::{Roots, Sample, Subject, examine, snapshot};

/// Odd, so that there is one in the middle.
const TIMES: usize = 11;

/// What is measured beside our own: what the original runbook runs, where it is here.
const COMMANDS: [(&str, &[&str]); 7] = [
    ("ps", &["auxf"]),
    ("top", &["-bn1"]),
    ("ss", &["-tanp"]),
    ("netstat", &["-tulpn"]),
    ("lsof", &["-nP"]),
    ("df", &["-h"]),
    ("free", &["-b"]),
];

/// The middle of several times, in milliseconds.
fn median(mut once: impl FnMut()) -> f64 {
    let mut took: Vec<f64> = (0..TIMES)
        .map(|_| {
            let started = Instant::now();
            once();
            started.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    took.sort_by(f64::total_cmp);
    took[TIMES / 2]
}

fn runs(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}

fn main() {
    let me = i32::try_from(std::process::id()).unwrap();
    let roots = Roots::default();
    let mut children: Vec<Child> = Vec::new();
    println!(
        "median of {TIMES} in milliseconds, one thread; `examine` is all that diagnose reads of the host"
    );
    for wanted in [0, 100, 300, 500, 1_000, 5_000] {
        while children.len() < wanted {
            match Command::new("sleep").arg("3600").stdin(Stdio::null()).spawn() {
                Ok(child) => children.push(child),
                Err(error) => {
                    println!("no more than {} processes: {error}", children.len());
                    break;
                }
            }
        }
        let count = snapshot(&roots, None, 0).process_count.unwrap();
        println!("\n{count} processes");
        let subject = Subject::process(me);
        let whole = median(|| drop(black_box(examine(&roots, &subject, 0, |_| {}))));
        println!("  {:<12} {whole:>9.1}", "examine");
        println!("  {:<12} {:>9.1}", "snapshot", median(|| drop(black_box(snapshot(&roots, Some(me), 0)))));
        println!("  {:<12} {:>9.1}", "rates", median(|| drop(black_box(Sample::take(&roots)))));
        if let Some(program) = std::env::var_os("PARAMEDIC_BENCH_PROGRAM") {
            let args = ["diagnose", "--pid", &me.to_string(), "-o", "json"];
            let took = median(|| assert!(black_box(runs(program.to_str().unwrap(), &args))));
            println!("  {:<12} {took:>9.1}", "diagnose");
        }
        for (program, args) in COMMANDS {
            if !runs(program, args) {
                println!("  {program:<12} not here");
                continue;
            }
            let took = median(|| assert!(black_box(runs(program, args))));
            println!("  {:<12} {took:>9.1}   {:>5.1} x", program, took / whole);
        }
    }
    for mut child in children {
        let _ = child.kill();
        let _ = child.wait();
    }
}
