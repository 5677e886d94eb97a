//! Owns the reading of files of tests, as promtool has them.
//!
//! ```yaml
//! rule_files: [rules.yml]            # relative to this file; may have `*`
//! evaluation_interval: 1m
//! group_eval_order: [first, second]
//! fuzzy_compare: false               # the last bits of numbers may differ
//! tests:
//!   - name: down
//!     interval: 1m                   # default: evaluation_interval
//!     start_timestamp: 0             # seconds since the Unix epoch, or RFC 3339
//!     input_series: [{series: 'up{job="a"}', values: '1x5 0x10'}]
//!     external_labels: {site: one}
//!     external_url: https://paramedic.example
//!     ignore_annotations: false      # or of a single test of alerts
//!     alert_rule_test:
//!       - {eval_time: 10m, alertname: Down, exp_alerts: [{exp_labels: {job: a}, exp_annotations: {}}]}
//!     promql_expr_test:
//!       - {expr: up == 0, eval_time: 10m, exp_samples: [{labels: 'up{job="a"}', value: 0}]}
//! ```

use std::collections::{BTreeMap, HashSet};

use super::moment::moment_ms;
use crate::labels::Labels;
use crate::notation;
use crate::rule::{Fields, Node, RuleProblem, place, read};

const FILE_KEYS: [&str; 5] =
    ["rule_files", "evaluation_interval", "group_eval_order", "fuzzy_compare", "tests"];
const TEST_KEYS: [&str; 9] = [
    "interval",
    "input_series",
    "alert_rule_test",
    "promql_expr_test",
    "external_labels",
    "external_url",
    "name",
    "start_timestamp",
    "ignore_annotations",
];
const ALERT_KEYS: [&str; 4] = ["eval_time", "alertname", "exp_alerts", "ignore_annotations"];

/// The interval where a file names none; the same as in promtool.
const INTERVAL_MS: i64 = 60_000;

/// A file of tests.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleTestFile {
    /// The files with the rules, as they are written.
    pub rule_files: Vec<String>,
    pub(super) evaluation_interval_ms: i64,
    pub(super) group_order: Vec<String>,
    pub(super) is_fuzzy: bool,
    pub(super) tests: Vec<Test>,
}

/// Series, and what shall come of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Test {
    pub(super) name: String,
    pub(super) interval_ms: i64,
    pub(super) start_ms: i64,
    pub(super) series: Vec<(Labels, Vec<Option<f64>>)>,
    pub(super) alerts: Vec<AlertCase>,
    pub(super) queries: Vec<QueryCase>,
    pub(super) external_labels: Labels,
    pub(super) external_url: String,
    /// Of no alert the annotations count.
    pub(super) ignores_annotations: bool,
}

/// The alerts of one name that shall fire at a moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AlertCase {
    pub(super) line: usize,
    pub(super) after_ms: i64,
    pub(super) name: String,
    pub(super) expect: Vec<(Labels, BTreeMap<String, String>)>,
    pub(super) ignores_annotations: bool,
}

/// What a query shall yield at a moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct QueryCase {
    pub(super) line: usize,
    pub(super) after_ms: i64,
    pub(super) query: String,
    pub(super) expect: Vec<(Labels, f64)>,
}

/// Reads a file of tests; nothing of it can be run if there are problems.
///
/// # Errors
///
/// Fails with every mistake and its place.
pub fn parse_rule_tests(text: &str) -> Result<RuleTestFile, Vec<RuleProblem>> {
    let mut problems = Vec::new();
    let root = read(text).map_err(|problem| vec![problem])?;
    let file = root.as_ref().and_then(|root| file(root, &mut problems));
    problems.sort_by_key(|problem| (problem.line, problem.column));
    if !problems.is_empty() {
        return Err(problems);
    }
    // An empty file has nothing to test, and that holds.
    Ok(file.unwrap_or_else(|| RuleTestFile {
        rule_files: Vec::new(),
        evaluation_interval_ms: INTERVAL_MS,
        group_order: Vec::new(),
        is_fuzzy: false,
        tests: Vec::new(),
    }))
}

fn file(root: &Node, problems: &mut Vec<RuleProblem>) -> Option<RuleTestFile> {
    let mut fields = Fields::of(root, "a file of tests", &FILE_KEYS, problems)?;
    let rule_files = fields.words("rule_files");
    let group_order = fields.words("group_eval_order");
    let at = fields.get("group_eval_order").map_or(fields.place, place);
    let mut known = HashSet::new();
    if let Some(name) = group_order.iter().find(|name| !known.insert(name.as_str())) {
        fields.problem(RuleProblem::error(at, format!("the group `{name}` is ordered twice")));
    }
    let interval_ms = fields.duration("evaluation_interval").filter(|interval_ms| *interval_ms > 0);
    let evaluation_interval_ms = interval_ms.unwrap_or(INTERVAL_MS);
    let is_fuzzy = fields.truth("fuzzy_compare");
    let nodes = fields.list("tests");
    let tests = nodes.iter().enumerate();
    let tests =
        tests.filter_map(|(idx, node)| test(node, idx + 1, evaluation_interval_ms, problems)).collect();
    Some(RuleTestFile { rule_files, evaluation_interval_ms, group_order, is_fuzzy, tests })
}

