//! Owns the comparison with Debian's promtool: the same verdict on the same files, good and bad ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use metrics::{RuleProblem, parse_rule_tests, parse_rules};

/// Rule files, each within one group where the first line does not say otherwise.
const RULES: [(&str, &str); 38] = [
    ("empty", "groups: []"),
    ("nothing", ""),
    ("no groups", "groups:"),
    ("minimal", "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up == 0}"),
    (
        "whole",
        "groups:\n- name: g\n  interval: 30s\n  limit: 5\n  rules:\n  - {record: 'a:b', expr: up, labels: {x: y}}\n  - {alert: A, expr: up == 0, for: 1h30m, keep_firing_for: 5m, labels: {s: c}, annotations: {t: '{{ $labels.x }}'}}",
    ),
    (
        "numbers as texts",
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: 1, labels: {a: 1, b: true, c: 1.5, d: ~}}",
    ),
    (
        "aliases",
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up, labels: &l {a: b}}\n  - {alert: B, expr: up, labels: *l}",
    ),
    ("merged", "groups:\n- name: g\n  rules:\n  - &r {alert: A, expr: up}\n  - {<<: *r, alert: B}"),
    ("json", "{\"groups\": [{\"name\": \"g\", \"rules\": [{\"alert\": \"A\", \"expr\": \"up\"}]}]}"),
    (
        "functions of templates",
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up, annotations: {a: '{{ $value | humanizeDuration | toUpper }}{{ range query \"up\" }}{{ .Labels.x }}{{ else }}-{{ end }}{{ with $x := 1 }}{{ $x }}{{ end }}{{ $externalLabels.a }}{{ $externalURL }}{{ printf \"%.2f\" $value }}{{ define \"t\" }}{{ . }}{{ end }}{{ template \"t\" 1 }}'}}",
    ),
    ("no duration", "groups:\n- name: g\n  interval: 5\n  rules: []"),
    ("zero", "groups:\n- name: g\n  interval: 0\n  rules:\n  - {alert: A, expr: up, for: 0}"),
    ("fractions", "groups:\n- name: g\n  interval: 1.5m\n  rules: []"),
    ("order of units", "groups:\n- name: g\n  interval: 5s1m\n  rules: []"),
    ("unknown at the top", "group: []"),
    ("unknown in a group", "groups:\n- name: g\n  intervall: 1m\n  rules: []"),
    ("unknown in a rule", "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up, fro: 1m}"),
    ("no name", "groups:\n- rules: []"),
    ("same name", "groups:\n- {name: g, rules: []}\n- {name: g, rules: []}"),
    ("key twice", "groups:\n- name: g\n  name: h\n  rules: []"),
    ("no YAML", "groups:\n- name: [g"),
    ("a tab", "groups:\n\t- name: g"),
    ("a text for a list", "groups: all"),
    ("a list for a text", "groups:\n- name: [a]\n  rules: []"),
    ("a text for a number", "groups:\n- name: g\n  limit: x\n  rules: []"),
    ("bad query", "groups:\n- name: g\n  rules:\n  - {alert: A, expr: 'up =='}"),
    ("no query", "groups:\n- name: g\n  rules:\n  - {alert: A}"),
    ("both", "groups:\n- name: g\n  rules:\n  - {alert: A, record: b, expr: up}"),
    ("neither", "groups:\n- name: g\n  rules:\n  - {expr: up}"),
    ("for of a record", "groups:\n- name: g\n  rules:\n  - {record: a, expr: up, for: 1m}"),
    ("keep of a record", "groups:\n- name: g\n  rules:\n  - {record: a, expr: up, keep_firing_for: 1m}"),
    (
        "annotations of a record",
        "groups:\n- name: g\n  rules:\n  - {record: a, expr: up, annotations: {a: b}}",
    ),
    ("braces", "groups:\n- name: g\n  rules:\n  - {record: 'a{}', expr: up}"),
    ("label __name__", "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up, labels: {__name__: x}}"),
    (
        "unknown function",
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up, annotations: {a: '{{ nope }}'}}",
    ),
    ("unknown variable", "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up, labels: {a: '{{ $x }}'}}"),
    ("no end", "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up, annotations: {a: '{{ if true }}'}}"),
    ("no braces", "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up, annotations: {a: '{{ $value'}}"),
];

