//! Measures what searching a gigabyte of a guard's log takes, beside `grep` and `rg`.
//!
//! `cargo bench -p logs --bench search` prints the table of `docs/benchmarks.md`. All count lines, each in a process of its
//! own or a loop of ours, one after the other in each round, from a file that is in memory. `rg` is left out where it is not
//! in the path.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot measure fails by panicking")]

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use logs::{Analysis, Filter, Level, Lines, Pattern, Search};

const BYTES: u64 = 1 << 30;
const ROUNDS: usize = 5;
/// 2026-01-01, in milliseconds since the Unix epoch.
const BEGIN_MS: i64 = 1_767_225_600_000;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.log");
    let last_ms = write(&path);
    // Cargo runs a benchmark with `--bench`; whoever tests it wants only to know that it runs.
    let rounds = if std::env::args().any(|argument| argument == "--bench") { ROUNDS } else { 1 };
    for (what, text, is_regex) in [
        ("literal, exact case, 1 in 10,000", "ECONNREFUSED", false),
        ("literal, any case, 1 in 10,000", "econnrefused", false),
        ("literal that is nowhere", "NoSuchWordAtAll", false),
        ("regular expression", r"took [0-9]{4} ms.*ECONN[A-Z]+", true),
    ] {
        let pattern = if is_regex { Pattern::regex(text).unwrap() } else { Pattern::literal(text) };
        let any_case = !text.contains(|c: char| c.is_ascii_uppercase());
        let arguments = [if any_case { "-ci" } else { "-c" }, if is_regex { "-E" } else { "-F" }, text];
        let rg = ["-c", if any_case { "-i" } else { "-s" }, if is_regex { "-e" } else { "-F" }, text];
        let mut times = [Vec::new(), Vec::new(), Vec::new()];
        let mut counts = Vec::new();
        for _ in 0..rounds {
            times[0].push(timed(|| counts.push(count(&path, &pattern))));
            times[1].push(timed(|| counts.extend(command("grep", &arguments, &path))));
            times[2].push(timed(|| counts.extend(command("rg", &rg, &path))));
        }
        assert!(counts.iter().all(|count| *count == counts[0]), "{what}: {counts:?}");
        let [ours, grep, rg] = times.map(median);
        println!("| {what} ({} lines) | {ours:.0} | {grep:.0} | {rg:.0} |", counts[0]);
    }
    let since_ms = Some(last_ms - 60_000);
    let literal = || Some(Pattern::literal("ECONNREFUSED"));
    for (what, filter) in [
        (
            "the same literal, read, of the last minute, errors",
            Filter { pattern: literal(), level: Some(Level::Error), since_ms, ..Filter::default() },
        ),
        (
            "all of the last minute, errors",
            Filter { level: Some(Level::Error), since_ms, ..Filter::default() },
        ),
    ] {
        let times = (0..rounds).map(|_| timed(|| assert!(search(&path, &filter).count() > 0)));
        println!("| {what} | {:.0} | – | – |", median(times.collect()));
    }
    let filter = Filter::default();
    let analyze = || {
        let mut analysis = Analysis::default();
        search(&path, &filter).for_each(|entry| analysis.take(&entry));
        assert!(analysis.report().lines > 0);
    };
    println!("| all of it analysed, once | {:.0} | – | – |", timed(analyze).as_secs_f64() * 1e3);
}

/// Writes lines as a guard does; returns the time of the last one.
fn write(path: &Path) -> i64 {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let (mut bytes, mut number) = (0, 0_i64);
    while bytes < BYTES {
        let at_ms = BEGIN_MS + number * 7;
        let time = chrono::DateTime::from_timestamp_millis(at_ms).unwrap();
        let time = time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        let (level, event, words) = match number % 10_000 {
            17 => ("error", "error", "tools/call failed: connect ECONNREFUSED 10.0.0.1:5432"),
            n if n % 100 == 3 => ("warning", "system", "WARN the cache is nearly full"),
            _ => ("info", "response", "tools/call answered"),
        };
        let took = number * 37 % 9000;
        let line = format!(
            "{{\"duration_ms\":{took}.5,\"event\":\"{event}\",\"level\":\"{level}\",\"message\":\"took {took} ms: {words}\",\"method\":\"tools/call\",\"server\":\"notes\",\"session\":\"{:08x}\",\"tool\":\"add_note\",\"ts\":\"{time}\"}}\n",
            number % 97
        );
        file.write_all(line.as_bytes()).unwrap();
        bytes += line.len() as u64;
        number += 1;
    }
    file.flush().unwrap();
    BEGIN_MS + number * 7
}

fn count(path: &Path, pattern: &Pattern) -> u64 {
    let mut lines = Lines::new(File::open(path).unwrap());
    let mut n = 0;
    while lines.next(Some(pattern)).unwrap().is_some() {
        n += 1;
    }
    n
}

fn search<'f>(path: &Path, filter: &'f Filter) -> Search<'f> {
    Search::file(path, filter, |time| time.and_utc().timestamp_millis(), BEGIN_MS)
}

/// What a program counts; none where it is not there.
fn command(program: &str, arguments: &[&str], path: &Path) -> Option<u64> {
    let mut command = Command::new(program);
    command.args(arguments).arg(path).env("LC_ALL", "C.UTF-8").stderr(Stdio::inherit());
    let output = command.output().ok()?;
    // `rg` says nothing where there is nothing.
    Some(String::from_utf8(output.stdout).unwrap().trim().parse().unwrap_or(0))
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
