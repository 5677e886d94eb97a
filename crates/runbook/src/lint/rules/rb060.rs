//! Owns RB060: queries that do not fire when they should.

use crate::Level;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB060",
    name: "query-trap",
    level: Level::Warning,
    why: "A query compares what is there: a series that is gone, a counter that is born at one, a bucket that ends below the limit fire nothing.",
    bad: "# X\n\n## P\n\n### Alert: A\n\n**Alert Query**: `mcp_server_up == 0`\n",
    good: "uptime",
    blocks: false,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for procedure in &document.runbook.procedures {
        let Some(alert) = &procedure.alert else { continue };
        let Some(query) = &alert.query else { continue };
        let bytes = document.find(procedure.line, query).unwrap_or(document.line(procedure.line));
        for (what, hint) in traps(query) {
            report.text(&bytes, what, hint);
        }
        if alert.for_.is_none() {
            report.text(
                &bytes,
                "one bad scrape fires it: there is no `For`",
                "add `**For**: 1 minute`, or `0 seconds` where that is meant",
            );
        }
    }
}

/// Health gauges that a scrape which fails takes away.
const GAUGES: [&str; 3] = ["mcp_server_up", "mcp_server_dependency_status", "mcp_data_integrity_status"];

/// Returns why a query may not fire when it should, and what to do about it.
pub fn traps(query: &str) -> Vec<(&'static str, &'static str)> {
    let bare: String = query.chars().filter(|c| !c.is_whitespace()).collect();
    let mut found = Vec::new();
    if GAUGES.iter().any(|name| bare.contains(name))
        && bare.ends_with("==0")
        && !bare.contains("unless")
        && !bare.contains("absent")
    {
        found.push((
            "a series that is gone is not 0: it fires nothing",
            "add `or (present_over_time(X[1h]) unless X)`",
        ));
    }
    if bare.contains("mcp_server_dependency_status") && !bare.contains("critical") && !bare.contains("by(") {
        found.push((
            "one alert for each server and dependency, critical or not",
            "select `critical=\"true\"`, and group by the dependency",
        ));
    }
    let counts = bare.contains("increase(") || bare.contains("delta(");
    if counts && bare.ends_with(">0") && !bare.contains("offset") {
        found.push((
            "the first event of a series that is born with it is missed",
            "add `or (X unless X offset 5m)`",
        ));
    }
    if bare.contains("histogram_quantile(") {
        if !bare.contains("by(") {
            found.push((
                "a quantile for each series, not for the server",
                "`histogram_quantile(0.95, sum by (le, server_name) (rate(...)))`",
            ));
        }
        let limit = bare.rsplit(['>', '=']).next().and_then(|text| text.parse::<f64>().ok());
        if bare.contains("mcp_request_duration_seconds")
            && bare.contains('>')
            && !bare.contains(">=")
            && limit.is_some_and(|limit| limit >= TOP_BUCKET_SECONDS)
        {
            found.push((
                "no quantile is above the top bucket: this never fires",
                "compare with `>=`, or with less",
            ));
        }
    }
    if bare.contains("mcp_server_memory_usage_bytes") {
        if !bare.contains("memory_type") {
            found.push(("virtual memory counts as well", "select `memory_type=\"rss\"`"));
        }
        if bare.contains('>') && !bare.contains("deriv(") && !bare.contains("predict_linear(") {
            found.push((
                "a level is no growth, and one limit does not fit all servers",
                "add `deriv(X[30m]) > ...` or `predict_linear`",
            ));
        }
    }
    found
}

/// The top finite bucket of `mcp_request_duration_seconds`.
const TOP_BUCKET_SECONDS: f64 = 10.0;
