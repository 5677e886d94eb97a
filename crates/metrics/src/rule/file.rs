//! Owns the reading of rule files as Prometheus has them: strict, every mistake with its place and what to do about it.
//!
//! ```yaml
//! groups:
//!   - name: servers
//!     interval: 30s           # default: as often as whoever evaluates likes
//!     limit: 100              # alerts or series of one rule; default: any number
//!     query_offset: 10s
//!     labels: {team: mcp}     # for every rule
//!     rules:
//!       - record: server:requests:rate5m
//!         expr: sum by (server_name) (rate(mcp_requests_total[5m]))
//!       - alert: MCPServerDown
//!         expr: mcp_server_up == 0
//!         for: 1m
//!         keep_firing_for: 5m
//!         labels: {severity: critical}
//!         annotations: {summary: "{{ $labels.server_name }} is down"}
//! ```

use std::collections::{BTreeMap, HashMap};

use super::fields::{Fields, place};
use super::problem::RuleProblem;
use super::yaml::{Node, read};
use super::{AlertingRule, RecordingRule, Rule, RuleGroup};
use crate::labels::{METRIC_NAME, is_label_name, is_metric_name};
use crate::promql::{Query, QueryError, Value};
use crate::store::{Limits, Store};
use crate::template::Template;

const FILE_KEYS: [&str; 1] = ["groups"];
const GROUP_KEYS: [&str; 6] = ["name", "interval", "limit", "query_offset", "labels", "rules"];
const RULE_KEYS: [&str; 7] = ["record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"];

/// Says what is wrong with a query, and what to do about it.
type Traps<'t> = dyn Fn(&str) -> Vec<(&'static str, &'static str)> + 't;

/// Reads a rule file. Returns the groups that can be used and what is wrong, in the order of the file.
///
/// Where one of the problems is an error, Prometheus would not take the file; the groups are then incomplete.
pub fn parse_rules(source: &str, text: &str) -> (Vec<RuleGroup>, Vec<RuleProblem>) {
    parse_rules_with(source, text, &|_| Vec::new())
}

/// As [`parse_rules`], with somebody who says what is wrong with a query beside what is not PromQL, and what to do about
/// it: that is told of as a warning.
pub fn parse_rules_with(source: &str, text: &str, traps: &Traps<'_>) -> (Vec<RuleGroup>, Vec<RuleProblem>) {
    let mut problems = Vec::new();
    let root = match read(text) {
        Ok(root) => root,
        Err(problem) => return (Vec::new(), vec![problem]),
    };
    let mut groups = Vec::new();
    if let Some(root) = &root {
        let mut nodes: &[Node] = &[];
        if let Some(mut fields) = Fields::of(root, "a rule file", &FILE_KEYS, &mut problems) {
            nodes = fields.list("groups");
        }
        let mut names = HashMap::new();
        for node in nodes {
            groups.extend(group(source, node, &mut names, traps, &mut problems));
        }
        duplicates(nodes, &mut problems);
    }
    problems.sort_by_key(|problem| (problem.line, problem.column));
    (groups, problems)
}

