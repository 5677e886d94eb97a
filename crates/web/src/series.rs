//! Owns the series that pages show: which queries are asked, of all servers for the fleet and of one for its charts, and what
//! is drawn of the answers. Whoever has the store asks.

use std::collections::HashMap;

use metrics::{Limit, Query, Rule, Series, Steps};

use crate::chart::{Chart, Line, Mark, Stretch, Threshold, Unit};
use crate::fleet::Measure;

/// What a sparkline shows, and how many values it has.
const SPARK_MS: i64 = 3_600_000;
const SPARK_STEP_MS: i64 = 150_000;

/// How many values a line of a chart has.
const CHART_STEPS: i64 = 180;

/// The shortest time between two values of a chart, and the shortest that a rate is taken over.
const STEP_MIN_MS: i64 = 10_000;
const RATE_MIN_MS: i64 = 300_000;

/// The labels of a server that take the place of `$server`, and the length that takes the place of `$rate`, are put in when
/// a query is asked.
const LATENCY: &str = "histogram_quantile(0.95, sum by (le, server_name) (rate(mcp_request_duration_seconds_bucket{$server}[$rate])))";
const MEDIAN: &str = "histogram_quantile(0.5, sum by (le, server_name) (rate(mcp_request_duration_seconds_bucket{$server}[$rate])))";
const ERRORS: &str = "sum by (server_name) (rate(mcp_server_errors_total{$server}[$rate]))";
const REQUESTS: &str = "sum by (server_name) (rate(mcp_request_duration_seconds_count{$server}[$rate]))";
const MEMORY: &str = "max by (server_name) (mcp_server_memory_usage_bytes{memory_type=\"rss\"$server})";
const CPU: &str = "max by (server_name) (mcp_server_cpu_usage_percent{$server})";
const IN_FLIGHT: &str = "sum by (server_name) (mcp_concurrent_operations{$server})";
const SESSIONS: &str = "sum by (server_name) (mcp_server_connections_active{$server})";
const STARTED: &str = "max by (server_name) (mcp_server_process_start_time_seconds{$server})";