fn test(node: &Node, number: usize, interval_ms: i64, problems: &mut Vec<RuleProblem>) -> Option<Test> {
    let mut fields = Fields::of(node, "a group of tests", &TEST_KEYS, problems)?;
    let name = fields.text("name");
    let own_interval_ms = fields.duration("interval").filter(|interval_ms| *interval_ms > 0);
    let interval_ms = own_interval_ms.unwrap_or(interval_ms);
    let start = fields.text("start_timestamp");
    let start_ms = if start.is_empty() { Some(0) } else { moment_ms(&start) };
    if start_ms.is_none() {
        let at = fields.get("start_timestamp").map_or(fields.place, place);
        let problem = RuleProblem::error(at, format!("`start_timestamp`: `{start}` is no moment"));
        fields.problem(problem.help("write seconds since 1970, or `2026-01-31T12:00:00Z`"));
    }
    let labels = fields.texts("external_labels");
    let external_labels = labels.iter().map(|(name, text, _)| (name, text)).collect();
    let external_url = fields.text("external_url");
    let ignores_annotations = fields.truth("ignore_annotations");
    let (series, alerts, queries) =
        (fields.list("input_series"), fields.list("alert_rule_test"), fields.list("promql_expr_test"));
    Some(Test {
        name: if name.is_empty() { number.to_string() } else { name },
        interval_ms,
        start_ms: start_ms.unwrap_or_default(),
        series: series.iter().filter_map(|node| input(node, problems)).collect(),
        alerts: alerts.iter().filter_map(|node| alert_case(node, problems)).collect(),
        queries: queries.iter().filter_map(|node| query_case(node, problems)).collect(),
        external_labels,
        external_url,
        ignores_annotations,
    })
}

fn input(node: &Node, problems: &mut Vec<RuleProblem>) -> Option<(Labels, Vec<Option<f64>>)> {
    let mut fields = Fields::of(node, "a series", &["series", "values"], problems)?;
    let labels = series(&mut fields, "series")?;
    let text = fields.text("values");
    let at = fields.get("values").map_or(fields.place, place);
    match notation::values(&text) {
        Ok(values) if values.has_native => {
            let problem = RuleProblem::error(at, "native histograms are not supported".to_owned());
            fields.problem(problem.help("use the series of buckets, `NAME_bucket{le=…}`"));
            None
        }
        Ok(values) => Some((labels, values.floats)),
        Err(error) => {
            let problem = RuleProblem::error(at, format!("`values`: {error}"));
            fields.problem(problem.help("write numbers, `1+2x3`, `_x5` for gaps, `stale` for the end"));
            None
        }
    }
}

/// Reads a series that stands alone in a field.
fn series(fields: &mut Fields<'_, '_>, name: &str) -> Option<Labels> {
    let text = fields.text(name);
    let at = fields.get(name).map_or(fields.place, place);
    let reason = match notation::series(text.trim()) {
        Ok((labels, rest)) if rest.trim().is_empty() => return Some(labels),
        Ok((_, rest)) => format!("unexpected `{}` after the series", rest.trim()),
        Err(error) => error.to_string(),
    };
    let problem = RuleProblem::error(at, format!("`{name}`: {reason}"));
    fields.problem(problem.help("write it as `up{job=\"a\"}`"));
    None
}

fn alert_case(node: &Node, problems: &mut Vec<RuleProblem>) -> Option<AlertCase> {
    let mut fields = Fields::of(node, "a test of alerts", &ALERT_KEYS, problems)?;
    let after_ms = fields.duration("eval_time").unwrap_or_default();
    let ignores_annotations = fields.truth("ignore_annotations");
    let name = fields.text("alertname");
    let at = fields.place;
    if name.is_empty() {
        let problem = RuleProblem::error(at, "the test has no `alertname`".to_owned());
        fields.problem(problem.help("name the alert whose state is tested"));
    }
    let nodes = fields.list("exp_alerts");
    let mut expect = Vec::with_capacity(nodes.len());
    for node in nodes {
        // An empty element is an alert without labels.
        if node.is_null() {
            expect.push((Labels::empty(), BTreeMap::new()));
            continue;
        }
        let Some(mut fields) = Fields::of(node, "an alert", &["exp_labels", "exp_annotations"], problems)
        else {
            continue;
        };
        let labels = fields.texts("exp_labels").into_iter().map(|(name, text, _)| (name, text)).collect();
        let annotations = fields.texts("exp_annotations").into_iter().map(|(name, text, _)| (name, text));
        expect.push((labels, annotations.collect()));
    }
    Some(AlertCase { line: at.0, after_ms, name, expect, ignores_annotations })
}

fn query_case(node: &Node, problems: &mut Vec<RuleProblem>) -> Option<QueryCase> {
    let mut fields = Fields::of(node, "a test of a query", &["expr", "eval_time", "exp_samples"], problems)?;
    let after_ms = fields.duration("eval_time").unwrap_or_default();
    let query = fields.text("expr");
    let at = fields.place;
    let nodes = fields.list("exp_samples");
    let samples = nodes.iter().filter_map(|node| sample(node, problems)).collect();
    Some(QueryCase { line: at.0, after_ms, query, expect: samples })
}

fn sample(node: &Node, problems: &mut Vec<RuleProblem>) -> Option<(Labels, f64)> {
    let mut fields = Fields::of(node, "a sample", &["labels", "value", "histogram"], problems)?;
    if let Some(at) = fields.get("histogram").map(place) {
        fields.problem(RuleProblem::error(at, "native histograms are not supported".to_owned()));
        return None;
    }
    let labels = series(&mut fields, "labels")?;
    let text = fields.text("value");
    let at = fields.get("value").map_or(fields.place, place);
    let number = match text.to_lowercase().as_str() {
        "" => Some(0.0),
        ".inf" | "+.inf" => Some(f64::INFINITY),
        "-.inf" => Some(f64::NEG_INFINITY),
        ".nan" => Some(f64::NAN),
        lower => lower.replace('_', "").parse().ok(),
    };
    if number.is_none() {
        fields.problem(RuleProblem::error(at, format!("`value`: `{text}` is not a number")));
    }
    Some((labels, number?))
}
