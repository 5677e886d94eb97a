//! Measures what rules cost: CPU time of one evaluation over many series, as a busy fleet has them.
//!
//! `cargo bench -p metrics --bench promql` prints the table of `docs/benchmarks.md`. It reads `/proc/self/schedstat`,
//! so that other work on the machine does not count.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot measure fails by panicking")]

use std::fs;

use metrics::{Labels, Limits, Query, QueryBounds, QueryLimits, Steps, Store, Value};

const SERVERS: usize = 300;
const TOOLS: usize = 60;
/// Upper bounds of the buckets, the last one infinite.
const BOUNDS: [&str; 12] =
    ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf"];
/// Series of errors per server.
const ERRORS: usize = 40;
const SAMPLES: usize = 40;
const INTERVAL_MS: i64 = 5_000;
const LIMITS: Limits = Limits { retention_ms: 3_600_000, series_max: 400_000, samples_per_series_max: 1_000 };
/// How often each query is evaluated.
const ROUNDS: usize = 9;

const P95: &str = "histogram_quantile(0.95, rate(mcp_request_duration_seconds_bucket[5m])) > 5";
const P95_BY_SERVER: &str = "histogram_quantile(0.95, sum by (le, server_name) \
                             (rate(mcp_request_duration_seconds_bucket[5m]))) > 5";
const INCREASE: &str = "increase(mcp_server_errors_total[5m]) > 0";

/// What the tools of the fleet are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tools {
    /// Nothing takes longer than the fourth bound; no rule yields anything.
    Fast,
    /// One in thirty is slow, so that its rule fires.
    SomeSlow,
}

fn main() {
    println!("{} series, {SAMPLES} samples each; CPU time of one evaluation, {ROUNDS} times", series());
    for (tools, title) in [(Tools::Fast, "all tools fast"), (Tools::SomeSlow, "one tool in thirty slow")] {
        println!("\n{title}:\n");
        table(&store(tools));
    }
}

fn table(store: &Store) {
    let now_ms = SAMPLES as i64 * INTERVAL_MS;
    println!("| query | series | min | median | max | results | Prometheus 2.42 |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    let buckets = SERVERS * TOOLS * BOUNDS.len();
    for (text, count, rival) in
        [(P95, buckets, "4.06 s"), (P95_BY_SERVER, buckets, ""), (INCREASE, SERVERS * ERRORS, "0.11 s")]
    {
        let query = Query::parse(text).unwrap();
        let row = measure(|| count_of(query.instant(store, now_ms).unwrap()));
        println!("| `{text}` | {count} | {row} | {rival} |");
    }
    let row = measure(|| count_of(Query::parse(P95).unwrap().instant(store, now_ms).unwrap()));
    println!("| the first one, for the first time | {buckets} | {row} | |");
    let query = Query::parse(P95_BY_SERVER).unwrap();
    let steps = Steps { start_ms: now_ms - 60_000, end_ms: now_ms, step_ms: INTERVAL_MS };
    let limits = QueryLimits { samples_max: 1_000_000_000, ..QueryLimits::default() };
    let bounds = QueryBounds { limits, ..QueryBounds::default() };
    let row = measure(|| query.range_answer(store, steps, bounds).unwrap().0.len());
    println!("| the second one over 13 steps | {buckets} | {row} | |");
}

fn count_of(value: Value) -> usize {
    match value {
        Value::Vector(elements) => elements.len(),
        other => panic!("no vector: {other:?}"),
    }
}

fn series() -> usize {
    SERVERS * (TOOLS * BOUNDS.len() + ERRORS)
}

/// Fills a store with histograms of requests by server and tool, and counters of errors.
fn store(tools: Tools) -> Store {
    let mut store = Store::new(LIMITS);
    for server in 0..SERVERS {
        let server_name = format!("server-{server:03}");
        for tool in 0..TOOLS {
            let method = format!("tools/call/tool-{tool:02}");
            for (place, bound) in BOUNDS.iter().enumerate() {
                let labels = [
                    ("server_name", server_name.as_str()),
                    ("method", method.as_str()),
                    ("status", "ok"),
                    ("le", bound),
                ];
                let labels = Labels::metric("mcp_request_duration_seconds_bucket", &labels);
                let is_slow = tools == Tools::SomeSlow && tool % 30 == 0;
                let reached = if is_slow { place + 1 } else { usize::min(place + 1, 4) };
                fill(&mut store, &labels, reached as f64 * (1.0 + (tool % 7) as f64));
            }
        }
        for error in 0..ERRORS {
            let kind = format!("kind-{error:02}");
            let labels = [
                ("server_name", server_name.as_str()),
                ("error_type", kind.as_str()),
                ("severity", "warning"),
            ];
            fill(&mut store, &Labels::metric("mcp_server_errors_total", &labels), (error % 3) as f64);
        }
    }
    store
}

fn fill(store: &mut Store, labels: &Labels, growth: f64) {
    for sample in 0..SAMPLES {
        // A little later than each full interval: no edge of a window falls upon a sample.
        let at_ms = sample as i64 * INTERVAL_MS + 137;
        store.append(labels, at_ms, 100.0 + growth * sample as f64).unwrap();
    }
}

/// Runs something several times, and returns the least, the median and the most CPU time, and what it yielded.
fn measure(mut run: impl FnMut() -> usize) -> String {
    let mut results = run();
    let mut millis: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let before = cpu_nanos();
            results = run();
            (cpu_nanos() - before) as f64 / 1e6
        })
        .collect();
    millis.sort_by(f64::total_cmp);
    let (least, median, most) = (millis[0], millis[ROUNDS / 2], millis[ROUNDS - 1]);
    format!("{least:.1} ms | {median:.1} ms | {most:.1} ms | {results}")
}

/// Returns the CPU time of this thread, the only one.
fn cpu_nanos() -> u64 {
    let text = fs::read_to_string("/proc/self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}
