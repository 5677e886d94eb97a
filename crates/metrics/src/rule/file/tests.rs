//! Owns the tests of rule files: what is read, what is refused, and where.

use proptest::prelude::*;

use super::*;

/// Every problem on a line of its own.
#[track_caller]
fn check(text: &str, expect: &[&str]) {
    let (_, problems) = parse_rules("rules.yml", text);
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(shown.len(), expect.len(), "{text}\n{shown:#?}");
    for (found, wanted) in shown.iter().zip(expect) {
        assert!(found.starts_with(wanted), "{text}\nfound  {found}\nwanted {wanted}");
    }
}

/// One group with one rule, whose fields these lines are.
#[track_caller]
fn rule_of(fields: &[&str], expect: &[&str]) {
    let text = format!("groups:\n- name: g\n  rules:\n  - {}\n", fields.join("\n    "));
    check(&text, expect);
}

#[test]
fn a_whole_file() {
    let text = "\
# Servers.
groups:
  - name: servers
    interval: 30s
    limit: 10
    query_offset: 1m
    labels: &all {team: mcp, severity: none}
    rules:
      - record: server:requests:rate5m
        expr: sum by (server_name) (rate(mcp_requests_total[5m]))
        labels: {kind: recorded}
      - alert: MCPServerDown
        expr: |
          mcp_server_up
            == 0
        for: 1m
        keep_firing_for: 5m
        labels:
          <<: *all
          severity: critical
          code: 7
        annotations:
          summary: '{{ $labels.server_name }} is down'
          empty:
  - name: empty
    rules: []
";
    let (groups, problems) = parse_rules("rules.yml", text);
    assert_eq!(problems, []);
    assert_eq!(groups.len(), 2);
    let group = &groups[0];
    assert_eq!((group.name.as_str(), group.source.as_str()), ("servers", "rules.yml"));
    assert_eq!((group.interval_ms, group.limit, group.query_offset_ms), (Some(30_000), 10, 60_000));
    let Rule::Recording(recording) = &group.rules[0] else { panic!("{:?}", group.rules) };
    assert_eq!(recording.name, "server:requests:rate5m");
    assert_eq!(
        recording.labels.iter().map(|(name, text)| format!("{name}={text}")).collect::<Vec<_>>(),
        ["kind=recorded", "severity=none", "team=mcp"]
    );
    let Rule::Alerting(alerting) = &group.rules[1] else { panic!("{:?}", group.rules) };
    assert_eq!((alerting.for_ms, alerting.keep_firing_for_ms), (60_000, 300_000));
    let labels: Vec<_> =
        alerting.labels.iter().map(|(name, text)| format!("{name}={}", text.text())).collect();
    assert_eq!(labels, ["code=7", "severity=critical", "team=mcp"]);
    assert_eq!(alerting.annotations["empty"].text(), "");
    assert_eq!((groups[1].name.as_str(), groups[1].interval_ms), ("empty", None));
}

#[test]
fn what_is_no_rule_file() {
    check("", &[]);
    check("# nothing\n", &[]);
    check("groups:\n", &[]);
    check("groups: {}", &["1:9: error: `groups` has to be a list, and is a mapping"]);
    check("- a", &["1:1: error: a rule file has to be a mapping of names to values, and is a list"]);
    check("group: []", &["1:1: error: a rule file has no field `group`; `groups` is meant?"]);
    check("groups: [", &["2:1: error: file is no YAML"]);
    check("groups:\n\t- a", &["2:2: error: file is no YAML: tabs"]);
    check(
        "groups: []\n---\ngroups: []\n",
        &["2:1: error: a second document begins here; only the first would be read"],
    );
    check("groups: []\ngroups: []", &["2:1: error: `groups` is there already, in line 1"]);
    check("? [a]\n: b", &["1:3: error: a key is a list"]);
    check("groups: *nothing", &["1:9: error: file is no YAML"]);
}

#[test]
fn what_is_wrong_in_a_group() {
    check("groups: [{rules: []}]", &["1:10: error: the group has no name; give it a `name:`"]);
    check("groups: [{name: a}, {name: a}]", &["1:21: error: a group `a` is there already, in line 1"]);
    check("groups: [{name: a, interval: soon}]", &["1:30: error: `interval`: `soon` is not a duration"]);
    check(
        "groups: [{name: a, interval: 30}]",
        &["1:30: error: `interval`: `30` is not a duration; write whole numbers with units"],
    );
    check("groups: [{name: a, limit: many}]", &["1:27: error: `limit`: `many` is not a whole number"]);
    check(
        "groups: [{name: a, query_offset: -1m}]",
        &["1:34: error: `query_offset`: `-1m` is not a duration"],
    );
    check(
        "groups: [{name: a, evaluation_interval: 1m}]",
        &["1:20: error: a group has no field `evaluation_interval`; there are name, interval"],
    );
    check("groups: [{name: a, labels: {__name__: x}}]", &["1:29: error: invalid label name: `__name__`"]);
    check("groups: [text]", &["1:10: error: a group has to be a mapping"]);
}

