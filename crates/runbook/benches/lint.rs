//! Measures linting: one document, a thousand of them on one core, and the same files under other tools, in one run.
//!
//! `cargo bench -p runbook --bench lint` prints the tables of `docs/benchmarks.md`. The documents are the original
//! runbook (where it is at hand, otherwise the shipped one). `shellcheck` and `markdownlint` are measured where they are
//! on the PATH; each of those reads all files in one process.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot measure fails by panicking")]

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use runbook::lint::{Config, lint};

/// How often each quantity is taken.
const RUNS: usize = 21;

/// How many documents the large set has.
const N_DOCUMENTS: usize = 1000;

fn main() {
    let (name, text) = document();
    println!("{name}: {} bytes, {} lines\n", text.len(), text.lines().count());
    println!("| what | min | median | max |\n|---|---:|---:|---:|");
    let parsing = samples(RUNS, || {
        black_box(runbook::parse(&name, black_box(text.as_bytes())));
    });
    println!("| parse | {} |", cells(&parsing));
    let linting = samples(RUNS, || {
        black_box(lint(&name, black_box(text.as_bytes()), &Config::default(), None));
    });
    println!("| parse and lint | {} |", cells(&linting));
    let many = samples(3, || {
        for _ in 0..N_DOCUMENTS {
            black_box(lint(&name, black_box(text.as_bytes()), &Config::default(), None));
        }
    });
    println!("| parse and lint {N_DOCUMENTS} of them, one core | {} |", cells(&many));
    beside_others(&text);
}

/// The same files under other tools, each started once for all of them.
fn beside_others(text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let n_files = 100;
    let (mut books, mut scripts) = (Vec::new(), Vec::new());
    for idx in 0..n_files {
        let book = folder.path().join(format!("{idx}.md"));
        fs::write(&book, text).unwrap();
        books.push(book);
        let script = folder.path().join(format!("{idx}.sh"));
        fs::write(&script, fences(text)).unwrap();
        scripts.push(script);
    }
    let megabytes = (text.len() * n_files) as f64 / 1e6;
    println!("\n{n_files} of them in files, {megabytes:.1} MB:\n");
    println!("| tool | seconds | MB/s |\n|---|---:|---:|");
    let ours = samples(3, || {
        for book in &books {
            let bytes = fs::read(book).unwrap();
            black_box(lint("x.md", &bytes, &Config::default(), None));
        }
    });
    throughput("paramedic", ours[1], megabytes);
    for (tool, arguments, files) in
        [("shellcheck", ["-s", "bash"].as_slice(), &scripts), ("markdownlint", [].as_slice(), &books)]
    {
        let Some(program) = on_path(tool) else {
            println!("| {tool} | not on the PATH | |");
            continue;
        };
        let taken = samples(3, || {
            let mut command = Command::new(&program);
            command.args(arguments).args(files).stdout(Stdio::null()).stderr(Stdio::null());
            let _found = command.status().unwrap();
        });
        throughput(tool, taken[1], megabytes);
    }
}

fn throughput(tool: &str, taken: Duration, megabytes: f64) {
    println!("| {tool} | {:.3} | {:.2} |", taken.as_secs_f64(), megabytes / taken.as_secs_f64());
}

/// The shell of all fences: what a checker of scripts can be given.
fn fences(text: &str) -> String {
    let (mut inside, mut out) = (false, String::new());
    for line in text.lines() {
        let line = line.strip_prefix("   ").unwrap_or(line);
        match line.starts_with("```") {
            true => inside = !inside,
            false if inside => out += &format!("{line}\n"),
            false => {}
        }
    }
    out
}

fn document() -> (String, String) {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared =
        std::env::var_os("PARAMEDIC_SHARED").map_or_else(|| manifest.join("../../../shared"), PathBuf::from);
    let original = fs::read_to_string(shared.join("seed/incident_response_runbooks.md"));
    match original {
        Ok(text) => ("the original runbook".to_owned(), text),
        Err(_) => {
            let text = fs::read_to_string(manifest.join("../../runbooks/server-down.md")).unwrap();
            ("runbooks/server-down.md".to_owned(), text)
        }
    }
}

fn on_path(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(tool)).find(|path| path.is_file())
}

/// Takes samples and sorts them.
fn samples(runs: usize, mut work: impl FnMut()) -> Vec<Duration> {
    let mut taken: Vec<Duration> = (0..runs)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed()
        })
        .collect();
    taken.sort();
    taken
}

fn cells(sorted: &[Duration]) -> String {
    let ms = |at: usize| format!("{:.2} ms", sorted[at].as_secs_f64() * 1000.0);
    format!("{} | {} | {}", ms(0), ms(sorted.len() / 2), ms(sorted.len() - 1))
}
