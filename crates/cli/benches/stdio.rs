//! Measures what `paramedic guard --stdio` adds: a client asks one thing after the other, through the guard and without it.
//!
//! `cargo bench -p cli --bench stdio` prints the table of `docs/benchmarks.md`. Both ways are asked in turns, so that
//! whatever else the machine does meets both.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot measure fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

const EXE: &str = env!("CARGO_BIN_EXE_paramedic");

/// How often the two ways take turns, and how much is asked in each.
const TURNS: usize = 20;

/// What is asked, and how often in a turn.
struct Subject {
    name: &'static str,
    server: &'static [&'static str],
    line: Vec<u8>,
    asks: usize,
}

/// A server, behind a guard or not.
struct Server {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    heard: Vec<u8>,
}

fn main() {
    println!("| what is asked | way | p50 | p99 | max | per second |\n|---|---|---:|---:|---:|---:|");
    for subject in subjects() {
        let folder = tempfile::tempdir().unwrap();
        let mut bare = Server::start(&[], subject.server);
        let config = folder.path().join("paramedic.toml");
        std::fs::write(&config, "data_dir = \"data\"\n").unwrap();
        let guard = [EXE, "guard", "--stdio", "--config", config.to_str().unwrap(), "--"];
        let mut guarded = Server::start(&guard, subject.server);
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for turn in 0..=TURNS {
            let (one, other) = (bare.ask(&subject), guarded.ask(&subject));
            // The first turn warms up.
            if turn > 0 {
                without.extend(one);
                with.extend(other);
            }
        }
        print(subject.name, "bare pipe", without);
        print(subject.name, "through the guard", with);
        let rss = rss_kib(guarded.process.id());
        guarded.end();
        bare.end();
        println!("| {} | *memory of the guard* | {} KiB | | | |", subject.name, rss);
    }
}

fn subjects() -> [Subject; 4] {
    let frame = |bytes: usize| {
        let params = json!({"level": "info", "data": "x".repeat(bytes)});
        let message = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": params});
        format!("{message}\n").into_bytes()
    };
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    [
        Subject { name: "`cat`, 200 bytes", server: &["cat"], line: frame(118), asks: 500 },
        Subject {
            name: "demo server, `ping`",
            server: &[EXE, "demo-server", "sums"],
            line: format!("{ping}\n").into_bytes(),
            asks: 500,
        },
        Subject { name: "`cat`, 64 KiB", server: &["cat"], line: frame(64 << 10), asks: 100 },
        Subject { name: "`cat`, 1 MiB", server: &["cat"], line: frame(1 << 20), asks: 10 },
    ]
}

impl Server {
    fn start(before: &[&str], server: &[&str]) -> Self {
        let words = [before, server].concat();
        let mut process = Command::new(words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let mut server = Self { process, stdin, stdout: BufReader::new(stdout), heard: Vec::new() };
        // Met once, whatever it is: what only says what it hears says this.
        let info = json!({"name": "bench", "version": "1"});
        let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info});
        let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        server.one(format!("{initialize}\n").as_bytes());
        server
    }

    fn one(&mut self, line: &[u8]) -> Duration {
        let began = Instant::now();
        // A line that is longer than the pipe holds has to be read while it is written.
        if line.len() > 32 << 10 {
            let stdin = &mut self.stdin;
            std::thread::scope(|scope| {
                scope.spawn(|| stdin.write_all(line).unwrap());
                self.heard.clear();
                self.stdout.read_until(b'\n', &mut self.heard).unwrap();
            });
        } else {
            self.stdin.write_all(line).unwrap();
            self.heard.clear();
            self.stdout.read_until(b'\n', &mut self.heard).unwrap();
        }
        assert!(self.heard.ends_with(b"\n"), "the server is gone");
        began.elapsed()
    }

    fn ask(&mut self, subject: &Subject) -> Vec<Duration> {
        (0..subject.asks).map(|_| self.one(&subject.line)).collect()
    }

    fn end(self) {
        let Self { mut process, stdin, .. } = self;
        drop(stdin);
        process.wait().unwrap();
    }
}

fn rss_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn print(name: &str, way: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    let millis = |time: Duration| format!("{:.3} ms", time.as_secs_f64() * 1000.0);
    let per_second = times.len() as f64 / times.iter().sum::<Duration>().as_secs_f64();
    let (p50, p99, max) = (millis(at(0.5)), millis(at(0.99)), millis(at(1.0)));
    println!("| {name} | {way} | {p50} | {p99} | {max} | {per_second:.0} |");
}
