//! Measures what rules cost: CPU time of one evaluation over many series, as a busy fleet has them.
//!
//! `cargo bench -p metrics --bench promql` prints the table of `docs/benchmarks.md`. It reads `/proc/self/schedstat`,
//! so that other work on the machine does not count. Where PARAMEDIC_TEST_DEBIAN says where Debian's Prometheus is, and
//! PARAMEDIC_BENCH_VICTORIA which program is VictoriaMetrics, these evaluate the same rules over the same samples in the
//! same run.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot measure fails by panicking")]

#[path = "../../../tests/product/poll.rs"]
mod poll;
#[path = "store/process.rs"]
mod process;
#[path = "../tests/it/prometheus/rival.rs"]
mod rival;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use metrics::{Labels, Limits, Query, QueryBounds, QueryLimits, Steps, Store, Value};

const SERVERS: usize = 300;
const TOOLS: usize = 60;
/// Upper bounds of the buckets, the last one infinite.
const BOUNDS: [&str; 12] =
    ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf"];
/// Series of errors per server.
const ERRORS: usize = 40;
/// Before the first evaluation: more than a window of five minutes has.
const SAMPLES: usize = 90;
/// Between two evaluations of a rule.
const SAMPLES_BETWEEN: usize = 3;
const INTERVAL_MS: i64 = 5_000;
/// When the samples begin, in milliseconds since the Unix epoch.
const BEGIN_MS: i64 = 1_700_000_000_000;
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
    println!("{} series, {SAMPLES} samples each and {SAMPLES_BETWEEN} more before each evaluation", series());
    println!("CPU time of one evaluation, {ROUNDS} times");
    for (tools, title) in [(Tools::Fast, "all tools fast"), (Tools::SomeSlow, "one tool in thirty slow")] {
        println!("\n{title}:\n");
        table(tools);
    }
    prometheus();
    victoria_metrics();
}

/// Labels as text, and the samples.
type Rows = BTreeMap<String, Vec<(i64, f64)>>;

/// How often the rival evaluates each query: it takes seconds.
const RIVAL_ROUNDS: usize = 5;

/// Measures Prometheus over the samples of the fleet in which some tools are slow.
fn prometheus() {
    let programs =
        std::env::var_os("PARAMEDIC_TEST_DEBIAN").map(|folder| PathBuf::from(folder).join("usr/bin"));
    let Some(programs) = programs.filter(|programs| programs.join("promtool").is_file()) else {
        println!("\nSKIPPED Prometheus: PARAMEDIC_TEST_DEBIAN does not say where it is");
        return;
    };
    let mut page = String::new();
    samples(Tools::SomeSlow, 0..SAMPLES, |labels, at_ms, value| {
        let (seconds, millis) = (at_ms / 1_000, at_ms % 1_000);
        writeln!(page, "{labels} {value:?} {seconds}.{millis:03}").unwrap();
    });
    page.push_str("# EOF\n");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let rival = rival::Rival::start(&programs, folder.path(), &page);
    drop(page);
    measure_rival("Prometheus", &rival);
}

/// How many series are sent to VictoriaMetrics at once.
const IMPORTED_AT_ONCE: usize = 5_000;

