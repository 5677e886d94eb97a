//! Owns what `serve` knows in numbers, where it runs: its samples of memory, descriptors, requests and starts.

use std::time::Duration;

use diagnosis::{Finding, kind};
use server::api::prometheus::answer::{Answer, Data};
use server::api::wire::ServerStatus;
use server::client::Client;

use super::growth::{Grown, grown};

/// A `serve` that does not answer at once is busy; the look goes on without it.
const WITHIN: Duration = Duration::from_millis(500);
/// Who has just begun to work grows until he is warm: nobody calls that a leak.
const WARM_SECONDS: f64 = 300.0;
/// How far back growth is looked for.
const HISTORY: &str = "2h";

/// What `serve` says of a server; none without `serve`.
pub(super) async fn status(client: &Client, server: &str) -> Option<ServerStatus> {
    // A name that is no server, such as that of a process, may hold anything.
    let plain = server.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
    if !plain {
        return None;
    }
    client.get_within(&format!("/api/v1/servers/{server}"), WITHIN).await.ok()
}

/// What is known of the process of a server.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Process {
    /// How long it has run: what was before belongs to another one.
    pub(super) age_ms: Option<i64>,
    /// The memory that it may have.
    pub(super) limit_bytes: Option<u64>,
}

/// What its samples say.
pub(super) async fn of_serve(client: &Client, server: &str, process: Process) -> Vec<Finding> {
    let of = |name: &str| format!("{name}{{server_name=\"{server}\"}}");
    let memory =
        format!("mcp_server_memory_usage_bytes{{server_name=\"{server}\",memory_type=\"rss\"}}[{HISTORY}]");
    let descriptors = format!("{}[{HISTORY}]", of("mcp_server_file_descriptors"));
    let mut found = Vec::new();
    let recent = |points: Vec<(f64, f64)>| {
        let last = points.last().map_or(0.0, |point| point.0);
        let age = process.age_ms.map_or(f64::INFINITY, |age_ms| age_ms as f64 / 1e3);
        points.into_iter().filter(|point| last - point.0 <= age).collect::<Vec<_>>()
    };
    let points = recent(points(client, &memory).await);
    found.extend(grown(
        kind::RSS_GROWTH_BYTES_PER_HOUR,
        server,
        &points,
        &Grown::memory(process.limit_bytes).over(WARM_SECONDS),
    ));
    let points = recent(self::points(client, &descriptors).await);
    found.extend(grown(
        kind::DESCRIPTORS_GROWTH_PER_HOUR,
        server,
        &points,
        &Grown::count().over(WARM_SECONDS),
    ));
    for (kind, query) in [
        (kind::CONCURRENT_OPERATIONS, format!("sum({})", of("mcp_concurrent_operations"))),
        (
            kind::P95_SECONDS,
            format!(
                "histogram_quantile(0.95, sum by (le) (rate({}[5m])))",
                of("mcp_request_duration_seconds_bucket")
            ),
        ),
        (
            kind::RESTARTS,
            format!("max_over_time({0}[1h]) - min_over_time({0}[1h])", of("mcp_server_starts_total")),
        ),
    ] {
        let value = value(client, &query).await.filter(|value| value.is_finite());
        found.extend(value.map(|value| Finding::new(kind, server).with_value((value * 1e3).round() / 1e3)));
    }
    found
}

async fn ask(client: &Client, query: &str) -> Option<Data> {
    let parameters = [("query", query.to_owned())];
    let asked = client.ask::<Answer<Data>>("/prometheus/api/v1/query", &parameters);
    match tokio::time::timeout(WITHIN, asked).await.ok()?.ok()? {
        Answer::Success { data, .. } => Some(data),
        Answer::Error { .. } => None,
    }
}

async fn value(client: &Client, query: &str) -> Option<f64> {
    match ask(client, query).await? {
        Data::Vector(found) => found.first()?.value.number(),
        Data::Scalar(point) => point.number(),
        _ => None,
    }
}

/// The samples of the first series, in seconds.
async fn points(client: &Client, query: &str) -> Vec<(f64, f64)> {
    let Some(Data::Matrix(found)) = ask(client, query).await else { return Vec::new() };
    let values = found.into_iter().next().map(|range| range.values).unwrap_or_default();
    values.iter().filter_map(|point| Some((point.0, point.number()?))).collect()
}
