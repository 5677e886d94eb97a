//! Measures the page of a fleet of 1,000 servers: asking the store for the last hour, making the page, and its size.
//!
//! `cargo bench -p web --bench fleet` prints the table of `docs/benchmarks.md`. The store holds an hour of the series that
//! the page asks for, a sample of each every ten seconds.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot measure fails by panicking")]

use std::time::{Duration, Instant};

use metrics::{Labels, Limits, Query, Store};
use web::fleet::{Fleet, Health, Query as Wanted, Server};
use web::series::{Hour, charts};
use web::{Frame, Place, Visitor};

const SERVERS: usize = 1_000;
const NOW_MS: i64 = 1_780_000_000_000;
const EVERY_MS: i64 = 10_000;
const BUCKETS: [&str; 8] = ["0.005", "0.01", "0.05", "0.1", "0.5", "1", "5", "+Inf"];

fn main() {
    // Cargo runs a benchmark with `--bench`; whoever tests it wants only to know that it runs.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let (servers, rounds) = if is_bench { (SERVERS, 9) } else { (20, 1) };
    let store = filled(servers);
    let mut ask = |query: &Query, steps| query.range(&store, steps).unwrap();
    let (asking, hour) = best(rounds, || Hour::of(NOW_MS, &mut ask));
    let (gathering, fleet) = best(rounds, || fleet(servers, &hour));
    let (making, page) = best(rounds, || page(&fleet, &Wanted::default()));
    let (parts, _) = best(rounds, || fleet.parts(&Wanted::default()));
    let mut ask = |query: &Query, steps| query.range(&store, steps).unwrap();
    let (drawing, drawn) = best(rounds, || charts("server-0007", (NOW_MS, 3_600_000), &[], &[], &mut ask));
    let (figures, bytes) =
        best(rounds, || drawn.iter().map(|chart| chart.figure().into_string().len()).sum::<usize>());
    let first = asking + gathering + making;
    let met = |is_met: bool| if is_met { "met" } else { "MISSED" };
    let in_time = met(first < Duration::from_millis(100));
    println!("| {servers} servers | |\n|---|---|");
    println!("| the first page, all of it (goal: 100 ms) | {}, {in_time} |", ms(first));
    println!("| its size (goal: 100 kB) | {} kB, {} |", page.len() / 1_000, met(page.len() < 100_000));
    println!("| asking for the last hour of all, once in 10 s | {} |", ms(asking));
    println!("| putting the servers together | {} |", ms(gathering));
    println!("| making the page of 100 | {} |", ms(making));
    println!("| making its parts for a stream | {} |", ms(parts));
    println!("| asking for the charts of one server | {} |", ms(drawing));
    println!("| drawing its six charts | {}, {} kB |", ms(figures), bytes / 1_000);
}

fn ms(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1e3)
}

/// The shortest of some rounds, and what came of the last.
fn best<T>(rounds: usize, mut run: impl FnMut() -> T) -> (Duration, T) {
    let mut shortest = Duration::MAX;
    let mut last = None;
    for _ in 0..rounds {
        let began = Instant::now();
        last = Some(run());
        shortest = shortest.min(began.elapsed());
    }
    (shortest, last.unwrap())
}

fn name(number: usize) -> String {
    format!("server-{number:04}")
}

fn filled(servers: usize) -> Store {
    let limits = Limits { retention_ms: 7_200_000, series_max: 1_000_000, samples_per_series_max: 10_000 };
    let mut store = Store::new(limits);
    for number in 0..servers {
        let name = name(number);
        let server = ("server_name", name.as_str());
        let mut put = |metric: &str, extra: &[(&str, &str)], value: &dyn Fn(i64) -> f64| {
            let labels: Vec<(&str, &str)> = extra.iter().copied().chain([server]).collect();
            let labels = Labels::metric(metric, &labels);
            for step in 0..360 {
                store.append(&labels, NOW_MS - (360 - step) * EVERY_MS, value(step)).unwrap();
            }
        };
        for (idx, bucket) in BUCKETS.iter().enumerate() {
            for method in ["tools/call", "ping"] {
                let labels = [("le", *bucket), ("method", method), ("status", "success")];
                put("mcp_request_duration_seconds_bucket", &labels, &|step| (step * (idx as i64 + 1)) as f64);
            }
        }
        for kind in ["timeout", "protocol", "security", "internal"] {
            put("mcp_server_errors_total", &[("error_type", kind)], &|step| (step / 60) as f64);
        }
        let memory = |step: i64| 7e7 + ((step * 7_919 + number as i64) % 1_000) as f64 * 1e4;
        put("mcp_server_memory_usage_bytes", &[("memory_type", "rss")], &memory);
        put("mcp_server_process_start_time_seconds", &[], &|_| 1_779_990_000.0);
    }
    store
}

fn fleet(servers: usize, hour: &Hour) -> Fleet {
    let server = |number: usize| {
        let name = name(number);
        Server {
            health: if number.is_multiple_of(97) { Health::Unhealthy } else { Health::Healthy },
            phase: "ready".to_owned(),
            reason: "answered in 12 ms".to_owned(),
            latency: hour.latency(&name),
            errors: hour.errors(&name),
            memory: hour.memory(&name),
            restarted_ms: hour.started_ms(&name),
            name,
            ..Server::default()
        }
    };
    let servers = (0..servers).map(server).collect();
    Fleet { servers, stretch: hour.stretch, gap_ms: hour.gap_ms, ..Fleet::default() }
}

fn page(fleet: &Fleet, wanted: &Wanted) -> String {
    let visitor = Some(Visitor { name: "ada", role: "approver", csrf: "word" });
    let frame = Frame { title: "Fleet", place: Place::Fleet, visitor, events: None, now_ms: None };
    frame.page(&fleet.body(wanted))
}