fn group(
    source: &str,
    node: &Node,
    names: &mut HashMap<String, usize>,
    traps: &Traps<'_>,
    problems: &mut Vec<RuleProblem>,
) -> Option<RuleGroup> {
    let mut fields = Fields::of(node, "a group", &GROUP_KEYS, problems)?;
    let name = fields.text("name");
    let at = fields.place;
    if name.is_empty() {
        let problem = RuleProblem::error(at, "the group has no name".to_owned());
        fields.problem(problem.help("give it a `name:` that no other group of this file has"));
    } else if let Some(line) = names.insert(name.clone(), at.0) {
        let problem = RuleProblem::error(at, format!("a group `{name}` is there already, in line {line}"));
        fields.problem(problem.help("rename one, or put their rules together"));
    }
    let interval_ms = fields.duration("interval").filter(|interval_ms| *interval_ms > 0);
    let query_offset_ms = fields.duration("query_offset").unwrap_or_default();
    // Prometheus takes a limit below 0 for none.
    let limit = fields.number("limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or_default();
    let labels = fields.texts("labels");
    let labels = named(&labels, "label", &mut fields);
    let nodes = fields.list("rules");
    let mut rules = Vec::with_capacity(nodes.len());
    for (idx, node) in nodes.iter().enumerate() {
        let mut found = Vec::new();
        let (rule_name, read) = rule(node, &labels, traps, &mut found);
        rules.extend(read);
        let about = format!("group `{name}`, rule {}, `{rule_name}`", idx + 1);
        problems.extend(found.into_iter().map(|problem| problem.about(&about)));
    }
    Some(RuleGroup { name, source: source.to_owned(), interval_ms, limit, query_offset_ms, rules })
}

/// Reads a rule; returns its name, and the rule if it can be used.
fn rule(
    node: &Node,
    of_group: &BTreeMap<String, String>,
    traps: &Traps<'_>,
    problems: &mut Vec<RuleProblem>,
) -> (String, Option<Rule>) {
    let Some(mut fields) = Fields::of(node, "a rule", &RULE_KEYS, problems) else {
        return (String::new(), None);
    };
    let (record, alert) = (fields.text("record"), fields.text("alert"));
    let at = fields.place;
    match (record.is_empty(), alert.is_empty()) {
        (false, false) => {
            let problem = RuleProblem::error(at, "only one of `record` and `alert` must be set".to_owned());
            fields.problem(problem.help("make two rules of it"));
        }
        (true, true) => {
            let problem = RuleProblem::error(at, "one of `record` and `alert` must be set".to_owned());
            fields.problem(problem.help("`alert:` names an alert, `record:` a series"));
        }
        _ => {}
    }
    let query = query(&mut fields);
    if let (false, Some(query)) = (alert.is_empty(), &query) {
        trapped(query, traps, &mut fields);
    }
    let for_ms = fields.duration("for").unwrap_or_default();
    let keep_firing_for_ms = fields.duration("keep_firing_for").unwrap_or_default();
    let (labels, annotations) = (fields.texts("labels"), fields.texts("annotations"));
    let own = named(&labels, "label", &mut fields);
    if !record.is_empty() {
        recorded(&record, &mut fields);
        let mut labels = of_group.clone();
        labels.extend(own);
        let rule = query.map(|query| Rule::Recording(RecordingRule { name: record.clone(), query, labels }));
        return (record, rule);
    }
    for (name, _, at) in &annotations {
        check_name(name, "annotation", *at, &mut fields);
    }
    let own = templates(&labels, "label", &mut fields);
    let annotations = templates(&annotations, "annotation", &mut fields);
    let mut labels: BTreeMap<String, Template> =
        of_group.iter().map(|(name, text)| (name.clone(), of_group_label(text))).collect();
    labels.extend(own);
    let rule = query.map(|query| {
        let name = alert.clone();
        Rule::Alerting(AlertingRule { name, query, for_ms, keep_firing_for_ms, labels, annotations })
    });
    (alert, rule)
}

/// Reads `expr`, and looks whether it can ever yield anything.
fn query(fields: &mut Fields<'_, '_>) -> Option<Query> {
    let text = fields.text("expr");
    let at = fields.get("expr").map_or(fields.place, place);
    if text.trim().is_empty() {
        let problem = RuleProblem::error(at, "`expr` must be set".to_owned());
        fields.problem(problem.help("write a query in PromQL"));
        return None;
    }
    let query = match Query::parse(&text) {
        Ok(query) => query,
        Err(error) => {
            let problem = RuleProblem::error(at, format!("could not parse expression: {error}"));
            fields.problem(match error {
                QueryError::Unsupported { .. } => {
                    problem.help("Prometheus may know it; this responder does not")
                }
                _ => problem,
            });
            return None;
        }
    };
    let empty = Store::new(Limits { retention_ms: i64::MAX, series_max: 1, samples_per_series_max: 1 });
    let yields = match query.instant(&empty, 0) {
        Ok(Value::Matrix(_)) => "a range of samples",
        Ok(Value::Text(_)) => "a text",
        _ => return Some(query),
    };
    let problem = RuleProblem::warning(at, format!("the query yields {yields}, and every evaluation fails"));
    fields.problem(
        problem.help("a rule needs a number for each series: put a function such as `rate` around it"),
    );
    Some(query)
}

fn trapped(query: &Query, traps: &Traps<'_>, fields: &mut Fields<'_, '_>) {
    let at = fields.get("expr").map_or(fields.place, place);
    for (what, help) in traps(query.text()) {
        fields.problem(RuleProblem::warning(at, what.to_owned()).help(help));
    }
}

/// Looks at what a recording rule must not have, and at its name.
fn recorded(name: &str, fields: &mut Fields<'_, '_>) {
    for field in ["annotations", "for", "keep_firing_for"] {
        let is_set = match field {
            "annotations" => !fields.texts(field).is_empty(),
            _ => fields.duration(field).is_some_and(|length_ms| length_ms != 0),
        };
        if is_set {
            let at = fields.get(field).map_or(fields.place, place);
            let problem = RuleProblem::error(at, format!("a recording rule has no `{field}`"));
            fields.problem(problem.help("only an alerting rule has: take it away"));
        }
    }
    let at = fields.get("record").map_or(fields.place, place);
    if name.contains(['{', '}']) {
        let problem = RuleProblem::error(at, format!("the name of the series has braces: `{name}`"));
        fields.problem(problem.help("a query belongs into `expr`, labels under `labels`"));
    } else if !is_metric_name(name) {
        let problem = RuleProblem::warning(at, format!("`{name}` has to be quoted in queries"));
        fields.problem(
            problem.help("Prometheus before version 3 refuses such a name: use letters, digits, `_` and `:`"),
        );
    }
}

/// Checks the names of labels, and returns the labels.
fn named(
    texts: &[(String, String, (usize, usize))],
    what: &str,
    fields: &mut Fields<'_, '_>,
) -> BTreeMap<String, String> {
    for (name, _, at) in texts {
        check_name(name, what, *at, fields);
    }
    texts.iter().map(|(name, text, _)| (name.clone(), text.clone())).collect()
}

fn check_name(name: &str, what: &str, at: (usize, usize), fields: &mut Fields<'_, '_>) {
    let is_metric_name = what == "label" && name == METRIC_NAME;
    if name.is_empty() || is_metric_name {
        let problem = RuleProblem::error(at, format!("invalid {what} name: `{name}`"));
        fields.problem(problem.help(match is_metric_name {
            true => "the name of a series comes from `record`",
            false => "write letters, digits and `_`",
        }));
    } else if !is_label_name(name) {
        let problem = RuleProblem::warning(at, format!("the {what} name `{name}` has to be quoted"));
        fields.problem(problem.help("Prometheus before version 3 refuses it: use letters, digits and `_`"));
    }
}

/// Reads the templates of labels or annotations.
fn templates(
    texts: &[(String, String, (usize, usize))],
    what: &str,
    fields: &mut Fields<'_, '_>,
) -> BTreeMap<String, Template> {
    let mut templates = BTreeMap::new();
    for (name, text, at) in texts {
        match Template::parse(text) {
            Ok(template) => {
                if what == "label" && template.reads_value() {
                    let message = format!("the label `{name}` changes with the value");
                    let problem = RuleProblem::warning(*at, message);
                    fields.problem(
                        problem.help("each value is another alert, and `for` begins anew: use an annotation"),
                    );
                }
                templates.insert(name.clone(), template);
            }
            Err(error) => {
                let problem = RuleProblem::error(*at, format!("template of the {what} `{name}`: {error}"));
                fields.problem(problem.help("the place is counted within the text"));
            }
        }
    }
    templates
}

/// Prometheus expands the labels of a group as those of a rule, and does not look at them before.
fn of_group_label(text: &str) -> Template {
    Template::parse(text).unwrap_or_else(|_| Template::literal(text))
}

/// Tells of rules with the same name and the same labels: their series, or alerts, are the same ones.
fn duplicates(groups: &[Node], problems: &mut Vec<RuleProblem>) {
    let mut known: HashMap<(String, Vec<(String, String)>), usize> = HashMap::new();
    let mut ignored = Vec::new();
    for group in groups {
        let Some(mut fields) = Fields::of(group, "a group", &GROUP_KEYS, &mut ignored) else { continue };
        for node in fields.list("rules") {
            let mut ignored = Vec::new();
            let Some(mut rule) = Fields::of(node, "a rule", &RULE_KEYS, &mut ignored) else { continue };
            let name = format!("{}{}", rule.text("record"), rule.text("alert"));
            let mut labels: Vec<_> =
                rule.texts("labels").into_iter().map(|(name, text, _)| (name, text)).collect();
            labels.sort();
            let at = rule.place;
            if let Some(line) = known.insert((name.clone(), labels), at.0) {
                let message =
                    format!("a rule `{name}` with the same labels is there already, in line {line}");
                let problem = RuleProblem::warning(at, message);
                problems
                    .push(problem.help("give one of them another name, or a label that tells them apart"));
            }
        }
    }
}

#[cfg(test)]
mod tests;
