//! Tests of export: golden files, and what is refused.

use expect_test::expect;
use metrics::Engine;

use super::*;

fn runbook(name: &str, alert: &str) -> Runbook {
    let text = format!("## Server \"Down\" {{{{x}}}}\n\n### Alert: {alert}\n\n1. **a**\n");
    crate::parse(name, text.as_bytes()).0
}

const DOWN: &str = "Down\n\n**Severity**: Critical\\\n**Response Time**: < 5 minutes\\\n**Alert Query**: `up == 0`\\\n**For**: 90s\\\n**Keep Firing For**: 1 minute\\\n**Inhibits**: Slow, A.B";

#[test]
fn a_rule_file() {
    let text =
        prometheus(&[runbook("books/down.md", DOWN)], Some("https://example.org/"), Engine::VictoriaMetrics)
            .expect("it is exported");
    expect![[r##"
        # For the engine victoriametrics:
        # Down: `up` is gone where nobody exports it any more, and nothing is not 0: what was there within 1h and is missing counts too.
        groups:
          - name: "books/down.md"
            rules:
              - alert: "Down"
                annotations:
                  response_time: "300s"
                  runbook_url: "https://example.org/down.md#server-down-x"
                  summary: "Server \"Down\" { {x}}: {{ $labels.server_name }}"
                expr: "up == 0 or (present_over_time(up[1h]) unless up)"
                for: "90s"
                keep_firing_for: "60s"
                labels:
                  severity: "critical"
    "##]]
    .assert_eq(&text);
}

#[test]
fn a_configuration_of_alertmanager() {
    let text = alertmanager(&[runbook("down.md", DOWN)], "paramedic").expect("it is exported");
    expect![[r#"
        # The receiver has no integration: add webhook_configs, pagerduty_configs or another one to it.
        inhibit_rules:
          - equal: ["server_name"]
            source_matchers: ["alertname=\"Down\""]
            target_matchers: ["alertname=~\"Slow|A\\\\.B\""]
        receivers:
          - name: "paramedic"
        route:
          group_by: ["alertname","server_name"]
          receiver: "paramedic"
          routes:
            - group_wait: "0s"
              matchers: ["severity=\"critical\""]
              receiver: "paramedic"
              repeat_interval: "1h"
            - group_wait: "30s"
              matchers: ["severity=\"warning\""]
              receiver: "paramedic"
              repeat_interval: "12h"
    "#]]
    .assert_eq(&text);
}

#[test]
fn what_can_not_be_exported_is_named() {
    let check = |runbooks: &[Runbook], expect: &str| {
        let said = prometheus(runbooks, None, Engine::Prometheus).expect_err(expect).to_string();
        assert_eq!(said, expect);
    };
    check(&[], "no alert with a query is in these runbooks");
    check(&[runbook("a.md", DOWN), runbook("b.md", DOWN)], "alert `Down` stands twice: a.md:1 and b.md:1");
    let said = prometheus(&[runbook("a.md", "X\n\n**Alert Query**: `up ==`")], None, Engine::Prometheus)
        .expect_err("no query")
        .to_string();
    assert!(said.starts_with("the query of alert `X` (a.md:1) can not be evaluated:"), "{said}");
}