/// The charts of a server: id, title, unit, and the lines with their queries. The first one is compared with rules.
type Plan = (&'static str, &'static str, Unit, &'static [(&'static str, &'static str)]);

const CHARTS: [Plan; 6] = [
    (
        "latency",
        "Latency",
        Unit::Seconds,
        &[("95 of 100 requests within", LATENCY), ("half of them within", MEDIAN)],
    ),
    ("errors", "Errors", Unit::PerSecond, &[("errors", ERRORS)]),
    ("memory", "Memory", Unit::Bytes, &[("resident", MEMORY)]),
    ("cpu", "Processor", Unit::Percent, &[("of one processor", CPU)]),
    ("requests", "Requests", Unit::PerSecond, &[("answered", REQUESTS)]),
    ("clients", "At once", Unit::Count, &[("requests that run", IN_FLIGHT), ("sessions", SESSIONS)]),
];

/// Asks a query at each of some steps; nothing where it cannot be answered.
pub type Ask<'a> = dyn FnMut(&Query, Steps) -> Vec<Series> + 'a;

/// The last hour of all servers.
#[derive(Debug, Default)]
pub struct Hour {
    /// The time that it is.
    pub stretch: Stretch,
    /// Two samples that are farther apart than this, in milliseconds, have a gap between them.
    pub gap_ms: i64,
    latency: HashMap<String, Measure>,
    errors: HashMap<String, Measure>,
    memory: HashMap<String, Measure>,
    started: HashMap<String, Measure>,
}

// === impl Hour ===

impl Hour {
    /// Asks for the last hour.
    pub fn of(now_ms: i64, ask: &mut Ask<'_>) -> Self {
        // The end moves on from step to step, so that what is over stays where it is drawn.
        let to_ms = next(now_ms, SPARK_STEP_MS);
        let stretch = Stretch { from_ms: to_ms - SPARK_MS, to_ms };
        let steps = Steps { start_ms: stretch.from_ms, end_ms: to_ms, step_ms: SPARK_STEP_MS };
        let now = Steps { start_ms: now_ms, end_ms: now_ms, step_ms: 1 };
        let mut of = |text: &str, steps| by_server(asked(ask, text, "", RATE_MIN_MS, steps));
        Self {
            stretch,
            gap_ms: SPARK_STEP_MS * 3 / 2,
            latency: of(LATENCY, steps),
            errors: of(ERRORS, steps),
            memory: of(MEMORY, steps),
            started: of(STARTED, now),
        }
    }

    /// How long a server has taken for most requests, in seconds.
    pub fn latency(&self, server: &str) -> Measure {
        self.latency.get(server).cloned().unwrap_or_default()
    }

    /// How many errors a server has had in a second.
    pub fn errors(&self, server: &str) -> Measure {
        self.errors.get(server).cloned().unwrap_or_default()
    }

    /// How many bytes of memory a server has had.
    pub fn memory(&self, server: &str) -> Measure {
        self.memory.get(server).cloned().unwrap_or_default()
    }

    /// When its process was started, in milliseconds since the Unix epoch.
    pub fn started_ms(&self, server: &str) -> Option<i64> {
        let seconds = self.started.get(server)?.last?;
        (seconds > 0.0).then_some((seconds * 1e3) as i64)
    }
}

fn by_server(series: Vec<Series>) -> HashMap<String, Measure> {
    let named = series.into_iter().filter_map(|one| {
        let last = one.samples.last().map(|(_, value)| *value).filter(|value| value.is_finite());
        Some((one.labels.get("server_name")?.to_owned(), Measure { last, samples: one.samples }))
    });
    named.collect()
}

/// The charts of a server over the last `length_ms`, with the limits of the rules as thresholds, and these marks.
pub fn charts(
    server: &str,
    (now_ms, length_ms): (i64, i64),
    limits: &[(String, Limit)],
    marks: &[Mark],
    ask: &mut Ask<'_>,
) -> Vec<Chart> {
    let step_ms = (length_ms / CHART_STEPS).max(STEP_MIN_MS);
    let to_ms = next(now_ms, step_ms);
    let stretch = Stretch { from_ms: to_ms - length_ms, to_ms };
    let steps = Steps { start_ms: stretch.from_ms, end_ms: to_ms, step_ms };
    let matcher = format!("server_name=\"{}\"", server.replace('\\', "\\\\").replace('"', "\\\""));
    let mut line = |(name, text): &(&str, &str)| {
        let found = asked(ask, text, &matcher, RATE_MIN_MS.max(step_ms), steps);
        let samples = found.into_iter().next().map(|one| one.samples).unwrap_or_default();
        Line { name: (*name).to_owned(), samples }
    };
    let chart = |(id, title, unit, lines): Plan| Chart {
        id,
        title,
        unit,
        stretch,
        gap_ms: step_ms * 3 / 2,
        lines: lines.iter().map(&mut line).collect(),
        thresholds: thresholds(limits, lines[0].1),
        marks: marks.to_vec(),
    };
    CHARTS.map(chart).into()
}

/// The limits of alerting rules, with the names of their alerts.
pub fn limits<'r>(rules: impl Iterator<Item = &'r Rule>) -> Vec<(String, Limit)> {
    let of = |rule: &Rule| -> Vec<(String, Limit)> {
        match rule {
            Rule::Alerting(rule) => {
                rule.query.limits().into_iter().map(|limit| (rule.name.clone(), limit)).collect()
            }
            Rule::Recording(_) => Vec::new(),
        }
    };
    rules.flat_map(of).collect()
}

/// Those that are about the series of a query, and all of them; each value once.
fn thresholds(limits: &[(String, Limit)], text: &str) -> Vec<Threshold> {
    let Ok(query) = Query::parse(&filled(text, "", RATE_MIN_MS)) else { return Vec::new() };
    let selectors = query.selectors();
    let mut found: Vec<Threshold> = Vec::new();
    for (alert, limit) in limits.iter().filter(|(_, limit)| limit.selectors == selectors) {
        if found.iter().all(|known| known.value != limit.value) {
            found.push(Threshold { alert: alert.clone(), value: limit.value });
        }
    }
    found
}

fn asked(ask: &mut Ask<'_>, text: &str, matcher: &str, rate_ms: i64, steps: Steps) -> Vec<Series> {
    Query::parse(&filled(text, matcher, rate_ms)).map_or_else(|_| Vec::new(), |query| ask(&query, steps))
}

