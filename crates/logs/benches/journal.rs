//! Measures reading the journal of a unit beside `journalctl -o json`, over the files in the folder that `PARAMEDIC_BENCH_JOURNAL`
//! names: `cargo bench -p logs --bench journal`.
//!
//! Both write every field of every entry of the unit as a line of JSON, `journalctl` as a process, ours in a loop, in turns.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot measure fails by panicking")]

use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use logs::journal::{Wanted, files_in, read};

const ROUNDS: usize = 5;

fn main() {
    let Some(folder) = std::env::var_os("PARAMEDIC_BENCH_JOURNAL") else {
        println!("PARAMEDIC_BENCH_JOURNAL names no folder with journals");
        return;
    };
    let folder = Path::new(&folder);
    let unit = std::env::var("PARAMEDIC_BENCH_UNIT").unwrap_or_else(|_| "mcp-server-mem.service".to_owned());
    for unit in [Some(unit.as_str()), None] {
        let (mut ours, mut fields, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        let mut counts = Vec::new();
        for _ in 0..ROUNDS {
            ours.push(timed(|| counts.push(lines(folder, unit, true))));
            fields.push(timed(|| counts.push(lines(folder, unit, false))));
            theirs.push(timed(|| counts.push(journalctl(folder, unit))));
        }
        assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
        let [ours, fields, theirs] = [ours, fields, theirs].map(median);
        println!(
            "| {} ({} entries) | {ours:.0} | {fields:.0} | {theirs:.0} | {:.1} |",
            unit.unwrap_or("everything"),
            counts[0],
            theirs / ours
        );
    }
}

fn lines(folder: &Path, unit: Option<&str>, as_json: bool) -> usize {
    let wanted = Wanted { unit, entries_max: usize::MAX, ..Wanted::default() };
    let (mut line, mut bytes) = (String::new(), 0);
    let take = |entry: &logs::journal::Entry| {
        line.clear();
        if as_json {
            entry.write_json(&mut line);
        }
        bytes += line.len();
        ControlFlow::Continue(())
    };
    let read = read(&files_in(folder), &wanted, || true, take).unwrap();
    std::hint::black_box(bytes);
    read.entries
}

fn journalctl(folder: &Path, unit: Option<&str>) -> usize {
    let mut command = Command::new("journalctl");
    command.args(["--no-pager", "--output=json", "--all", "--directory"]).arg(folder);
    command.args(unit.map(|unit| format!("--unit={unit}")));
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    output.stdout.iter().filter(|byte| **byte == b'\n').count()
}

fn timed(what: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    what();
    begin.elapsed()
}

/// In milliseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}
