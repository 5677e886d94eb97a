//! Owns the summary of the servers: a few queries, one row a server, and what they come to together.

use std::collections::BTreeMap;

use metrics::{Labels, Query, Store, Value};
use serde::Serialize;
use server::api::prometheus::answer::{Answer, Data};
use server::client::{Client, ClientError};

use crate::arguments::Output;
use crate::plot::number;
use crate::show;

/// Where the numbers come from.
pub(super) enum Source<'s> {
    /// What `serve` has gathered.
    Serve(&'s Client),
    /// One page of one guard: nothing is known of before, so that rates are those since its start.
    Page(&'s Store),
}

/// All servers.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// When it was asked, in milliseconds since the Unix epoch.
    timestamp: i64,
    servers: BTreeMap<String, Server>,
    aggregated: Aggregated,
}

/// One server; what is not known is left open.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
struct Server {
    up: Option<bool>,
    cpu_percent: Option<f64>,
    memory_mb: Option<f64>,
    descriptors: Option<f64>,
    connections: Option<f64>,
    requests_per_second: Option<f64>,
    errors_per_second: Option<f64>,
    response_time_ms: Option<f64>,
    response_time_p95_ms: Option<f64>,
    /// When it was last looked at, in milliseconds since the Unix epoch.
    last_update: Option<i64>,
}

/// The servers together.
#[derive(Debug, PartialEq, Serialize)]
struct Aggregated {
    total_servers: usize,
    servers_up: usize,
    avg_cpu_percent: Option<f64>,
    total_memory_mb: Option<f64>,
    total_connections: Option<f64>,
    avg_response_time_ms: Option<f64>,
}

/// A query, and where its values go.
struct Column {
    query: &'static str,
    /// The same of a single page, where it is another.
    of_page: Option<&'static str>,
    put: fn(&mut Server, f64),
}

const COLUMNS: [Column; 10] = [
    Column { query: "mcp_server_up", of_page: None, put: |server, value| server.up = Some(value == 1.0) },
    Column {
        query: "mcp_server_cpu_usage_percent",
        of_page: None,
        put: |server, value| server.cpu_percent = Some(value),
    },
    Column {
        query: r#"mcp_server_memory_usage_bytes{memory_type="rss"} / 1024 / 1024"#,
        of_page: None,
        put: |server, value| server.memory_mb = Some(value),
    },
    Column {
        query: "mcp_server_file_descriptors",
        of_page: None,
        put: |server, value| server.descriptors = Some(value),
    },
    Column {
        query: "mcp_server_connections_active",
        of_page: None,
        put: |server, value| server.connections = Some(value),
    },
    Column {
        query: "sum by (server_name) (rate(mcp_request_duration_seconds_count[5m]))",
        of_page: Some(SINCE_START_REQUESTS),
        put: |server, value| server.requests_per_second = Some(value),
    },
    Column {
        query: "sum by (server_name) (rate(mcp_server_errors_total[5m]))",
        of_page: Some(SINCE_START_ERRORS),
        put: |server, value| server.errors_per_second = Some(value),
    },
    Column {
        query: "1000 * histogram_quantile(0.5, sum by (server_name, le) (rate(mcp_request_duration_seconds_bucket[5m])))",
        of_page: Some(
            "1000 * histogram_quantile(0.5, sum by (server_name, le) (mcp_request_duration_seconds_bucket))",
        ),
        put: |server, value| server.response_time_ms = Some(value),
    },
    Column {
        query: "1000 * histogram_quantile(0.95, sum by (server_name, le) (rate(mcp_request_duration_seconds_bucket[5m])))",
        of_page: Some(
            "1000 * histogram_quantile(0.95, sum by (server_name, le) (mcp_request_duration_seconds_bucket))",
        ),
        put: |server, value| server.response_time_p95_ms = Some(value),
    },
    Column {
        query: "1000 * timestamp(mcp_server_up)",
        of_page: None,
        put: |server, value| server.last_update = Some(value as i64),
    },
];

const SINCE_START_REQUESTS: &str = "sum by (server_name) (mcp_request_duration_seconds_count) \
     / on (server_name) (time() - mcp_server_process_start_time_seconds > 0)";
const SINCE_START_ERRORS: &str = "sum by (server_name) (mcp_server_errors_total) \
     / on (server_name) (time() - mcp_server_process_start_time_seconds > 0)";

// === impl Source ===

