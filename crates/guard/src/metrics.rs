//! Owns the metrics of the server in front of which the guard stands.

mod known;
mod labels;
mod named;
mod page;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use process::control::{Criticality, DependencyHealth, DependencyStatus, Package};
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use threats::Class;

use crate::cache::{KINDS, Kind};
use crate::controls::Refused;
use crate::inflight::Meaning;
use crate::restarts::Count;
use crate::security::Seen;
use known::{Known, Observed};
use labels::{
    CacheLabels, DependencyLabels, ErrorLabels, FAILURES, HealthLabels, HitRateLabels, MemoryLabels,
    MethodLabels, NetworkLabels, OPERATIONS, OTHER, OperationDurationLabels, OperationLabels, PackageLabels,
    REFUSALS, RefusedLabels, RequestLabels, SignLabels, SpanLabels, ToolLabels,
};
pub(crate) use labels::{Failure, Method, Status};
use page::Births;
pub(crate) use page::Format;

/// The edges of OpenTelemetry's MCP conventions, and those of the original runbook.
const DURATION_BUCKETS: [f64; 18] =
    [0.005, 0.01, 0.02, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// Those of the original runbook, and two for what is as long as it may be.
const ANSWER_BUCKETS: [f64; 11] = [100.0, 500.0, 1e3, 5e3, 1e4, 5e4, 1e5, 5e5, 1e6, 4e6, 16e6];

/// What outlives the guard, and was born before it.
const RESTARTS: &str = "mcp_server_restarts";

/// A server with more tools has the others as one.
const TOOLS_MAX: usize = 200;

/// What only a look at the present can tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Present {
    /// 1 if a child answers the protocol.
    pub(crate) up: i64,
    /// Of the child and everything below it.
    pub(crate) rss_bytes: i64,
    /// Of the child and everything below it.
    pub(crate) descriptors: i64,
    /// How many sessions clients have open.
    pub(crate) sessions: i64,
    /// How many clients have opened since the guard started.
    pub(crate) sessions_opened: u64,
    /// The methods of the requests that run now, and how long each has been running.
    pub(crate) running: Vec<(Method, Duration)>,
    /// How many of all sessions may write, in percent.
    pub(crate) writes_percent: i64,
    /// What the server depends on, as `serve` has told; nothing where it has not.
    pub(crate) dependencies: Vec<DependencyStatus>,
    /// How often it was started anew, over the lives of all guards.
    pub(crate) restarts: Count,
    /// When the child started, in seconds since 1970; 0 if none runs.
    pub(crate) child_started: f64,
}

/// Counts the bytes that clients have sent and were sent.
#[derive(Clone, Debug)]
pub(crate) struct Bytes {
    received: Counter,
    sent: Counter,
}

/// All metrics of one server.
pub(crate) struct Metrics {
    registry: Registry,
    durations: Family<RequestLabels, Histogram, fn() -> Histogram>,
    operation_durations: Family<OperationDurationLabels, Histogram, fn() -> Histogram>,
    errors: Family<ErrorLabels, Counter>,
    starts: Counter,
    restarts: Counter,
    up: Gauge,
    memory: Family<MemoryLabels, Gauge>,
    health: Family<HealthLabels, Gauge>,
    dependencies: Family<DependencyLabels, Gauge>,
    operations: Family<OperationLabels, Gauge>,
    oldest_operation: Gauge<f64, AtomicU64>,
    sessions: Gauge,
    connections: Counter,
    network: Family<NetworkLabels, Counter>,
    bytes: Bytes,
    descriptors: Gauge,
    child_started: Gauge<f64, AtomicU64>,
    package: Family<PackageLabels, Gauge>,
    refused: Family<RefusedLabels, Counter>,
    writes_percent: Gauge,
    cached: Family<CacheLabels, Counter>,
    hit_rate: Family<HitRateLabels, Gauge<f64, AtomicU64>>,
    answer_bytes: Family<MethodLabels, Histogram, fn() -> Histogram>,
    tools: Family<ToolLabels, Histogram, fn() -> Histogram>,
    spans: Family<SpanLabels, Counter>,
    signs: Family<SignLabels, Counter>,
    /// Whose names are labels already.
    tool_names: Mutex<BTreeSet<Box<str>>>,
    known: Known,
    births: Mutex<Births>,
}

// === impl Metrics ===

