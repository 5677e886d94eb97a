//! Measures what the guard adds to a call: beside nothing, a raw copy of TCP, and a proxy that does nothing.
//!
//! `cargo bench -p guard --bench path [-- SECONDS [ROUNDS]]` prints the tables of `docs/benchmarks.md`. The server, the
//! proxies and the guard are processes of their own, and all of them this program; the load is the bench itself. All
//! ways are measured in turns, so that whatever else the machine does meets all. With `PARAMEDIC_BENCH_EXE` the guard is
//! that program; `PARAMEDIC_BENCH_BRIDGES` names others: lines `NAME<TAB>SHELL COMMAND`, in which `{port}` is where
//! to listen and `{server}` the command of the server over stdio.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot measure fails by panicking")]

mod load;
mod proxies;
mod upstream;
mod ways;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use load::{Measured, Round};
use ways::Way;

const CLIENTS: [usize; 3] = [1, 32, 256];
/// Sessions that are open while memory is looked at.
const SESSIONS: usize = 1000;
const STARTS: usize = 20;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["lifeline", _, number, _, rest @ ..] => {
            let rest: Vec<String> = rest.iter().map(ToString::to_string).collect();
            return process::lifeline::run(number.parse().unwrap(), &rest);
        }
        ["upstream", port] => runtime.block_on(upstream::http(port)),
        ["upstream-stdio"] => upstream::stdio(),
        ["proxy", port, to] => runtime.block_on(proxies::nothing(port, to)),
        ["copy", port, to] => runtime.block_on(proxies::copy(port, to)),
        // A load alone, for a profiler.
        ["load", port, clients, seconds] => {
            let way = Way::at(port.parse().unwrap());
            let time = Duration::from_secs_f64(seconds.parse().unwrap());
            let rounds = [runtime.block_on(load::round(&way, clients.parse().unwrap(), time))];
            println!("{:.0} calls/s", Measured::of(&rounds).per_second);
        }
        ["guard", folder, port, rest @ ..] => runtime.block_on(ways::guard(folder, port, rest)),
        numbers => {
            let number = |at: usize, or: f64| numbers.get(at).map_or(or, |text| text.parse().unwrap());
            runtime.block_on(measure(Duration::from_secs_f64(number(0, 1.0)), number(1, 5.0) as usize));
        }
    }
    ExitCode::SUCCESS
}

async fn measure(time: Duration, rounds: usize) {
    let folder = tempfile::tempdir().unwrap();
    let ways = ways::start(folder.path()).await;
    println!("| clients | way | calls/s | p50 | p99 | CPU per call | of the raw copy | of the proxy |");
    println!("|---:|---|---:|---:|---:|---:|---:|---:|");
    for clients in CLIENTS {
        let mut found: Vec<Vec<Round>> = ways.iter().map(|_| Vec::new()).collect();
        for round in 0..=rounds {
            for (way, found) in ways.iter().zip(&mut found) {
                let one = load::round(way, clients, time).await;
                // The first round warms up.
                if round > 0 {
                    found.push(one);
                }
            }
        }
        let all: Vec<Measured> = found.iter().map(|rounds| Measured::of(rounds)).collect();
        for (way, one) in ways.iter().zip(&all) {
            print(clients, way, one, &ways, &all);
        }
    }
    pipe(time);
    drop(ways);
    memory(folder.path()).await;
    starts(folder.path()).await;
}

/// What guards take that nobody has called yet, and with sessions.
async fn memory(folder: &std::path::Path) {
    println!("\n| process | resident | with {SESSIONS} sessions |\n|---|---:|---:|");
    let folder = folder.join("memory");
    std::fs::create_dir(&folder).unwrap();
    for way in ways::start(&folder).await.iter().filter(|way| way.is_guard) {
        let before = way.rss_bytes();
        load::sessions(way, SESSIONS).await;
        let mib = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
        println!("| {} | {} | {} |", way.name, mib(before), mib(way.rss_bytes()));
    }
}

fn print(clients: usize, way: &Way, one: &Measured, ways: &[Way], all: &[Measured]) {
    let of = |name: &str| {
        let at = ways.iter().position(|way| way.name == name).unwrap();
        one.per_second / all[at].per_second
    };
    let micros = |time: Duration| format!("{:.0} µs", time.as_secs_f64() * 1e6);
    println!(
        "| {clients} | {} | {:.0} | {} | {} | {} | {:.2} | {:.2} |",
        way.name,
        one.per_second,
        micros(one.p50),
        micros(one.p99),
        micros(one.cpu),
        of(ways::COPY),
        of(ways::PROXY),
    );
}

/// The server of the pipe, asked without anything between.
fn pipe(time: Duration) {
    let mut server = upstream::Piped::start();
    let mut took = Vec::new();
    let began = Instant::now();
    while began.elapsed() < time {
        took.push(server.ask());
    }
    took.sort_unstable();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let p99 = micros(took[took.len() * 99 / 100]);
    println!("\nraw pipe, 1 client: p50 {:.0} µs, p99 {p99:.0} µs", micros(took[took.len() / 2]));
}

/// From the start of a guard's process to its first answer.
async fn starts(folder: &std::path::Path) {
    let mut took = Vec::new();
    for number in 0..STARTS {
        let folder = folder.join(format!("start-{number}"));
        std::fs::create_dir(&folder).unwrap();
        let began = Instant::now();
        let way = ways::piped(&folder);
        load::first_answer(&way).await;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let (min, median, max) = (millis(took[0]), millis(took[STARTS / 2]), millis(took[STARTS - 1]));
    println!("\nfrom a guard's start to its first answer: {min:.1}, {median:.1}, {max:.1} ms");
}