const SERVERS: &str = "\
groups:
- name: second
  rules:
  - alert: Down
    expr: up == 0
    for: 2m
    keep_firing_for: 3m
    labels: {severity: '{{ if eq $labels.job \"db\" }}critical{{ else }}warning{{ end }}'}
    annotations:
      summary: '{{ $labels.instance | stripPort }} of {{ $labels.job | title }} is {{ $value }}'
      since: '{{ humanizeDuration 3725 }} {{ 1234567.0 }} {{ printf \"%6.2f|%-4s|%03d\" 1.5 \"a\" 7 }} {{ 1536.0 | humanize1024 }}'
      all: '{{ range query \"up\" | sortByLabel \"job\" }}{{ .Labels.job }}={{ .Value }};{{ end }}'
      site: '{{ $externalLabels.site }} {{ .ExternalLabels.site }}'
  - alert: Recorded
    expr: job:down:count > 0
- name: first
  rules:
  - record: job:down:count
    expr: count by (job) (up == 0)
    labels: {kind: down}
";

/// Tests of the rules above: the rest of a file that begins with `rule_files: [rules.yml]`.
const TESTS: [(&str, &str); 22] = [
    ("nothing", ""),
    (
        "holds",
        "tests:\n- interval: 1m\n  external_labels: {site: one}\n  input_series:\n  - {series: 'up{job=\"db\",instance=\"h:1\"}', values: '1x2 0x4 1x10'}\n  - {series: 'up{job=\"web\"}', values: '1x20'}\n  alert_rule_test:\n  - {eval_time: 4m, alertname: Down}\n  - eval_time: 5m\n    alertname: Down\n    exp_alerts: &down\n    - exp_labels: {job: db, instance: 'h:1', severity: critical}\n      exp_annotations: {summary: 'h of Db is 0', since: '1h 2m 5s 1.234567e+06   1.50|a   |007 1.5ki', all: 'db=0;web=1;', site: one one}\n",
    ),
    (
        "kept firing",
        "tests:\n- interval: 1m\n  input_series:\n  - {series: 'up{job=\"db\"}', values: '0x4 1x10'}\n  promql_expr_test:\n  - {expr: 'count(ALERTS{alertstate=\"firing\",alertname=\"Down\"})', eval_time: 7m, exp_samples: [{labels: '{}', value: 1}]}\n  - {expr: 'count(ALERTS{alertstate=\"firing\",alertname=\"Down\"})', eval_time: 8m, exp_samples: []}\n",
    ),
    (
        "no longer kept",
        "tests:\n- interval: 1m\n  input_series:\n  - {series: 'up{job=\"db\"}', values: '0x4 1x10'}\n  promql_expr_test:\n  - {expr: 'count(ALERTS{alertstate=\"firing\",alertname=\"Down\"})', eval_time: 8m, exp_samples: [{labels: '{}', value: 1}]}\n",
    ),
    (
        "wrong annotations",
        "tests:\n- interval: 1m\n  input_series:\n  - {series: 'up{job=\"db\"}', values: '0x10'}\n  alert_rule_test:\n  - {eval_time: 5m, alertname: Down, exp_alerts: [{exp_labels: {job: db, severity: critical}}]}\n",
    ),
    (
        "alert that is not there",
        "tests:\n- interval: 1m\n  input_series:\n  - {series: 'up', values: '1x10'}\n  alert_rule_test:\n  - {eval_time: 5m, alertname: Down, exp_alerts: [{}]}\n",
    ),
    ("no such rule", "tests:\n- interval: 1m\n  alert_rule_test:\n  - {eval_time: 5m, alertname: Other}\n"),
    ("no alertname", "tests:\n- interval: 1m\n  alert_rule_test:\n  - {eval_time: 5m}\n"),
    (
        "ordered",
        "group_eval_order: [first, second]\ntests:\n- interval: 1m\n  input_series:\n  - {series: 'up{job=\"db\"}', values: '0x10'}\n  alert_rule_test:\n  - {eval_time: 0m, alertname: Recorded, exp_alerts: [{exp_labels: {job: db, kind: down}}]}\n",
    ),
    (
        "ordered otherwise",
        "group_eval_order: [second, first]\ntests:\n- interval: 1m\n  input_series:\n  - {series: 'up{job=\"db\"}', values: '0x10'}\n  alert_rule_test:\n  - {eval_time: 0m, alertname: Recorded, exp_alerts: [{exp_labels: {job: db, kind: down}}]}\n",
    ),
    ("ordered twice", "group_eval_order: [first, first]\ntests: []\n"),
    (
        "queries",
        "evaluation_interval: 30s\ntests:\n- interval: 30s\n  input_series:\n  - {series: 'a{b=\"c\"}', values: '1+2x5 _x2 -1-1x2 stale 5e1 1.5'}\n  promql_expr_test:\n  - {expr: 'a', eval_time: 1m, exp_samples: [{labels: 'a{b=\"c\"}', value: 5}]}\n  - {expr: 'a', eval_time: 4m, exp_samples: [{labels: 'a{b=\"c\"}', value: -1}]}\n  - {expr: 'a', eval_time: 330s, exp_samples: []}\n  - {expr: 'a * 2', eval_time: 6m, exp_samples: [{labels: '{b=\"c\"}', value: 100}]}\n  - {expr: 'time()', eval_time: 90s, exp_samples: [{value: 90}]}\n  - {expr: 'vector(1)', exp_samples: [{labels: '', value: 1}]}\n",
    ),
    ("query that fails", "tests:\n- promql_expr_test:\n  - {expr: 'up[5m]', eval_time: 1m}\n"),
    ("query that is none", "tests:\n- promql_expr_test:\n  - {expr: 'up ==', eval_time: 1m}\n"),
    (
        "another value",
        "tests:\n- interval: 1m\n  input_series:\n  - {series: 'a', values: '1x5'}\n  promql_expr_test:\n  - {expr: 'a', eval_time: 1m, exp_samples: [{labels: 'a', value: 2}]}\n",
    ),
    (
        "between two evaluations",
        "tests:\n- interval: 30s\n  input_series:\n  - {series: 'a', values: '1 2 3 4'}\n  promql_expr_test:\n  - {expr: 'a', eval_time: 90s, exp_samples: [{labels: 'a', value: 3}]}\n",
    ),
    ("unknown field", "test: []\n"),
    ("unknown field of a test", "tests:\n- intervall: 1m\n"),
    ("bad values", "tests:\n- interval: 1m\n  input_series: [{series: a, values: '1 b'}]\n"),
    ("bad series", "tests:\n- interval: 1m\n  input_series: [{series: 'a{', values: '1'}]\n"),
    ("bad time", "tests:\n- interval: 1m\n  promql_expr_test: [{expr: a, eval_time: soon}]\n"),
    ("external_url", "tests:\n- interval: 1m\n  external_url: 'http://x.example'\n"),
];

