//! Owns what `serve` knows in numbers, where it runs: its samples of memory, descriptors, requests and starts.

use std::time::Duration;

use diagnosis::{Finding, kind};
use server::api::prometheus::answer::{Answer, Data};
use server::api::wire::ServerStatus;
use server::client::Client;
use server::growth::{growing, grown};

/// A `serve` that does not answer at once is busy; the look goes on without it.
const WITHIN: Duration = Duration::from_millis(500);
/// A connection that was left behind longer ago has been noticed by now.
const RECOVERY: &str = "30m";

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
    let mut found = Vec::new();
    let recent = |points: Vec<(f64, f64)>| {
        let last = points.last().map_or(0.0, |point| point.0);
        let age = process.age_ms.map_or(f64::INFINITY, |age_ms| age_ms as f64 / 1e3);
        points.into_iter().filter(|point| last - point.0 <= age).collect::<Vec<_>>()
    };
    for one in growing(server) {
        let is_memory = one.kind == kind::RSS_GROWTH_BYTES_PER_HOUR;
        let how = if is_memory { one.how.up_to(process.limit_bytes) } else { one.how };
        found.extend(grown(one.kind, server, &recent(points(client, &one.range).await), &how));
    }
    for (kind, query) in [
        (kind::CONCURRENT_OPERATIONS, format!("sum({})", of("mcp_concurrent_operations"))),
        (kind::OLDEST_OPERATION_SECONDS, format!("max({})", of("mcp_oldest_operation_seconds"))),
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
        if kind == kind::P95_SECONDS && value.is_some() {
            let finding =
                value.map(|value| Finding::new(kind, server).with_value((value * 1e3).round() / 1e3));
            let slowest = slowest(client, &of("mcp_request_duration_seconds_bucket")).await;
            found.extend(finding.map(|finding| match slowest {
                Some(words) => finding.with_message(&words),
                None => finding,
            }));
            continue;
        }
        found.extend(value.map(|value| Finding::new(kind, server).with_value((value * 1e3).round() / 1e3)));
    }
    found
}

/// The method of real calls that takes longest, and how long.
async fn slowest(client: &Client, buckets: &str) -> Option<String> {
    let query = format!("topk(1, histogram_quantile(0.95, sum by (le, method) (rate({buckets}[5m]))))");
    let Data::Vector(found) = ask(client, &query).await? else { return None };
    let slowest = found.first()?;
    let (method, seconds) = (slowest.metric.get("method")?, slowest.value.number()?);
    seconds.is_finite().then(|| format!("`{method}` takes longest: 95 of 100 no longer than {seconds:.3} s"))
}

/// A dependency that was down within the last half hour and is back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recovered {
    pub(super) dependency: String,
    /// When it was seen to be back, in milliseconds since the Unix epoch.
    pub(super) at_ms: i64,
}

/// The dependencies of a server that are back.
pub(super) async fn recovered(client: &Client, server: &str) -> Vec<Recovered> {
    let query = format!("mcp_server_dependency_status{{server_name=\"{server}\"}}[{RECOVERY}]");
    let Some(Data::Matrix(found)) = ask(client, &query).await else { return Vec::new() };
    let recovered = |range: &server::api::prometheus::answer::Range| {
        let dependency = range.metric.get("dependency_name")?.to_owned();
        let points: Vec<(f64, f64)> =
            range.values.iter().filter_map(|point| Some((point.0, point.number()?))).collect();
        let at = back_at(&points)?;
        Some(Recovered { dependency, at_ms: (at * 1e3) as i64 })
    };
    found.iter().filter_map(recovered).collect()
}

/// When what was down came back and stayed: the time of the first sample behind the last one that is 0.
fn back_at(points: &[(f64, f64)]) -> Option<f64> {
    let last_down = points.iter().rposition(|(_, value)| *value == 0.0)?;
    points.get(last_down + 1).map(|(at, _)| *at)
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

#[cfg(test)]
mod tests {
    use super::back_at;

    #[test]
    fn who_is_back_was_away() {
        for (values, expect) in [
            (&[1.0, 1.0][..], None),
            (&[1.0, 0.0], None),
            (&[0.0, 1.0, 0.0, 0.0, 1.0, 1.0], Some(4.0)),
            (&[], None),
        ] {
            let points: Vec<(f64, f64)> =
                values.iter().enumerate().map(|(at, value)| (at as f64, *value)).collect();
            assert_eq!(back_at(&points), expect, "{values:?}");
        }
    }
}
