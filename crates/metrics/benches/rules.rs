//! Measures what whole groups of rules cost: the fourteen that ship as a rule file and the six of the runbooks, over a fleet.
//!
//! `cargo bench -p metrics --bench rules` prints the table of `docs/benchmarks.md`. Where PARAMEDIC_TEST_DEBIAN says where
//! Debian's Prometheus is, its rule manager evaluates the same file over the same samples in the same run. CPU time counts,
//! so that other work on the machine does not.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot measure fails by panicking")]

#[path = "../../../tests/product/poll.rs"]
mod poll;
#[path = "store/process.rs"]
mod process;

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{Alerts, AtOnce, Labels, Limits, RuleSettings, Store, parse_rules};

const SERVERS: usize = 200;
/// Each with a histogram of requests.
const TOOLS: usize = 10;
const BOUNDS: [&str; 12] =
    ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf"];
/// Kinds of errors of each server.
const ERRORS: usize = 12;
const INTERVAL_MS: i64 = 15_000;
/// As far as the longest window of these rules looks back.
const SAMPLES: i64 = 240;
/// Of histograms so many: more than a window of five minutes has.
const SAMPLES_OF_BUCKETS: i64 = 40;
/// So many more, which come while it is measured.
const SAMPLES_LATER: i64 = 12;
const LIMITS: Limits = Limits { retention_ms: 7_200_000, series_max: 400_000, samples_per_series_max: 1_000 };
/// How often the groups are evaluated.
const ROUNDS: usize = 9;

/// How long Prometheus goes on between two looks at what it took: it evaluates once a second.
const STRETCH: Duration = Duration::from_secs(4);

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../rules/mcp-servers.yml");
const RUNBOOKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../runbooks");

#[expect(
    clippy::disallowed_methods,
    reason = "Prometheus evaluates its rules now, so there have to be samples of now"
)]
fn main() {
    let rules = rules();
    let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let begin_ms = now_ms / INTERVAL_MS * INTERVAL_MS - SAMPLES * INTERVAL_MS;
    let mut store = Store::new(LIMITS);
    let mut page = String::new();
    samples(begin_ms, 0..SAMPLES + SAMPLES_LATER, &mut |labels, at_ms, value| {
        writeln!(page, "{labels} {value:?} {}.{:03}", at_ms / 1_000, at_ms % 1_000).unwrap();
    });
    page.push_str("# EOF\n");
    samples(begin_ms, 0..SAMPLES, &mut |labels, at_ms, value| store.append(labels, at_ms, value).unwrap());
    println!("{} series, {} samples", store.size().series, store.size().samples);
    println!("| who | rules | CPU time of one evaluation of all groups: min | median | max |");
    println!("|---|---:|---:|---:|---:|");
    ours(&rules, store, begin_ms);
    prometheus(&rules, &page);
}

