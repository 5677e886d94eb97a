//! Owns the names of the metrics, and what they say of themselves.

use super::{Metrics, RESTARTS};

// === impl Metrics ===

impl Metrics {
    /// All of them, by what they are about.
    pub(super) fn registered(mut self) -> Self {
        let r = &mut self.registry;
        r.register("mcp_server_up", "Whether a child answers the protocol", self.up.clone());
        r.register(
            "mcp_request_duration_seconds",
            "From the request of a client to the answer of the server",
            self.durations.clone(),
        );
        r.register(
            "mcp_server_operation_duration_seconds",
            "The same as OpenTelemetry names it",
            self.operation_durations.clone(),
        );
        r.register("mcp_server_errors", "What went wrong", self.errors.clone());
        r.register(
            "mcp_server_memory_usage_bytes",
            "Memory of the server's whole process tree",
            self.memory.clone(),
        );
        r.register(
            "mcp_server_health_status",
            "2 healthy, 1 degraded, 0 unhealthy, -1 unknown",
            self.health.clone(),
        );
        r.register(
            "mcp_server_dependency_status",
            "1 when a dependency answers, as it was told",
            self.dependencies.clone(),
        );
        r.register("mcp_concurrent_operations", "Requests that run now", self.operations.clone());
        r.register(
            "mcp_oldest_operation_seconds",
            "How long the oldest of the requests that run now has been running, 0 if none runs",
            self.oldest_operation.clone(),
        );
        self.with_the_rest()
    }

    /// The rest: what clients have open, what the process is, and what the guard itself does.
    fn with_the_rest(mut self) -> Self {
        let r = &mut self.registry;
        r.register("mcp_server_connections_active", "Sessions that clients have open", self.sessions.clone());
        r.register("mcp_server_connections", "Sessions that clients have opened", self.connections.clone());
        r.register("mcp_server_network_bytes", "What clients have sent, and were sent", self.network.clone());
        r.register(
            "mcp_server_file_descriptors",
            "Open descriptors of the server's whole process tree",
            self.descriptors.clone(),
        );
        r.register("mcp_server_starts", "Children that were started", self.starts.clone());
        r.register(
            RESTARTS,
            "How often the server was started anew, over the lives of all its guards",
            self.restarts.clone(),
        );
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
        r.register(
            "paramedic_guard_signs",
            "Messages that show signs of attacks, by the kind of attack and what became of them",
            self.signs.clone(),
        );
        r.register("mcp_server_package", "The package that was really run", self.package.clone());
        self
    }
}