#[test]
fn what_is_wrong_in_a_rule() {
    let about = "error: group `g`, rule 1, `A`";
    let at = |place: &str, rest: &str| format!("{place}: {about}: {rest}");
    rule_of(
        &["alert: A", "expr: up =="],
        &[&at("5:11", "could not parse expression: query is not valid at 1:6")],
    );
    rule_of(&["alert: A"], &[&at("4:5", "`expr` must be set; write a query in PromQL")]);
    rule_of(
        &["alert: A", "expr: up", "For: 1m"],
        &[&at("6:5", "a rule has no field `For`; `for` is meant?")],
    );
    rule_of(
        &["alert: A", "expr: up", "for: 1 minute"],
        &[&at("6:10", "`for`: `1 minute` is not a duration")],
    );
    rule_of(&["alert: A", "expr: up", "labels: {'': x}"], &[&at("6:14", "invalid label name: ``")]);
    rule_of(
        &["alert: A", "expr: up", "labels: {__name__: x}"],
        &[&at("6:14", "invalid label name: `__name__`")],
    );
    rule_of(
        &["alert: A", "expr: up", "labels: {a: [x]}"],
        &[&at("6:17", "a value under `labels` has to be a text, and is a list")],
    );
    rule_of(
        &["alert: A", "expr: up", "labels: {a: '{{ $nope }}'}"],
        &[&at("6:14", "template of the label `a`: 1:4: undefined variable `$nope`")],
    );
    rule_of(
        &["alert: A", "expr: up", "annotations: {a: '{{ $value'}"],
        &[&at("6:19", "template of the annotation `a`: 1:1: unclosed action")],
    );
    rule_of(
        &["alert: A", "record: b", "expr: up"],
        &["4:5: error: group `g`, rule 1, `b`: only one of `record` and `alert` must be set"],
    );
    rule_of(&["expr: up"], &["4:5: error: group `g`, rule 1, ``: one of `record` and `alert` must be set"]);
    let about = "error: group `g`, rule 1, `a:b`";
    let at = |place: &str, rest: &str| format!("{place}: {about}: {rest}");
    rule_of(&["record: a:b", "expr: up", "for: 1m"], &[&at("6:10", "a recording rule has no `for`")]);
    rule_of(
        &["record: a:b", "expr: up", "keep_firing_for: 1m"],
        &[&at("6:22", "a recording rule has no `keep_firing_for`")],
    );
    rule_of(
        &["record: a:b", "expr: up", "annotations: {x: y}"],
        &[&at("6:18", "a recording rule has no `annotations`")],
    );
    rule_of(&["record: a:b", "expr: up", "for: 0s"], &[]);
    rule_of(
        &["record: 'a{b=\"c\"}'", "expr: up"],
        &["4:13: error: group `g`, rule 1, `a{b=\"c\"}`: the name of the series has braces"],
    );
}

#[test]
fn what_is_not_meant() {
    let about = "warning: group `g`, rule 1, `A`";
    let at = |place: &str, rest: &str| format!("{place}: {about}: {rest}");
    rule_of(
        &["alert: A", "expr: up[5m]"],
        &[&at("5:11", "the query yields a range of samples, and every evaluation fails")],
    );
    rule_of(&["alert: A", "expr: '\"text\"'"], &[&at("5:11", "the query yields a text")]);
    rule_of(
        &["alert: A", "expr: up", "labels: {at: '{{ $value }}'}"],
        &[&at("6:14", "the label `at` changes with the value; each value is another alert")],
    );
    rule_of(
        &["alert: A", "expr: up", "labels: {a.b: x}"],
        &[&at("6:14", "the label name `a.b` has to be quoted; Prometheus before version 3")],
    );
    check(
        "groups:\n- name: g\n  rules:\n  - {record: a, expr: up}\n- name: h\n  rules:\n  - {record: a, expr: down}\n",
        &["7:5: warning: a rule `a` with the same labels is there already, in line 4"],
    );
    check(
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up, labels: {s: a}}\n  - {alert: A, expr: up, labels: {s: b}}\n",
        &[],
    );
}

#[test]
fn a_hostile_file_ends() {
    let bomb: String = std::iter::once("a: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned())
        .chain((1..10).map(|n| {
            let list = vec![format!("*a{}", n - 1); 10].join(", ");
            format!("b{n}: &a{n} [{list}]\n")
        }))
        .collect();
    let (_, problems) = parse_rules("bomb.yml", &bomb);
    assert!(problems[0].message.contains("more than 500000 pieces"), "{problems:?}");
    let (_, problems) = parse_rules("deep.yml", &"[".repeat(100_000));
    assert!(problems[0].message.contains("recursion limit"), "{problems:?}");
    let (_, problems) = parse_rules("deep.yml", &"- ".repeat(1_000));
    assert!(problems[0].message.contains("nested deeper than 32"), "{problems:?}");
    let (_, problems) = parse_rules("large.yml", &" ".repeat(9 << 20));
    assert!(problems[0].message.contains("more than 8388608 bytes"), "{problems:?}");
    let (_, problems) = parse_rules("long.yml", &format!("? {}\n: 1", "x".repeat(1 << 20)));
    assert!(problems[0].message.len() < 3_000, "a message can be read");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// A good file with something else in one place is read or refused, and every problem has a place in it.
    #[test]
    fn a_file_with_a_slip_of_the_pen(at in 0usize..300, gone in 0usize..20, slip in "[-:{}\\[\\]'\"&*|>#!%@ \n\ta-z0-9]{0,4}") {
        const GOOD: &str = "groups:\n- name: g\n  interval: 1m\n  rules:\n  - alert: A\n    expr: |\n      up == 0\n    for: 5m\n    labels: &l {severity: page, n: '{{ $labels.job }}'}\n    annotations:\n      <<: *l\n      text: \"{{ $value | humanize }}\"\n  - record: a:b\n    expr: sum(up) by (job)\n";
        let at = at.min(GOOD.len());
        let end = (at + gone).min(GOOD.len());
        let text = format!("{}{slip}{}", &GOOD[..at], &GOOD[end..]);
        let (_, problems) = parse_rules("rules.yml", &text);
        let lines = text.lines().count().max(1) + 1;
        for problem in problems {
            prop_assert!((1..=lines).contains(&problem.line), "{problem}\n{text}");
        }
    }
}
