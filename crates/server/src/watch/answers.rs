//! Owns how our own questions were answered, as histograms and counters: so servers without a guard have response times
//! too.

use probe::{Health, Report};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// In seconds; those of a guard's `mcp_request_duration_seconds`, so that both can be added up.
const BUCKETS: [f64; 18] =
    [0.005, 0.01, 0.02, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRequest {
    server_name: String,
    method: &'static str,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCheck {
    server_name: String,
    check_type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfAnswer {
    server_name: String,
    status: String,
}

/// The histograms and counters.
#[derive(Debug)]
pub(crate) struct Answers {
    requests: Histograms<OfRequest>,
    checks: Histograms<OfCheck>,
    answers: Family<OfAnswer, Counter>,
}

// === impl Answers ===

impl Default for Answers {
    fn default() -> Self {
        let new: fn() -> Histogram = || Histogram::new(BUCKETS);
        Self {
            requests: Family::new_with_constructor(new),
            checks: Family::new_with_constructor(new),
            answers: Family::default(),
        }
    }
}

impl Answers {
    /// Takes in how long a check took, and each request that it made.
    pub(super) fn take(&self, report: &Report) {
        if report.health == Health::Unknown {
            return;
        }
        let check = OfCheck { server_name: report.target.clone(), check_type: report.check.label() };
        self.checks.get_or_create(&check).observe(report.duration_ms / 1e3);
        for request in &report.requests {
            let status = if request.succeeded { "success" } else { "error" };
            let labels = OfRequest { server_name: report.target.clone(), method: request.method, status };
            self.requests.get_or_create(&labels).observe(request.duration_ms / 1e3);
        }
    }

    /// Counts what a look at a server came to.
    pub(super) fn count(&self, readiness: &Report) {
        for health in [Health::Healthy, Health::Degraded, Health::Unhealthy, Health::Unknown] {
            let labels = OfAnswer { server_name: readiness.target.clone(), status: health.to_string() };
            // All are there from the first look.
            self.answers.get_or_create(&labels).inc_by(u64::from(health == readiness.health));
        }
    }

    /// Forgets a server that is gone.
    pub(super) fn forget(&self, server: &str) {
        for check_type in ["liveness", "dependency"] {
            self.checks.remove(&OfCheck { server_name: server.to_owned(), check_type });
        }
        for method in ["initialize", "ping"] {
            for status in ["success", "error"] {
                self.requests.remove(&OfRequest { server_name: server.to_owned(), method, status });
            }
        }
        for health in [Health::Healthy, Health::Degraded, Health::Unhealthy, Health::Unknown] {
            self.answers.remove(&OfAnswer { server_name: server.to_owned(), status: health.to_string() });
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "mcp_request_duration_seconds",
            "From a request of ours to the server's answer; of servers without a guard",
            self.requests.clone(),
        );
        registry.register(
            "mcp_server_response_time_seconds",
            "How long it took to find out how a server is",
            self.checks.clone(),
        );
        registry.register(
            "mcp_server_health_checks",
            "Looks at a server by how it was",
            self.answers.clone(),
        );
    }
}
