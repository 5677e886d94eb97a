//! Owns the metrics of the server in front of which the guard stands, in OpenMetrics text.

mod labels;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use process::control::Package;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::cache::{KINDS, Kind};
use crate::controls::Refused;
use labels::{
    CacheLabels, ErrorLabels, FAILURES, HitRateLabels, MemoryLabels, MethodLabels, OPERATIONS, OTHER,
    OperationLabels, PackageLabels, REFUSALS, RefusedLabels, RequestLabels, SpanLabels, ToolLabels,
};
pub(crate) use labels::{Failure, Method, Status};

/// The media type of [`Metrics::page`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The edges of OpenTelemetry's MCP conventions, and those of the original runbook.
const DURATION_BUCKETS: [f64; 18] =
    [0.005, 0.01, 0.02, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// Those of the original runbook, and two for what is as long as it may be.
const ANSWER_BUCKETS: [f64; 11] = [100.0, 500.0, 1e3, 5e3, 1e4, 5e4, 1e5, 5e5, 1e6, 4e6, 16e6];

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
    /// The methods of the requests that run now, and how long each has been running.
    pub(crate) running: Vec<(Method, Duration)>,
    /// How many of all sessions may write, in percent.
    pub(crate) writes_percent: i64,
    /// When the child started, in seconds since 1970; 0 if none runs.
    pub(crate) child_started: f64,
}

/// All metrics of one server.
pub(crate) struct Metrics {
    registry: Registry,
    durations: Family<RequestLabels, Histogram, fn() -> Histogram>,
    errors: Family<ErrorLabels, Counter>,
    starts: Counter,
    up: Gauge,
    memory: Family<MemoryLabels, Gauge>,
    operations: Family<OperationLabels, Gauge>,
    oldest_operation: Gauge<f64, AtomicU64>,
    sessions: Gauge,
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
    /// Whose names are labels already.
    tool_names: Mutex<BTreeSet<Box<str>>>,
}

// === impl Metrics ===