/// A query for a server, or for all.
fn filled(text: &str, matcher: &str, rate_ms: i64) -> String {
    let beside = if matcher.is_empty() { String::new() } else { format!(",{matcher}") };
    text.replace("\"$server", &format!("\"{beside}"))
        .replace("$server", matcher)
        .replace("$rate", &format!("{}s", rate_ms / 1_000))
}

/// The next multiple of a step.
fn next(at_ms: i64, step_ms: i64) -> i64 {
    (at_ms.div_euclid(step_ms) + 1) * step_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_of_a_page_is_one() {
        for text in [LATENCY, MEDIAN, ERRORS, REQUESTS, MEMORY, CPU, IN_FLIGHT, SESSIONS, STARTED] {
            for matcher in ["", "server_name=\"a.b\""] {
                let text = filled(text, matcher, RATE_MIN_MS);
                let query = Query::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
                let selectors = query.selectors().join(" ");
                assert_eq!(selectors.contains("a.b"), !matcher.is_empty(), "{text}");
            }
        }
    }

    #[test]
    fn thresholds_are_those_of_rules_about_the_same_series() {
        let rule = |name: &str, text: &str| {
            Query::parse(text)
                .unwrap()
                .limits()
                .into_iter()
                .map(|limit| (name.to_owned(), limit))
                .collect::<Vec<_>>()
        };
        let all = [
            rule("Slow", "histogram_quantile(0.95,\nsum by (le, server_name) (rate(mcp_request_duration_seconds_bucket[5m]))) > 5"),
            rule("Big", "max by (server_name) (mcp_server_memory_usage_bytes{memory_type=\"rss\"}) > 2 * 1024 ^ 3 or x > 1"),
            rule("Logins", "sum by (server_name) (rate(mcp_server_errors_total{error_type=\"authentication\"}[5m])) > 0.05"),
        ]
        .concat();
        let check = |text: &str, expect: &[(&str, f64)]| {
            let found: Vec<(String, f64)> =
                thresholds(&all, text).into_iter().map(|one| (one.alert, one.value)).collect();
            let expect: Vec<(String, f64)> =
                expect.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
            assert_eq!(found, expect, "{text}");
        };
        check(LATENCY, &[("Slow", 5.0)]);
        check(MEMORY, &[("Big", 2_147_483_648.0)]);
        // A rule about some of the errors is none about all of them.
        check(ERRORS, &[]);
    }

    #[test]
    fn what_the_store_has_is_drawn() {
        let mut store = metrics::Store::new(metrics::Limits {
            retention_ms: i64::MAX,
            series_max: 100,
            samples_per_series_max: 1_000,
        });
        let now_ms = 1_780_000_000_000;
        for ago in (0..30).rev() {
            let at_ms = now_ms - ago * 60_000;
            for (name, extra, value) in [
                ("mcp_server_memory_usage_bytes", ("memory_type", "rss"), 7e7),
                ("mcp_server_errors_total", ("error_type", "x"), (30 - ago) as f64 * 6.0),
                ("mcp_server_process_start_time_seconds", ("a", "b"), 1_770_000_000.5),
            ] {
                let labels = metrics::Labels::metric(name, &[extra, ("server_name", "mail")]);
                store.append(&labels, at_ms, value).unwrap();
            }
        }
        let mut ask = |query: &Query, steps| query.range(&store, steps).unwrap();
        let hour = Hour::of(now_ms, &mut ask);
        assert_eq!(hour.memory("mail").last, Some(7e7));
        // Half of the hour has samples, and a rate needs two of them.
        assert!((10..=13).contains(&hour.memory("mail").samples.len()), "{hour:?}");
        let rate = hour.errors("mail").last.unwrap();
        assert!((rate - 0.1).abs() < 0.03, "six in a minute are 0.1 in a second, and not {rate}");
        assert_eq!((hour.started_ms("mail"), hour.started_ms("other")), (Some(1_770_000_000_500), None));
        assert_eq!(hour.latency("mail"), Measure::default());
        let drawn = charts("mail", (now_ms, 3_600_000), &[], &[], &mut ask);
        let lines = |id: &str| drawn.iter().find(|chart| chart.id == id).unwrap().lines[0].samples.len();
        assert!(lines("memory") > 80 && lines("errors") > 80 && lines("latency") == 0);
    }

    #[test]
    fn the_end_of_a_chart_moves_by_steps() {
        assert_eq!((next(0, 10), next(9, 10), next(10, 10)), (10, 10, 20));
    }
}
