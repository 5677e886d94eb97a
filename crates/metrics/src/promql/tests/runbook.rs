//! Owns the tests of the runbook's own alert queries: each fires in the situation it is for, and only then.

use expect_test::{Expect, expect};

use crate::labels::Labels;
use crate::promql::{Query, Value};
use crate::store::{Limits, Store};

const LIMITS: Limits =
    Limits { retention_ms: 2 * 3_600_000, series_max: 1_000, samples_per_series_max: 1_000 };

const DOWN: &str = "mcp_server_up == 0";
const DOWN_OR_GONE: &str =
    "mcp_server_up == 0 or (present_over_time(mcp_server_up[1h]) unless mcp_server_up)";
const SLOW: &str = "histogram_quantile(0.95, rate(mcp_request_duration_seconds_bucket[5m])) > 5.0";
const SLOW_BY_SERVER: &str = "histogram_quantile(0.95, sum by (le, server_name) \
                              (rate(mcp_request_duration_seconds_bucket[5m]))) > 5.0";
const SECURITY: &str = "increase(mcp_server_errors_total{error_type=\"security\"}[5m]) > 0";
const MEMORY: &str = "mcp_server_memory_usage_bytes / 1024 / 1024 / 1024 > 2.0";
const DEPENDENCY: &str = "mcp_server_dependency_status == 0";
const INTEGRITY: &str = "mcp_data_integrity_status == 0";

/// What happens to the server at a second: it shows a page, or cannot be scraped.
type History<'h> = &'h [(i64, Option<String>)];

/// Plays a history into a store and shows what a query yields at a second.
#[track_caller]
fn check(history: History<'_>, query: &str, at_s: i64, expect: &Expect) {
    let target = Labels::from_iter([("server_name", "mem")]);
    let mut store = Store::new(LIMITS);
    for (second, page) in history {
        match page {
            Some(page) => {
                let summary = store.scrape(&target, page, second * 1_000);
                assert_eq!((summary.lines_rejected, summary.samples_refused), (0, 0), "{summary:?}");
            }
            None => {
                store.scrape_failed(&target, second * 1_000);
            }
        }
    }
    let query = Query::parse(query).expect("the runbook's queries are valid");
    let value = query.instant(&store, at_s * 1_000).expect("it can be evaluated");
    let Value::Vector(elements) = value else { panic!("an alert query yields a vector") };
    let lines = elements.iter().map(|element| format!("{} {}\n", element.labels, element.value));
    expect.assert_eq(&lines.collect::<String>());
}