impl Metrics {
    /// All series of errors are there from the start, at 0: the increase of a counter that is born at 1 is 0.
    pub(crate) fn new(server: &str) -> Self {
        let name = [("server_name".into(), server.to_owned().into())];
        let metrics = Self {
            registry: Registry::with_labels(name.into_iter()),
            durations: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS)),
            errors: Family::default(),
            starts: Counter::default(),
            up: Gauge::default(),
            memory: Family::default(),
            operations: Family::default(),
            oldest_operation: Gauge::default(),
            sessions: Gauge::default(),
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
            tool_names: Mutex::default(),
        };
        for kind in KINDS {
            for outcome in ["hit", "miss"] {
                drop(metrics.cached.get_or_create_owned(&CacheLabels { cache_type: kind.name(), outcome }));
            }
            drop(metrics.hit_rate.get_or_create_owned(&HitRateLabels { cache_type: kind.name() }));
        }
        for reason in REFUSALS {
            drop(metrics.refused.get_or_create_owned(&RefusedLabels { reason }));
        }
        for failure in FAILURES {
            drop(metrics.errors.get_or_create(&failure.labels()));
        }
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let r = &mut self.registry;
        r.register("mcp_server_up", "Whether a child answers the protocol", self.up.clone());
        r.register(
            "mcp_request_duration_seconds",
            "From the request of a client to the answer of the server",
            self.durations.clone(),
        );
        r.register("mcp_server_errors", "What went wrong", self.errors.clone());
        r.register(
            "mcp_server_memory_usage_bytes",
            "Memory of the server's whole process tree",
            self.memory.clone(),
        );
        r.register("mcp_concurrent_operations", "Requests that run now", self.operations.clone());
        r.register(
            "mcp_oldest_operation_seconds",
            "How long the oldest of the requests that run now has been running, 0 if none runs",
            self.oldest_operation.clone(),
        );
        r.register("mcp_server_connections_active", "Sessions that clients have open", self.sessions.clone());
        r.register(
            "mcp_server_file_descriptors",
            "Open descriptors of the server's whole process tree",
            self.descriptors.clone(),
        );
        r.register("mcp_server_starts", "Children that were started", self.starts.clone());
        r.register(
            "mcp_server_process_start_time_seconds",
            "When the child started, 0 if none runs",
            self.child_started.clone(),
        );
        r.register(
            "mcp_server_requests_refused",
            "Requests that were refused because of what an operator has laid down",
            self.refused.clone(),
        );
        r.register(
            "mcp_server_writes_percent",
            "How many of all sessions may write: 0 in read-only mode",
            self.writes_percent.clone(),
        );
        r.register("mcp_cache_requests", "What could be answered without the server", self.cached.clone());
        r.register(
            "mcp_cache_hit_rate",
            "How much of it was, since the guard started, in percent",
            self.hit_rate.clone(),
        );
        r.register("mcp_response_size_bytes", "Length of the server's answers", self.answer_bytes.clone());
        r.register(
            "mcp_tool_execution_duration_seconds",
            "From the call of a tool to its answer",
            self.tools.clone(),
        );
        r.register("paramedic_guard_spans", "Spans of the guard by what became of them", self.spans.clone());
        r.register("mcp_server_package", "The package that was really run", self.package.clone());
        self
    }

    /// For series that only some guards have.
    pub(crate) fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    pub(crate) fn finished(&self, method: Method, status: Status, took: Duration) {
        self.durations.get_or_create(&RequestLabels { method, status }).observe(took.as_secs_f64());
    }

    /// An answer has come, and is so long.
    pub(crate) fn answered(&self, method: Method, bytes: usize) {
        self.answer_bytes.get_or_create(&MethodLabels { method }).observe(bytes as f64);
    }

    /// A tool has answered, or has not.
    pub(crate) fn called(&self, tool: &str, status: Status, took: Duration) {
        let mut names = self.tool_names.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = names.contains(tool);
        // Only what a server has carried out is a tool: a client that invents names invents no series.
        let name = match is_known || (status == Status::Success && names.len() < TOOLS_MAX) {
            true => tool,
            false => OTHER,
        };
        if !is_known && name != OTHER {
            names.insert(tool.into());
        }
        drop(names);
        let labels = ToolLabels { tool_name: name.into(), status };
        self.tools.get_or_create(&labels).observe(took.as_secs_f64());
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

    /// The page of all metrics as they are now.
    pub(crate) fn page(&self, present: &Present) -> String {
        self.up.set(present.up);
        self.sessions.set(present.sessions);
        self.writes_percent.set(present.writes_percent);
        self.descriptors.set(present.descriptors);
        self.child_started.set(present.child_started);
        self.memory.get_or_create(&MemoryLabels { memory_type: "rss" }).set(present.rss_bytes);
        for operation in OPERATIONS {
            let count = present.running.iter().filter(|(method, _)| method.operation() == operation).count();
            let gauge = self.operations.get_or_create_owned(&OperationLabels { operation_type: operation });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.oldest_operation.set(present.running.iter().map(|one| one.1.as_secs_f64()).fold(0.0, f64::max));
        let mut page = String::new();
        text::encode(&mut page, &self.registry).expect("writing to a string cannot fail");
        page
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Failure, Method, Metrics, Present, Status};

    #[test]
    fn the_page_has_every_series_from_the_start() {
        let metrics = Metrics::new("mem");
        let present = Present {
            running: vec![(Method::TOOLS_CALL, Duration::from_secs(7)), (Method::of("x"), Duration::ZERO)],
            ..Present::default()
        };
        let page = metrics.page(&present);
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
        ] {
            assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
        }
        assert!(page.ends_with("# EOF\n"));
    }

    #[test]
    fn invented_methods_are_one_series() {
        let metrics = Metrics::new("mem");
        for name in ["a", "b", "tools/list"] {
            metrics.finished(Method::of(name), Status::Success, Duration::from_millis(30));
        }
        metrics.failed(Failure::Tool);
        let page = metrics.page(&Present::default());
        let count =
            "mcp_request_duration_seconds_count{server_name=\"mem\",method=\"other\",status=\"success\"} 2";
        assert!(page.lines().any(|line| line == count), "{page}");
        let bucket = "method=\"tools/list\",status=\"success\"} 1";
        assert!(page.contains("le=\"0.05\"") && page.contains(bucket), "{page}");
        assert!(page.contains("error_type=\"tool\",severity=\"warning\"} 1"), "{page}");
    }
}