/// Measures VictoriaMetrics over the same samples.
fn victoria_metrics() {
    let program = std::env::var_os("PARAMEDIC_BENCH_VICTORIA").map(PathBuf::from);
    let Some(program) = program.filter(|program| program.is_file()) else {
        println!("\nSKIPPED VictoriaMetrics: PARAMEDIC_BENCH_VICTORIA does not say where it is");
        return;
    };
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let port = rival::free_port();
    let process = Command::new(program)
        .arg(format!("-storageDataPath={}", folder.path().display()))
        .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
        .args(["-retentionPeriod=100y", "-loggerLevel=ERROR", "-search.maxUniqueTimeseries=1000000"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let rival = rival::Rival { process, port };
    rival.is_ready("/health");
    let (mut lines, mut values, mut times) = (Vec::<String>::new(), String::new(), String::new());
    samples(Tools::SomeSlow, 0..SAMPLES, |labels, at_ms, value| {
        let separator = if values.is_empty() { "" } else { "," };
        write!(values, "{separator}{value}").unwrap();
        write!(times, "{separator}{at_ms}").unwrap();
        if at_ms + INTERVAL_MS > now_ms(SAMPLES) {
            let metric = serde_json::to_string(labels).unwrap();
            lines.push(format!(r#"{{"metric":{metric},"values":[{values}],"timestamps":[{times}]}}"#));
            values.clear();
            times.clear();
        }
        if lines.len() == IMPORTED_AT_ONCE {
            post(port, "/api/v1/import", &std::mem::take(&mut lines).join("\n"));
        }
    });
    post(port, "/api/v1/import", &lines.join("\n"));
    post(port, "/internal/force_flush", "");
    measure_rival("VictoriaMetrics", &rival);
}

fn post(port: u16, path: &str, body: &str) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "POST {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split_whitespace().nth(1);
    assert!(matches!(status, Some("200" | "204")), "{path}: {answer}");
}

fn measure_rival(name: &str, rival: &rival::Rival) {
    let pid = rival.process.id().to_string();
    println!("\n{name} over the samples with slow tools, {RIVAL_ROUNDS} times, CPU time of its process:\n");
    println!("| query | min | median | max | results |\n|---|---:|---:|---:|---:|");
    let row = |name: &str, ask: &dyn Fn() -> usize| {
        let mut results = 0;
        let mut seconds: Vec<f64> = (0..RIVAL_ROUNDS)
            .map(|_| {
                let before = process::cpu_seconds(&pid);
                results = ask();
                process::cpu_seconds(&pid) - before
            })
            .collect();
        seconds.sort_by(f64::total_cmp);
        let (least, median, most) = (seconds[0], seconds[RIVAL_ROUNDS / 2], seconds[RIVAL_ROUNDS - 1]);
        println!("| {name} | {least:.2} s | {median:.2} s | {most:.2} s | {results} |");
    };
    for text in [P95, P95_BY_SERVER, INCREASE] {
        row(&format!("`{text}`"), &|| rival.instant(text, now_ms(SAMPLES)).unwrap().len());
    }
    row("the second one over 13 steps", &|| rival.range(P95_BY_SERVER, steps(SAMPLES)).unwrap().len());
    let (resident, _) = process::resident_mb(&pid);
    println!("\n{resident:.0} MB resident");
}

fn steps(n_samples: usize) -> Steps {
    Steps { start_ms: now_ms(n_samples) - 60_000, end_ms: now_ms(n_samples), step_ms: INTERVAL_MS }
}

/// Returns the moment at which so many samples are there.
fn now_ms(n_samples: usize) -> i64 {
    BEGIN_MS + n_samples as i64 * INTERVAL_MS
}

fn table(tools: Tools) {
    let mut fleet = Fleet { tools, store: Store::new(LIMITS), n_samples: 0 };
    fleet.go_on(SAMPLES);
    println!("| query | series | min | median | max | results |");
    println!("|---|---:|---:|---:|---:|---:|");
    let buckets = SERVERS * TOOLS * BOUNDS.len();
    for (text, count) in [(P95, buckets), (P95_BY_SERVER, buckets), (INCREASE, SERVERS * ERRORS)] {
        let query = Query::parse(text).unwrap();
        let row = fleet.measure(|store, now_ms| count_of(query.instant(store, now_ms).unwrap()));
        println!("| `{text}` | {count} | {row} |");
    }
    let first = |store: &Store, now_ms| count_of(Query::parse(P95).unwrap().instant(store, now_ms).unwrap());
    println!("| the first one, for the first time | {buckets} | {} |", fleet.measure(first));
    let query = Query::parse(P95_BY_SERVER).unwrap();
    let limits = QueryLimits { samples_max: 1_000_000_000, ..QueryLimits::default() };
    let bounds = QueryBounds { limits, ..QueryBounds::default() };
    let n_samples = fleet.n_samples;
    let row = fleet.measure(|store, _| query.range_answer(store, steps(n_samples), bounds).unwrap().0.len());
    println!("| the second one over 13 steps | {buckets} | {row} |");
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

/// A store that is filled as time passes.
struct Fleet {
    tools: Tools,
    store: Store,
    n_samples: usize,
}

/// Makes histograms of requests by server and tool, and counters of errors.
fn samples(tools: Tools, range: Range<usize>, mut take: impl FnMut(&Labels, i64, f64)) {
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
                let growth = reached as f64 * (1.0 + (tool % 7) as f64);
                of_series(&labels, growth, range.clone(), &mut take);
            }
        }
        for error in 0..ERRORS {
            let kind = format!("kind-{error:02}");
            let labels = [
                ("server_name", server_name.as_str()),
                ("error_type", kind.as_str()),
                ("severity", "warning"),
            ];
            of_series(
                &Labels::metric("mcp_server_errors_total", &labels),
                (error % 3) as f64,
                range.clone(),
                &mut take,
            );
        }
    }
}

fn of_series(labels: &Labels, growth: f64, range: Range<usize>, take: &mut impl FnMut(&Labels, i64, f64)) {
    for sample in range {
        // A little later than each full interval: no edge of a window falls upon a sample.
        let at_ms = BEGIN_MS + sample as i64 * INTERVAL_MS + 137;
        take(labels, at_ms, 100.0 + growth * sample as f64);
    }
}

// === impl Fleet ===

impl Fleet {
    fn go_on(&mut self, count: usize) {
        let range = self.n_samples..self.n_samples + count;
        self.n_samples = range.end;
        samples(self.tools, range, |labels, at_ms, value| self.store.append(labels, at_ms, value).unwrap());
    }

    /// Runs something several times, each time a little later, and returns the least, the median and the most CPU time,
    /// and what it yielded.
    fn measure(&mut self, run: impl Fn(&Store, i64) -> usize) -> String {
        let mut results = run(&self.store, now_ms(self.n_samples));
        let mut millis: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                self.go_on(SAMPLES_BETWEEN);
                let before = cpu_nanos();
                results = run(&self.store, now_ms(self.n_samples));
                (cpu_nanos() - before) as f64 / 1e6
            })
            .collect();
        millis.sort_by(f64::total_cmp);
        let (least, median, most) = (millis[0], millis[ROUNDS / 2], millis[ROUNDS - 1]);
        format!("{least:.1} ms | {median:.1} ms | {most:.1} ms | {results}")
    }
}

/// Returns the CPU time of this thread, the only one.
fn cpu_nanos() -> u64 {
    let text = fs::read_to_string("/proc/self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}
