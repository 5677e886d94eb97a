//! Measures how many checks a second of CPU time makes, each over a connection of its own.
//!
//! `cargo bench -p probe --bench checks` prints the table of `docs/benchmarks.md`. Where PARAMEDIC_BENCH_BLACKBOX says which
//! program is Debian's blackbox exporter, it makes the same checks of the same server in the same run. What is checked, and
//! whoever asks the exporter, are not counted.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot measure fails by panicking")]

#[path = "../../../tests/product/poll.rs"]
mod poll;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::StreamExt as _;
use probe::{Check, Criticality, Dependency, Endpoint, Health, Prober, Target};

/// How many checks one round makes.
const CHECKS: usize = 2_000;
/// How many of them at a time.
const AT_ONCE: usize = 8;
const ROUNDS: usize = 5;
const DEADLINE: Duration = Duration::from_secs(10);
/// Ticks of a second in `/proc`, on every machine that Linux runs on today.
const TICKS: f64 = 100.0;

fn main() {
    let port = serve();
    println!("{CHECKS} checks, {AT_ONCE} at a time, {ROUNDS} times; checks per second of CPU time");
    println!("| who | check | min | median | max |\n|---|---|---:|---:|---:|");
    ours("HTTP", &Check::Http { url: format!("http://127.0.0.1:{port}/") });
    ours("TCP", &Check::Tcp { address: format!("127.0.0.1:{port}") });
    blackbox(port);
}

/// A server that answers each GET, in threads of its own; its port.
fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for listener in [listener.try_clone().unwrap(), listener.try_clone().unwrap(), listener] {
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut lines = BufReader::new(&stream).lines();
                let mut asked = 0;
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {
                    asked += 1;
                }
                if asked > 0 {
                    let _ = (&stream)
                        .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
                }
            }
        });
    }
    port
}

fn ours(name: &str, check: &Check) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let prober = Prober::new().unwrap();
    let dependency =
        Dependency { name: "it".to_owned(), check: check.clone(), critical: Criticality::Critical };
    let endpoint = Endpoint::Upstream { url: "http://127.0.0.1:1/mcp".to_owned() };
    let target = Target { name: "it".to_owned(), endpoint, dependencies: vec![dependency] };
    let per_second = (0..ROUNDS).map(|_| {
        let before = thread_seconds();
        let all = futures_util::stream::iter(0..CHECKS).map(|_| prober.dependency(&target, DEADLINE));
        let healthy = runtime.block_on(
            all.buffer_unordered(AT_ONCE)
                .filter(|report| std::future::ready(report.health == Health::Healthy))
                .count(),
        );
        assert_eq!(healthy, CHECKS);
        CHECKS as f64 / (thread_seconds() - before)
    });
    row("ours", name, per_second.collect());
}

fn row(who: &str, name: &str, mut per_second: Vec<f64>) {
    per_second.sort_by(f64::total_cmp);
    let (least, median, most) = (per_second[0], per_second[ROUNDS / 2], per_second[ROUNDS - 1]);
    println!("| {who} | {name} | {least:.0} | {median:.0} | {most:.0} |");
}

/// The CPU time of this thread, in which all of our checks are made.
fn thread_seconds() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// A process that ends with its value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn blackbox(target: u16) {
    let program = std::env::var_os("PARAMEDIC_BENCH_BLACKBOX").map(PathBuf::from);
    let Some(program) = program.filter(|program| program.is_file()) else {
        println!("\nSKIPPED blackbox exporter: PARAMEDIC_BENCH_BLACKBOX does not say where it is");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("blackbox.yml");
    fs::write(&config, "modules: {http: {prober: http}, tcp: {prober: tcp}}\n").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let child = Command::new(program)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let running = Running(child);
    let stat = format!("/proc/{}/stat", running.0.id());
    let seconds = || {
        let text = fs::read_to_string(&stat).unwrap();
        let fields: Vec<f64> = text
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .skip(1)
            .map_while(|field| field.parse().ok())
            .collect();
        (fields[10] + fields[11]) / TICKS
    };
    poll::eventually("it is ready", || ask(port, "/-/healthy"));
    for (name, path) in [
        ("HTTP", format!("/probe?module=http&target=http://127.0.0.1:{target}/")),
        ("TCP", format!("/probe?module=tcp&target=127.0.0.1:{target}")),
    ] {
        let per_second = (0..ROUNDS).map(|_| {
            let before = seconds();
            std::thread::scope(|scope| {
                for _ in 0..AT_ONCE {
                    scope.spawn(|| {
                        for _ in 0..CHECKS / AT_ONCE {
                            assert!(ask(port, &path).unwrap().contains("\nprobe_success 1\n"));
                        }
                    });
                }
            });
            CHECKS as f64 / (seconds() - before)
        });
        row("blackbox exporter, its whole process", name, per_second.collect());
    }
}

fn ask(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.contains("200 OK").then_some(answer)
}