fn promtool() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("PARAMEDIC_TEST_DEBIAN").unwrap_or_default());
    let promtool = folder.join("usr/bin/promtool");
    if promtool.is_file() {
        return Some(promtool);
    }
    println!("SKIPPED: no promtool; `./test --deps` installs it, PARAMEDIC_TEST_DEBIAN says where");
    None
}

/// Whether promtool is content, and what it says.
fn verdict(promtool: &Path, arguments: &[&str], folder: &Path) -> (bool, String) {
    let output = Command::new(promtool).args(arguments).current_dir(folder).output().expect("promtool runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn the_same_verdict_on_rule_files() {
    let Some(promtool) = promtool() else { return };
    let folder = tempfile::tempdir().expect("there is a folder");
    let mut differ = Vec::new();
    for (name, text) in RULES {
        fs::write(folder.path().join("rules.yml"), text).expect("the file can be written");
        let (theirs, said) = verdict(&promtool, &["check", "rules", "rules.yml"], folder.path());
        let (_, problems) = parse_rules("rules.yml", text);
        if problems.iter().any(RuleProblem::is_error) == theirs {
            differ.push(format!("{name}: promtool {theirs}, ours {problems:#?}\n{said}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn the_same_verdict_on_tests() {
    let Some(promtool) = promtool() else { return };
    let folder = tempfile::tempdir().expect("there is a folder");
    fs::write(folder.path().join("rules.yml"), SERVERS).expect("the file can be written");
    let (groups, problems) = parse_rules("rules.yml", SERVERS);
    assert_eq!(problems, []);
    let mut differ = Vec::new();
    let mut n_good = 0;
    for (name, rest) in TESTS {
        let text = format!("rule_files: [rules.yml]\n{rest}");
        fs::write(folder.path().join("test.yml"), &text).expect("the file can be written");
        let (theirs, said) = verdict(&promtool, &["test", "rules", "test.yml"], folder.path());
        let failed = match parse_rule_tests(&text) {
            Ok(file) => {
                file.run(&groups).into_iter().map(|one| format!("{}: {}", one.what, one.message)).collect()
            }
            Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        };
        n_good += usize::from(theirs);
        if failed.is_empty() != theirs {
            differ.push(format!("{name}: promtool {theirs}, ours {failed:#?}\n{said}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert!(n_good > 5 && n_good < TESTS.len() - 5, "{n_good}");
}