fn page(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn nothing() -> Expect {
    expect![[""]]
}

#[test]
fn server_down() {
    let down = [(0, page("mcp_server_up 1\n")), (15, page("mcp_server_up 0\n"))];
    check(&down, DOWN, 14, &nothing());
    check(
        &down,
        DOWN,
        15,
        &expect![[r#"
        mcp_server_up{server_name="mem"} 0
    "#]],
    );
    // A dead process exports nothing, so its own metric vanishes instead of becoming 0: only the mended form fires.
    let gone = [(0, page("mcp_server_up 1\n")), (15, None)];
    check(&gone, DOWN, 15, &nothing());
    check(&gone, DOWN_OR_GONE, 14, &nothing());
    check(
        &gone,
        DOWN_OR_GONE,
        15,
        &expect![[r#"
        {server_name="mem"} 1
    "#]],
    );
    check(
        &gone,
        DOWN_OR_GONE,
        3_599,
        &expect![[r#"
        {server_name="mem"} 1
    "#]],
    );
    // After an hour without it, nobody knows of the server any more.
    check(&gone, DOWN_OR_GONE, 3_600, &nothing());
    // Back again.
    let back = [(0, page("mcp_server_up 1\n")), (15, None), (30, page("mcp_server_up 1\n"))];
    check(&back, DOWN_OR_GONE, 30, &nothing());
    check(&[], DOWN_OR_GONE, 0, &nothing());
}

/// A page on which `count` requests took between 2 and 8 seconds, in buckets up to `top`.
fn requests(count: u32, method: &str, top: &str) -> Option<String> {
    let mut page = "# TYPE mcp_request_duration_seconds histogram\n".to_owned();
    for bound in ["0.1", "1.0", "2.5", "5.0", "10.0", "30.0"] {
        let below = if bound.parse::<f64>().is_ok_and(|bound| bound >= 10.0) { count } else { 0 };
        page +=
            &format!("mcp_request_duration_seconds_bucket{{method=\"{method}\",le=\"{bound}\"}} {below}\n");
        if bound == top {
            break;
        }
    }
    page += &format!("mcp_request_duration_seconds_bucket{{method=\"{method}\",le=\"+Inf\"}} {count}\n");
    Some(page)
}

#[test]
fn slow_requests() {
    let history = |top| {
        let scrapes = (0..8u32).map(|index| (i64::from(index) * 60, requests(index * 10, "tools/call", top)));
        scrapes.collect::<Vec<_>>()
    };
    check(
        &history("30.0"),
        SLOW,
        420,
        &expect![[r#"
        {method="tools/call",server_name="mem"} 9.75
    "#]],
    );
    check(
        &history("30.0"),
        SLOW_BY_SERVER,
        420,
        &expect![[r#"
        {server_name="mem"} 9.75
    "#]],
    );
    // With 5 s as the highest finite bound a quantile never exceeds it, however slow everything is.
    check(&history("5.0"), SLOW, 420, &nothing());
    // No requests, no quantile.
    let idle: Vec<_> = (0..8).map(|index| (index * 60, requests(3, "tools/call", "30.0"))).collect();
    check(&idle, SLOW, 420, &nothing());
    // Fast requests.
    let fast = |count: i64| {
        let page = "mcp_request_duration_seconds_bucket{le=\"1.0\"} N\n\
                    mcp_request_duration_seconds_bucket{le=\"10.0\"} N\n\
                    mcp_request_duration_seconds_bucket{le=\"+Inf\"} N\n";
        Some(page.replace('N', &count.to_string()))
    };
    let fast: Vec<_> = (0..8).map(|index| (index * 60, fast(index * 10))).collect();
    check(&fast, SLOW_BY_SERVER, 420, &nothing());
}

#[test]
fn security_errors() {
    let none = "# TYPE mcp_server_errors counter\nother 1\n# EOF\n";
    let errors = |count: u32| {
        let series = "mcp_server_errors_total{error_type=\"security\",severity=\"critical\"}";
        Some(format!("# TYPE mcp_server_errors counter\nother 1\n{series} {count}\n# EOF\n"))
    };
    // The very first increment of a series that was not there before.
    let first = [(0, page(none)), (15, page(none)), (30, errors(1)), (45, errors(1))];
    check(&first, SECURITY, 15, &nothing());
    check(
        &first,
        SECURITY,
        30,
        &expect![[r#"
        {error_type="security",server_name="mem",severity="critical"} 1
    "#]],
    );
    check(
        &first,
        SECURITY,
        45,
        &expect![[r#"
        {error_type="security",server_name="mem",severity="critical"} 1
    "#]],
    );
    // It is over once the increment has left the window.
    let mut later = first.to_vec();
    later.extend((4..30).map(|index| (index * 15, errors(1))));
    check(&later, SECURITY, 360, &nothing());
    // A target that is scraped for the first time may have any number of old errors.
    check(&[(0, errors(7)), (15, errors(7))], SECURITY, 15, &nothing());
    // A series that is exported at 0 from the start.
    check(
        &[(0, errors(0)), (15, errors(0)), (30, errors(1))],
        SECURITY,
        30,
        &expect![[r#"
        {error_type="security",server_name="mem",severity="critical"} 1
    "#]],
    );
    // A failed scrape of a living process is no security error, an error during it is.
    check(&[(0, errors(7)), (15, None), (30, errors(7))], SECURITY, 30, &nothing());
    let long_outage = [(0, errors(7)), (15, None), (600, None), (615, errors(8))];
    check(
        &long_outage,
        SECURITY,
        615,
        &expect![[r#"
        {error_type="security",server_name="mem",severity="critical"} 1.5
    "#]],
    );
    // A restart that begins to count anew.
    check(&[(0, errors(7)), (15, None), (400, errors(0)), (415, errors(0))], SECURITY, 415, &nothing());
    check(
        &[(0, errors(7)), (15, None), (400, None), (415, errors(1))],
        SECURITY,
        415,
        &expect![[r#"
        {error_type="security",server_name="mem",severity="critical"} 1
    "#]],
    );
    let other = page("mcp_server_errors_total{error_type=\"timeout\"} 1\n");
    check(&[(0, page(none)), (15, other)], SECURITY, 15, &nothing());
}

#[test]
fn memory() {
    let bytes = |gigabytes: f64| {
        let bytes = gigabytes * 1024.0 * 1024.0 * 1024.0;
        Some(format!("mcp_server_memory_usage_bytes{{memory_type=\"rss\"}} {bytes}\n"))
    };
    check(
        &[(0, bytes(2.5))],
        MEMORY,
        0,
        &expect![[r#"
        {memory_type="rss",server_name="mem"} 2.5
    "#]],
    );
    check(&[(0, bytes(2.0))], MEMORY, 0, &nothing());
    check(&[(0, bytes(2.5)), (15, None)], MEMORY, 15, &nothing());
    check(&[], MEMORY, 0, &nothing());
}

#[test]
fn dependencies() {
    let status = |database: u8, cache: u8| {
        Some(format!(
            "mcp_server_dependency_status{{dependency_name=\"database\",critical=\"true\"}} {database}\n\
             mcp_server_dependency_status{{dependency_name=\"cache\",critical=\"false\"}} {cache}\n"
        ))
    };
    check(&[(0, status(1, 1))], DEPENDENCY, 0, &nothing());
    check(
        &[(0, status(0, 1))],
        DEPENDENCY,
        0,
        &expect![[r#"
        mcp_server_dependency_status{critical="true",dependency_name="database",server_name="mem"} 0
    "#]],
    );
    check(
        &[(0, status(1, 0)), (15, status(0, 0))],
        DEPENDENCY,
        15,
        &expect![[r#"
        mcp_server_dependency_status{critical="false",dependency_name="cache",server_name="mem"} 0
        mcp_server_dependency_status{critical="true",dependency_name="database",server_name="mem"} 0
    "#]],
    );
    check(&[], DEPENDENCY, 0, &nothing());
}

#[test]
fn integrity() {
    check(&[(0, page("mcp_data_integrity_status 1\n"))], INTEGRITY, 0, &nothing());
    check(
        &[(0, page("mcp_data_integrity_status 0\n"))],
        INTEGRITY,
        0,
        &expect![[r#"
        mcp_data_integrity_status{server_name="mem"} 0
    "#]],
    );
    // A value that is not confirmed for five minutes is no value.
    check(
        &[(0, page("mcp_data_integrity_status 0\n"))],
        INTEGRITY,
        299,
        &expect![[r#"
        mcp_data_integrity_status{server_name="mem"} 0
    "#]],
    );
    check(&[(0, page("mcp_data_integrity_status 0\n"))], INTEGRITY, 300, &nothing());
    check(&[], INTEGRITY, 0, &nothing());
}
