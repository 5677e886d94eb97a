//! Owns the table of what Prometheus' specification for alert generators (1.0) demands of the states of alerts: one test for
//! each MUST of rules, states and series. What it says of sending to an Alertmanager is not this crate's.

use std::collections::BTreeMap;

use crate::alert::{AlertState, Alerts, AtOnce, RuleSettings};
use crate::labels::Labels;
use crate::notation;
use crate::promql::{Query, Value};
use crate::rule::parse_rules;
use crate::store::{Limits, Store};

const INTERVAL_MS: i64 = 60_000;
const LIMITS: Limits = Limits { retention_ms: i64::MAX, series_max: 1_000, samples_per_series_max: 1_000 };

/// One demand: what it is, the fields of the rule, the values of `m{job="a"}` and `m{job="b"}`, one each minute, and how
/// the alerts stand after each: `.` none, `p` pending, `F` firing.
struct Demand {
    must: &'static str,
    rule: &'static str,
    series: [&'static str; 2],
    states: [&'static str; 2],
}

const DEMANDS: [Demand; 15] = [
    Demand {
        must: "each element of the result makes an alert of its own",
        rule: "expr: m > 0",
        series: ["0 1 1 0", "1 1 0 0"],
        states: [".FF.", "FF.."],
    },
    Demand {
        must: "an alert begins pending if `for` is not zero",
        rule: "expr: m > 0, for: 5m",
        series: ["1", "0"],
        states: ["p", "."],
    },
    Demand {
        must: "it stays pending while it is there for less than `for`",
        rule: "expr: m > 0, for: 3m",
        series: ["1 1 1", "0 1 1"],
        states: ["ppp", ".pp"],
    },
    Demand {
        must: "it fires as soon as it is there for as long as `for`",
        rule: "expr: m > 0, for: 3m",
        series: ["1 1 1 1 1", "0 1 1 1 1"],
        states: ["pppFF", ".pppF"],
    },
    Demand {
        must: "without `for` it fires at once and is never pending",
        rule: "expr: m > 0",
        series: ["1 1", "0 1"],
        states: ["FF", ".F"],
    },
    Demand {
        must: "with `for: 0s` too",
        rule: "expr: m > 0, for: 0s",
        series: ["1 1", "0 1"],
        states: ["FF", ".F"],
    },
    Demand {
        must: "a `for` shorter than the interval fires at the next evaluation",
        rule: "expr: m > 0, for: 10s",
        series: ["1 1", "0 1"],
        states: ["pF", ".p"],
    },
    Demand {
        must: "and not if it has gone by then",
        rule: "expr: m > 0, for: 10s",
        series: ["1 0 1 1", "0 0 0 0"],
        states: ["p.pF", "...."],
    },
    Demand {
        must: "a pending alert whose element goes is inactive at once",
        rule: "expr: m > 0, for: 5m",
        series: ["1 1 0 0", "1 1 1 0"],
        states: ["pp..", "ppp."],
    },
    Demand {
        must: "a firing alert whose element goes is inactive at once",
        rule: "expr: m > 0, for: 1m",
        series: ["1 1 1 0", "1 1 0 0"],
        states: ["pFF.", "pF.."],
    },
    Demand {
        must: "what comes back is a new alert and waits anew",
        rule: "expr: m > 0, for: 1m",
        series: ["1 1 0 1 1", "1 0 1 1 0"],
        states: ["pF.pF", "p.pF."],
    },
    Demand {
        must: "what never alerts is inactive all the time",
        rule: "expr: m > 5, for: 1m",
        series: ["1 1 1", "5 5 5"],
        states: ["...", "..."],
    },
    Demand {
        must: "a series that ends is gone at once",
        rule: "expr: m > 0, for: 1m",
        series: ["1 1 1 stale", "1 1 _ _"],
        states: ["pFF.", "pFFF"],
    },
    Demand {
        must: "with `keep_firing_for` it goes on firing for so long, and is then inactive",
        rule: "expr: m > 0, keep_firing_for: 2m",
        series: ["1 0 0 0 0", "0 1 0 1 0"],
        states: ["FFF..", ".FFFF"],
    },
    Demand {
        must: "`keep_firing_for` keeps nothing that was pending only",
        rule: "expr: m > 0, for: 2m, keep_firing_for: 5m",
        series: ["1 1 0 0", "1 1 1 0"],
        states: ["pp..", "ppFF"],
    },
];

/// A rule over the two series, evaluated each minute; after each evaluation `see` gets to look.
fn play(rules: &str, series: [&str; 2], mut see: impl FnMut(&Alerts, &Store, i64)) {
    let (groups, problems) = parse_rules("rules.yml", rules);
    assert_eq!(problems, []);
    let values = series.map(|values| notation::values(values).expect("they are values").floats);
    let (mut store, mut alerts) = (Store::new(LIMITS), Alerts::new(groups, RuleSettings::default()));
    for step in 0..values[0].len() {
        let now_ms = step as i64 * INTERVAL_MS;
        for (job, values) in ["a", "b"].iter().zip(&values) {
            if let Some(value) = values[step] {
                store.append(&Labels::metric("m", &[("job", job)]), now_ms, value).expect("it is newer");
            }
        }
        alerts.evaluate_due(&mut store, now_ms, &AtOnce::nothing());
        see(&alerts, &store, now_ms);
    }
}

fn group(rule: &str) -> String {
    format!("groups: [{{name: g, rules: [{{alert: A, {rule}}}]}}]")
}

fn ask(store: &Store, query: &str, at_ms: i64) -> Vec<String> {
    let Ok(Value::Vector(found)) = Query::parse(query).expect("it is a query").instant(store, at_ms) else {
        panic!("{query} yields no vector");
    };
    found.iter().map(|element| format!("{} {}", element.labels, element.value)).collect()
}

#[test]
fn the_states_of_alerts() {
    for Demand { must, rule, series, states } in DEMANDS {
        let mut found = [String::new(), String::new()];
        play(&group(rule), series, |alerts, store, now_ms| {
            let shown: BTreeMap<&str, char> = alerts
                .active()
                .map(|alert| (alert.labels.get("job").unwrap_or_default(), alert.state))
                .map(|(job, state)| match state {
                    AlertState::Pending => (job, 'p'),
                    AlertState::Firing => (job, 'F'),
                    AlertState::Resolved | AlertState::Inactive => (job, '.'),
                })
                .collect();
            for (job, found) in ["a", "b"].iter().zip(&mut found) {
                let state = shown.get(job).copied().unwrap_or('.');
                found.push(state);
                // The series says the same, at this moment, and nothing of what is inactive.
                let expect = match state {
                    'p' => vec![format!(r#"ALERTS{{alertname="A",alertstate="pending",job="{job}"}} 1"#)],
                    'F' => vec![format!(r#"ALERTS{{alertname="A",alertstate="firing",job="{job}"}} 1"#)],
                    _ => Vec::new(),
                };
                assert_eq!(ask(store, &format!("ALERTS{{job=\"{job}\"}}"), now_ms), expect, "{must}");
            }
        });
        assert_eq!(found, states, "{must}");
    }
}

/// How the labels of a rule with these fields look at the first evaluation.
#[track_caller]
fn labels_are(fields: &str, labels: &str) {
    let mut found = Vec::new();
    play(&group(fields), ["1", "0"], |alerts, _, _| {
        found = alerts.active().map(|alert| alert.labels.to_string()).collect();
    });
    assert_eq!(found, [labels], "{fields}");
}

#[test]
fn the_labels_of_alerts() {
    // The labels of the element are those of the alert, and templates see them.
    labels_are("expr: m > 0", r#"{alertname="A",job="a"}"#);
    labels_are(
        "expr: m > 0, labels: {of: '{{ $labels.__name__ }} {{ $labels.job }}'}",
        r#"{alertname="A",job="a",of="m a"}"#,
    );
    // Labels of the rule hold over those of the element, and an empty one takes it away.
    labels_are("expr: m > 0, labels: {job: x}", r#"{alertname="A",job="x"}"#);
    labels_are("expr: m > 0, labels: {job: ''}", r#"{alertname="A"}"#);
    // The name of the rule holds over all.
    labels_are("expr: m > 0, labels: {alertname: x}", r#"{alertname="A",job="a"}"#);
    labels_are(
        "expr: 'label_replace(m > 0, \"alertname\", \"y\", \"\", \"\")'",
        r#"{alertname="A",job="a"}"#,
    );
}

#[test]
fn annotations_are_the_latest_ones() {
    for rule in ["expr: m > 0", "expr: m > 0, for: 5m"] {
        let mut found = Vec::new();
        play(
            &group(&format!("{rule}, annotations: {{v: '{{{{ $value }}}}'}}")),
            ["1 2 3", "0 0 0"],
            |alerts, _, _| {
                found.extend(alerts.active().map(|alert| alert.annotations["v"].clone()));
            },
        );
        assert_eq!(found, ["1", "2", "3"], "{rule}");
    }
}

#[test]
fn the_same_labels_twice_are_an_error_and_make_nothing() {
    let rule = group("expr: m > 0, labels: {job: x}");
    let mut found = Vec::new();
    play(&rule, ["1", "1"], |alerts, store, now_ms| {
        let group = alerts.groups().next().expect("there is one");
        let error = group.rules().next().expect("there is one").last_error().map(ToString::to_string);
        found.push((alerts.active().count(), ask(store, "ALERTS", now_ms).len(), error));
    });
    let message = r#"rule `A` yields two elements with the labels `{alertname="A",job="x"}`"#;
    assert_eq!(found, [(0, 0, Some(message.to_owned()))]);
}

#[test]
fn what_rules_make_can_be_seen_by_later_rules_of_the_group() {
    let rules = "groups: [{name: g, rules: [{record: r, expr: m * 10}, {alert: First, expr: r > 5}, {alert: Second, expr: 'ALERTS{alertname=\"First\",alertstate=\"firing\"}'}]}]";
    let mut found = Vec::new();
    play(rules, ["1", "0"], |alerts, _, _| found = alerts.active().map(|alert| alert.rule.clone()).collect());
    assert_eq!(found, ["First", "Second"]);
}

#[test]
fn a_group_without_interval_is_evaluated_each_minute() {
    let alerts = Alerts::new(parse_rules("rules.yml", &group("expr: m")).0, RuleSettings::default());
    assert_eq!(alerts.groups().next().map(|group| group.interval_ms()), Some(60_000));
}

#[test]
fn optional_functions_are_not_refused() {
    for text in [
        "graphLink \"m\"",
        "tableLink \"m\"",
        "tmpl \"x\" 1",
        "pathPrefix",
        "safeHtml \"x\"",
        "query \"m\" | first | strvalue",
        "$externalLabels.x",
        "$externalURL",
    ] {
        let (_, problems) =
            parse_rules("rules.yml", &group(&format!("expr: m, annotations: {{a: '{{{{ {text} }}}}'}}")));
        assert_eq!(problems, [], "{text}");
    }
}