impl Source<'_> {
    /// The finite values of a query by server.
    async fn values(&self, column: &Column, at_ms: i64) -> Result<Vec<(String, f64)>, ClientError> {
        let refused = |message: String| ClientError::Refused { status: 422, message };
        let found: Vec<(Labels, f64)> = match self {
            Self::Serve(client) => {
                let time = (at_ms as f64 / 1e3).to_string();
                let parameters = [("query", column.query.to_owned()), ("time", time)];
                match client.ask::<Answer<Data>>("/prometheus/api/v1/query", &parameters).await? {
                    Answer::Success { data: Data::Vector(found), .. } => {
                        found.into_iter().filter_map(|one| Some((one.metric, one.value.number()?))).collect()
                    }
                    Answer::Success { .. } => Vec::new(),
                    Answer::Error { error, .. } => return Err(refused(error)),
                }
            }
            Self::Page(store) => {
                let query = Query::parse(column.of_page.unwrap_or(column.query));
                match query.and_then(|query| query.instant(store, at_ms)) {
                    Ok(Value::Vector(found)) => {
                        found.into_iter().map(|one| (one.labels, one.value)).collect()
                    }
                    Ok(_) => Vec::new(),
                    Err(error) => return Err(refused(error.to_string())),
                }
            }
        };
        let finite = found.iter().filter(|(_, value)| value.is_finite());
        Ok(finite
            .filter_map(|(labels, value)| Some((labels.get("server_name")?.to_owned(), *value)))
            .collect())
    }
}

// === impl Summary ===

impl Summary {
    /// Asks about one server, or all.
    pub(super) async fn ask(
        source: &Source<'_>,
        only: Option<&str>,
        at_ms: i64,
    ) -> Result<Self, ClientError> {
        let mut servers: BTreeMap<String, Server> = BTreeMap::new();
        if let Some(only) = only {
            servers.insert(only.to_owned(), Server::default());
        }
        for column in &COLUMNS {
            for (name, value) in source.values(column, at_ms).await? {
                if only.is_none_or(|only| only == name) {
                    (column.put)(servers.entry(name).or_default(), value);
                }
            }
        }
        let aggregated = Aggregated::of(&servers.values().collect::<Vec<_>>());
        Ok(Self { timestamp: at_ms, servers, aggregated })
    }

    pub(super) fn print(&self, output: Output) {
        match output {
            Output::Json => return show::json(self),
            Output::Jsonl => return show::json_line(self),
            Output::Table => {}
        }
        if self.servers.is_empty() {
            anstream::eprintln!("no servers");
            return;
        }
        let rows: Vec<(&String, &Server)> = self.servers.iter().collect();
        let header = [
            "server",
            "up",
            "cpu",
            "memory",
            "files",
            "connections",
            "requests/s",
            "errors/s",
            "p50",
            "p95",
            "looked at (UTC)",
        ];
        show::rows(output, &rows, &header, |(name, server)| server.cells(name));
        let all = &self.aggregated;
        let known = [
            Some(format!("{} of {} up", all.servers_up, all.total_servers)),
            all.avg_cpu_percent.map(|percent| format!("{} % cpu on average", number(percent))),
            all.total_memory_mb.map(|memory| format!("{} MiB of memory", number(memory))),
            all.total_connections.map(|count| format!("{} connections", number(count))),
        ];
        show::line(&known.into_iter().flatten().collect::<Vec<_>>().join(", "));
    }
}

// === impl Server ===

impl Server {
    fn cells(&self, name: &str) -> Vec<String> {
        let of = |value: Option<f64>, unit: &str| {
            value.map_or_else(String::new, |value| format!("{}{unit}", number(value)))
        };
        let up = self.up.map_or("", |up| if up { "yes" } else { "no" });
        vec![
            name.to_owned(),
            up.to_owned(),
            of(self.cpu_percent, " %"),
            of(self.memory_mb, " MiB"),
            of(self.descriptors, ""),
            of(self.connections, ""),
            of(self.requests_per_second, ""),
            of(self.errors_per_second, ""),
            of(self.response_time_ms, " ms"),
            of(self.response_time_p95_ms, " ms"),
            self.last_update.map(show::time).unwrap_or_default(),
        ]
    }
}

// === impl Aggregated ===

impl Aggregated {
    fn of(servers: &[&Server]) -> Self {
        let sum = |of: fn(&Server) -> Option<f64>| {
            let known: Vec<f64> = servers.iter().copied().filter_map(of).collect();
            (!known.is_empty()).then(|| (known.iter().sum::<f64>(), known.len()))
        };
        let average = |of| sum(of).map(|(sum, count)| sum / count as f64);
        Self {
            total_servers: servers.len(),
            servers_up: servers.iter().filter(|server| server.up == Some(true)).count(),
            avg_cpu_percent: average(|server| server.cpu_percent),
            total_memory_mb: sum(|server| server.memory_mb).map(|(sum, _)| sum),
            total_connections: sum(|server| server.connections).map(|(sum, _)| sum),
            avg_response_time_ms: average(|server| server.response_time_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_can_be_read() {
        for column in &COLUMNS {
            Query::parse(column.query).unwrap();
            column.of_page.map(|query| Query::parse(query).unwrap());
        }
    }

    #[test]
    fn what_is_not_known_is_not_counted() {
        let up = Server {
            up: Some(true),
            memory_mb: Some(100.0),
            response_time_ms: Some(4.0),
            ..Server::default()
        };
        let down = Server { up: Some(false), ..Server::default() };
        let together = Aggregated::of(&[&up, &down, &up]);
        let expected = Aggregated {
            total_servers: 3,
            servers_up: 2,
            avg_cpu_percent: None,
            total_memory_mb: Some(200.0),
            total_connections: None,
            avg_response_time_ms: Some(4.0),
        };
        assert_eq!(together, expected);
    }
}