/// The rule file that ships, with the queries of the runbooks as one more group.
fn rules() -> String {
    let mut text = fs::read_to_string(FILE).unwrap();
    text.push_str("  - name: runbooks\n    rules:\n");
    let mut files: Vec<PathBuf> = fs::read_dir(RUNBOOKS).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in files {
        let runbook = fs::read_to_string(file).unwrap();
        let name = runbook.split_once("### Alert: ").unwrap().1.lines().next().unwrap();
        let query = runbook.split_once("**Alert Query**: `").unwrap().1.split_once('`').unwrap().0;
        let query = serde_json::to_string(&query.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap();
        writeln!(text, "      - {{alert: {name}, expr: {query}, for: 2m, labels: {{from: runbook}}}}")
            .unwrap();
    }
    text
}

/// What a fleet in which nothing is wrong tells of itself.
fn samples(begin_ms: i64, range: std::ops::Range<i64>, take: &mut dyn FnMut(&Labels, i64, f64)) {
    let of = |name: &str,
              labels: &[(&str, &str)],
              growth: f64,
              first: i64,
              take: &mut dyn FnMut(&Labels, i64, f64)| {
        let labels = Labels::metric(name, labels);
        for number in range.clone().filter(|number| *number >= first) {
            take(&labels, begin_ms + number * INTERVAL_MS + 137, 1.0 + growth * number as f64);
        }
    };
    for server in 0..SERVERS {
        let server = format!("server-{server:03}");
        let name = ("server_name", server.as_str());
        of("mcp_server_up", &[name], 0.0, 0, take);
        for check in ["liveness", "readiness", "dependency"] {
            of("mcp_server_health_status", &[name, ("check_type", check)], 1e-3, 0, take);
        }
        of("mcp_server_memory_usage_bytes", &[name, ("memory_type", "rss")], 1e3, 0, take);
        of("mcp_server_cpu_usage_percent", &[name], 1e-3, 0, take);
        for operation in ["tools", "resources", "other"] {
            of("mcp_concurrent_operations", &[name, ("operation_type", operation)], 0.0, 0, take);
        }
        for (dependency, critical) in [("store", "true"), ("cache", "false")] {
            let labels = [name, ("dependency_name", dependency), ("critical", critical)];
            of("mcp_server_dependency_status", &labels, 0.0, 0, take);
        }
        of("mcp_data_integrity_status", &[name], 0.0, 0, take);
        for error in 0..ERRORS {
            let kind = ["security", "authentication", "authorization"]
                .get(error)
                .map_or_else(|| format!("kind-{error}"), |kind| (*kind).to_owned());
            of(
                "mcp_server_errors_total",
                &[name, ("error_type", &kind), ("severity", "warning")],
                0.0,
                0,
                take,
            );
        }
        for tool in 0..TOOLS {
            let method = format!("tools/call/tool-{tool:02}");
            for (place, bound) in BOUNDS.iter().enumerate() {
                let labels = [name, ("method", method.as_str()), ("status", "ok"), ("le", bound)];
                let growth = (place + 1).min(4) as f64 * (1.0 + (tool % 7) as f64);
                of(
                    "mcp_request_duration_seconds_bucket",
                    &labels,
                    growth,
                    SAMPLES - SAMPLES_OF_BUCKETS,
                    take,
                );
            }
        }
    }
}

fn ours(rules: &str, mut store: Store, begin_ms: i64) {
    let (groups, problems) = parse_rules("rules.yml", rules);
    assert!(problems.is_empty(), "{problems:?}");
    let count: usize = groups.iter().map(|group| group.rules.len()).sum();
    let mut alerts = Alerts::new(groups, RuleSettings::default());
    let evaluate = |alerts: &mut Alerts, store: &mut Store, number: i64| {
        let before = cpu_nanos();
        let (changes, errors) = alerts.evaluate(store, begin_ms + number * INTERVAL_MS, &AtOnce::nothing());
        assert!(changes.is_empty() && errors.is_empty(), "{changes:?} {errors:?}");
        (cpu_nanos() - before) as f64 / 1e6
    };
    let first = evaluate(&mut alerts, &mut store, SAMPLES);
    let millis = (0..ROUNDS as i64).map(|round| {
        let number = SAMPLES + round;
        samples(begin_ms, number..number + 1, &mut |labels, at_ms, value| {
            store.append(labels, at_ms, value).unwrap()
        });
        evaluate(&mut alerts, &mut store, number + 1)
    });
    row("ours", count, millis.collect());
    println!("| ours, for the first time | {count} | | {first:.1} ms | |");
}

fn row(who: &str, rules: usize, mut millis: Vec<f64>) {
    millis.sort_by(f64::total_cmp);
    let (least, median, most) = (millis[0], millis[millis.len() / 2], millis[millis.len() - 1]);
    println!("| {who} | {rules} | {least:.1} ms | {median:.1} ms | {most:.1} ms |");
}

/// A Prometheus that ends with its value.
struct Rival(Child, u16);

impl Drop for Rival {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// === impl Rival ===

impl Rival {
    fn start(programs: &Path, folder: &Path, rules: Option<&str>) -> Self {
        let config = match rules {
            Some(rules) => {
                fs::write(folder.join("rules.yml"), rules).unwrap();
                "global: {evaluation_interval: 1s}\nrule_files: [rules.yml]\n"
            }
            None => "",
        };
        fs::write(folder.join("prometheus.yml"), config).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let child = Command::new(programs.join("prometheus"))
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--storage.tsdb.retention.time=100y", "--log.level=error"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let rival = Self(child, port);
        poll::eventually("Prometheus is ready", || {
            rival.get("/-/ready").filter(|text| text.contains("200 OK"))
        });
        rival
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.1)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// The sum of one of its own metrics.
    fn metric(&self, name: &str) -> f64 {
        let page = self.get("/metrics").unwrap();
        let values = page.lines().filter(|line| line.starts_with(name));
        values.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }
}

fn prometheus(rules: &str, page: &str) {
    let programs =
        std::env::var_os("PARAMEDIC_TEST_DEBIAN").map(|folder| PathBuf::from(folder).join("usr/bin"));
    let Some(programs) = programs.filter(|programs| programs.join("promtool").is_file()) else {
        println!("\nSKIPPED Prometheus: PARAMEDIC_TEST_DEBIAN does not say where it is");
        return;
    };
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::write(folder.path().join("page"), page).unwrap();
    let blocks = Command::new(programs.join("promtool"))
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([folder.path().join("page"), folder.path().join("data")])
        .output()
        .unwrap();
    assert!(blocks.status.success(), "{}", String::from_utf8_lossy(&blocks.stderr));
    let rival = Rival::start(&programs, folder.path(), Some(rules));
    let pid = rival.0.id().to_string();
    let groups = rules.matches("  - name: ").count() as f64;
    let count = rules.matches("alert: ").count();
    let iterations = || rival.metric("prometheus_rule_group_iterations_total") / groups;
    // What it does in the beginning is over when each group was evaluated a few times.
    poll::eventually("it evaluates", || (iterations() >= 5.0).then_some(()));
    let millis = (0..ROUNDS).map(|_| {
        let (before, cpu) = (iterations(), process::cpu_seconds(&pid));
        std::thread::sleep(STRETCH);
        // What its own metrics cost is not what is measured.
        let cpu = process::cpu_seconds(&pid) - cpu;
        cpu * 1e3 / (iterations() - before)
    });
    row("Prometheus, its whole process", count, millis.collect());
    let (resident, _) = process::resident_mb(&pid);
    println!("\n{resident:.0} MB resident in Prometheus");
    let failures = rival.metric("prometheus_rule_evaluation_failures_total");
    let found = rival.get("/api/v1/query?query=count(mcp_request_duration_seconds_bucket)").unwrap();
    let expected = format!("\"{}\"", SERVERS * TOOLS * BOUNDS.len());
    assert!(found.contains(&expected) && failures == 0.0, "{failures} failures; {found}");
}

/// Returns the CPU time of this thread, the only one.
fn cpu_nanos() -> u64 {
    let text = fs::read_to_string("/proc/self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}