impl Metrics {
    /// What can be known is there from the start, at 0: the increase of a counter that is born at 1 is 0. `now_ms` is
    /// when the guard has started.
    pub(crate) fn new(server: &str, now_ms: i64) -> Self {
        let name = [("server_name".into(), server.to_owned().into())];
        let network = Family::<NetworkLabels, Counter>::default();
        let direction = |direction| network.get_or_create_owned(&NetworkLabels { direction });
        let bytes = Bytes { received: direction("received"), sent: direction("sent") };
        let metrics = Self {
            registry: Registry::with_labels(name.into_iter()),
            durations: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS)),
            operation_durations: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS)),
            errors: Family::default(),
            starts: Counter::default(),
            restarts: Counter::default(),
            up: Gauge::default(),
            memory: Family::default(),
            health: Family::default(),
            dependencies: Family::default(),
            operations: Family::default(),
            oldest_operation: Gauge::default(),
            sessions: Gauge::default(),
            connections: Counter::default(),
            network,
            bytes,
            descriptors: Gauge::default(),
            child_started: Gauge::default(),
            package: Family::default(),
            refused: Family::default(),
            writes_percent: Gauge::default(),
            cached: Family::default(),
            hit_rate: Family::default(),
            answer_bytes: Family::new_with_constructor(|| Histogram::new(ANSWER_BUCKETS)),
            tools: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS)),
            spans: Family::default(),
            signs: Family::default(),
            tool_names: Mutex::default(),
            known: Known::default(),
            births: Mutex::new(Births::new(now_ms)),
        };
        metrics.begin();
        metrics.registered()
    }

    /// Has all series that can be known before anything happens.
    fn begin(&self) {
        let metrics = self;
        for kind in KINDS {
            for outcome in ["hit", "miss"] {
                drop(metrics.cached.get_or_create_owned(&CacheLabels { cache_type: kind.name(), outcome }));
            }
            drop(metrics.hit_rate.get_or_create_owned(&HitRateLabels { cache_type: kind.name() }));
        }
        for reason in REFUSALS {
            drop(metrics.refused.get_or_create_owned(&RefusedLabels { reason }));
        }
        for class in Class::ALL {
            for outcome in ["told", "refused"] {
                drop(metrics.signs.get_or_create(&SignLabels { class: class.name(), outcome }));
            }
        }
        for failure in FAILURES {
            drop(metrics.errors.get_or_create(&failure.labels()));
        }
        for method in [Method::INITIALIZE, Method::TOOLS_LIST, Method::TOOLS_CALL] {
            for status in [Status::Success, Status::Error] {
                drop(metrics.durations.get_or_create(&RequestLabels { method, status }));
            }
            let (gen_ai_tool_name, error_type) = (Box::default(), "");
            let labels = OperationDurationLabels { mcp_method_name: method, gen_ai_tool_name, error_type };
            drop(metrics.operation_durations.get_or_create(&labels));
            drop(metrics.answer_bytes.get_or_create(&MethodLabels { method }));
        }
        for status in [Status::Success, Status::Error] {
            drop(metrics.tools.get_or_create(&ToolLabels { tool_name: OTHER.into(), status }));
        }
    }

    /// For series that only some guards have.
    pub(crate) fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// A request is over: of this tool, where it has called one.
    pub(crate) fn finished(&self, method: Method, tool: Option<&str>, meaning: Meaning, took: Duration) {
        let seconds = took.as_secs_f64();
        if !self.known.observe(tool, method, meaning, seconds) {
            let tool_name = tool.map(|tool| self.tool_name(tool, meaning.status()));
            let observed = self.observed(tool_name, method, meaning);
            observed.observe(seconds);
            // One that is counted among the others may be known by its own name later.
            if tool_name == tool {
                self.known.add(tool, method, meaning, observed);
            }
        }
        if let Meaning::Failed(failure) = meaning {
            self.failed(failure);
        }
    }

    /// The series of such requests.
    fn observed(&self, tool: Option<&str>, method: Method, meaning: Meaning) -> Observed {
        let status = meaning.status();
        let operation = OperationDurationLabels {
            mcp_method_name: method,
            gen_ai_tool_name: tool.unwrap_or_default().into(),
            error_type: meaning.error_type(),
        };
        let of_tool =
            |tool: &str| self.tools.get_or_create_owned(&ToolLabels { tool_name: tool.into(), status });
        Observed {
            duration: self.durations.get_or_create_owned(&RequestLabels { method, status }),
            operation: self.operation_durations.get_or_create_owned(&operation),
            tool: tool.map(of_tool),
        }
    }

    /// Only what a server has carried out is a tool: a client that invents names invents no series.
    fn tool_name<'t>(&self, tool: &'t str, status: Status) -> &'t str {
        let mut names = self.tool_names.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = names.contains(tool);
        if !is_known && (status != Status::Success || names.len() >= TOOLS_MAX) {
            return OTHER;
        }
        if !is_known {
            names.insert(tool.into());
        }
        tool
    }

    /// An answer has come, and is so long.
    pub(crate) fn answered(&self, method: Method, bytes: usize) {
        let find = || self.answer_bytes.get_or_create_owned(&MethodLabels { method });
        self.known.answered(method, bytes, find);
    }

    /// Something could be answered without the server, and was or was not.
    pub(crate) fn cached(&self, kind: Kind, hit: bool) {
        let cache_type = kind.name();
        let count = |outcome| self.cached.get_or_create_owned(&CacheLabels { cache_type, outcome });
        count(if hit { "hit" } else { "miss" }).inc();
        let (hits, misses) = (count("hit").get() as f64, count("miss").get() as f64);
        self.hit_rate.get_or_create_owned(&HitRateLabels { cache_type }).set(100.0 * hits / (hits + misses));
    }

    pub(crate) fn failed(&self, failure: Failure) {
        self.errors.get_or_create(&failure.labels()).inc();
    }

    pub(crate) fn refused(&self, reason: Refused) {
        self.refused.get_or_create_owned(&RefusedLabels { reason }).inc();
        if reason.is_forbidden() {
            self.failed(Failure::Authorization);
        }
        if reason == Refused::Attack {
            self.failed(Failure::Security);
        }
    }

    /// A message shows signs of attacks.
    pub(crate) fn signs(&self, seen: &Seen) {
        let outcome = if seen.refused.is_some() { "refused" } else { "told" };
        let classes: BTreeSet<Class> = seen.signs.iter().map(|sign| sign.class).collect();
        for class in classes {
            self.signs.get_or_create(&SignLabels { class: class.name(), outcome }).inc();
        }
    }

    pub(crate) fn started(&self) {
        self.starts.inc();
    }

    /// The package that is run from now on.
    pub(crate) fn package(&self, package: &Package) {
        self.package.clear();
        let labels = PackageLabels {
            package: package.name.clone(),
            version: package.version.clone(),
            kind: package.kind.label(),
        };
        self.package.get_or_create(&labels).set(1);
    }

    /// What became of the guard's own spans until now.
    pub(crate) fn spans(&self, counts: [(&'static str, u64); 2]) {
        for (outcome, count) in counts {
            let counter = self.spans.get_or_create_owned(&SpanLabels { outcome });
            counter.inner().store(count, Ordering::Relaxed);
        }
    }

    /// How the server is by what is known without asking it; for whoever has no `serve` that asks.
    fn show_health(&self, present: &Present) {
        self.dependencies.clear();
        let mut of_dependencies = if present.dependencies.is_empty() { -1 } else { 2 };
        for one in &present.dependencies {
            let (is_healthy, is_critical) =
                (one.health == DependencyHealth::Healthy, one.critical == Criticality::Critical);
            let critical = if is_critical { "true" } else { "false" };
            let labels = DependencyLabels { dependency_name: one.name.clone(), critical };
            self.dependencies.get_or_create(&labels).set(is_healthy.into());
            if !is_healthy {
                of_dependencies = of_dependencies.min(if is_critical { 0 } else { 1 });
            }
        }
        let liveness = 2 * present.up;
        let readiness = if of_dependencies < 0 { liveness } else { liveness.min(of_dependencies) };
        for (check_type, value) in
            [("liveness", liveness), ("readiness", readiness), ("dependency", of_dependencies)]
        {
            self.health.get_or_create_owned(&HealthLabels { check_type }).set(value);
        }
    }

    /// Counts the bytes of clients.
    pub(crate) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// The page of all metrics as they are now.
    pub(crate) fn page(&self, present: &Present, format: Format, now_ms: i64) -> String {
        self.up.set(present.up);
        self.sessions.set(present.sessions);
        // What is told of a counter only grows, and so does this.
        self.connections.inner().fetch_max(present.sessions_opened, Ordering::Relaxed);
        self.restarts.inner().fetch_max(present.restarts.restarts, Ordering::Relaxed);
        self.writes_percent.set(present.writes_percent);
        self.descriptors.set(present.descriptors);
        self.child_started.set(present.child_started);
        self.show_health(present);
        self.memory.get_or_create(&MemoryLabels { memory_type: "rss" }).set(present.rss_bytes);
        for operation in OPERATIONS {
            let count = present.running.iter().filter(|(method, _)| method.operation() == operation).count();
            let gauge = self.operations.get_or_create_owned(&OperationLabels { operation_type: operation });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.oldest_operation.set(present.running.iter().map(|one| one.1.as_secs_f64()).fold(0.0, f64::max));
        let mut written = String::new();
        text::encode(&mut written, &self.registry).expect("writing to a string cannot fail");
        self.births.lock().unwrap_or_else(PoisonError::into_inner).page(
            &written,
            format,
            now_ms,
            (RESTARTS, present.restarts.since_ms),
        )
    }
}

// === impl Bytes ===

impl Bytes {
    pub(crate) fn received(&self, bytes: usize) {
        self.received.inc_by(bytes as u64);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.sent.inc_by(bytes as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Failure, Format, Meaning, Method, Metrics, Present};

    #[test]
    fn the_page_has_every_series_from_the_start() {
        let metrics = Metrics::new("mem", 0);
        let present = Present {
            running: vec![(Method::TOOLS_CALL, Duration::from_secs(7)), (Method::of("x"), Duration::ZERO)],
            ..Present::default()
        };
        let page = metrics.page(&present, Format::OpenMetrics, 0);
        for failure in super::FAILURES {
            let labels = format!("{{server_name=\"mem\",error_type=\"{}\",severity=", failure.name());
            let line =
                page.lines().find(|line| line.starts_with(&format!("mcp_server_errors_total{labels}")));
            assert!(line.is_some_and(|line| line.ends_with(" 0")), "{line:?} in\n{page}");
        }
        for line in [
            "mcp_server_up{server_name=\"mem\"} 0",
            "mcp_oldest_operation_seconds{server_name=\"mem\"} 7.0",
            "mcp_concurrent_operations{server_name=\"mem\",operation_type=\"tools/call\"} 1",
            "mcp_concurrent_operations{server_name=\"mem\",operation_type=\"other\"} 1",
            "mcp_concurrent_operations{server_name=\"mem\",operation_type=\"prompts/get\"} 0",
            "mcp_server_memory_usage_bytes{server_name=\"mem\",memory_type=\"rss\"} 0",
            "mcp_server_starts_total{server_name=\"mem\"} 0",
            "mcp_server_requests_refused_total{server_name=\"mem\",reason=\"read_only\"} 0",
            "mcp_server_writes_percent{server_name=\"mem\"} 0",
            "mcp_cache_hit_rate{server_name=\"mem\",cache_type=\"tools\"} 0.0",
            "mcp_server_health_status{server_name=\"mem\",check_type=\"liveness\"} 0",
            "mcp_server_health_status{server_name=\"mem\",check_type=\"dependency\"} -1",
            "mcp_server_network_bytes_total{server_name=\"mem\",direction=\"received\"} 0",
            "mcp_server_connections_total{server_name=\"mem\"} 0",
            "mcp_server_restarts_total{server_name=\"mem\"} 0",
            "mcp_server_restarts_created{server_name=\"mem\"} 0.000",
            "mcp_request_duration_seconds_count{server_name=\"mem\",method=\"tools/call\",status=\"error\"} 0",
            "mcp_tool_execution_duration_seconds_count{server_name=\"mem\",tool_name=\"other\",status=\"success\"} 0",
            "mcp_response_size_bytes_count{server_name=\"mem\",method=\"tools/call\"} 0",
        ] {
            assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
        }
        assert!(page.ends_with("# EOF\n"));
    }

    #[test]
    fn invented_methods_are_one_series() {
        let metrics = Metrics::new("mem", 0);
        for name in ["a", "b", "tools/list"] {
            metrics.finished(Method::of(name), None, Meaning::Fine, Duration::from_millis(30));
        }
        metrics.failed(Failure::Tool);
        let page = metrics.page(&Present::default(), Format::Text, 0);
        let count =
            "mcp_request_duration_seconds_count{server_name=\"mem\",method=\"other\",status=\"success\"} 2";
        assert!(page.lines().any(|line| line == count), "{page}");
        let bucket = "method=\"tools/list\",status=\"success\"} 1";
        assert!(page.contains("le=\"0.05\"") && page.contains(bucket), "{page}");
        assert!(page.contains("error_type=\"tool\",severity=\"warning\"} 1"), "{page}");
    }
}
