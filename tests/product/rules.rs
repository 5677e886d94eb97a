//! Tests of rule files: checked, tested, evaluated by `serve`, and over the past.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use process::Signal;
use serde_json::Value;
use server::api::wire::{AlertStatus, Summary};
use server::now_ms;

use crate::authoring::accepts;
use crate::poll::eventually;
use crate::real::installed;
use crate::site::{Server, Setup, Site, free_port};

/// The rules that ship beside the runbooks.
const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../rules");

#[test]
fn the_shipped_rules_are_fine_and_their_tests_hold() {
    let site = Site::new(&[]);
    let shipped = |name: &str| format!("{SHIPPED}/{name}");
    let (rules, tests) = (shipped("mcp-servers.yml"), shipped("mcp-servers.test.yml"));
    let ran = site.run(&["rule", "check", "--strict", &rules]);
    assert!(ran.stderr.contains("14 rule(s) in 6 group(s), 0 error(s), 0 warning(s)"), "{}", ran.stderr);
    assert_eq!(ran.code, Some(0));
    site.run(&["rule", "test", &tests]).done();
    // Each alert is tested, where it fires and where it does not.
    let (rules_text, tests_text) = (fs::read_to_string(&rules).unwrap(), fs::read_to_string(&tests).unwrap());
    let names: Vec<&str> =
        rules_text.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert_eq!(names.len(), 14);
    for name in names {
        assert!(tests_text.contains(&format!("alertname: {name}\n")), "{name} is expected nowhere");
    }
    let Some(promtool) = installed("PARAMEDIC_TEST_DEBIAN", "usr/bin/promtool") else { return };
    accepts(&promtool, &["check", "rules", "--lint-fatal", "mcp-servers.yml"], Path::new(SHIPPED));
    accepts(&promtool, &["test", "rules", "mcp-servers.test.yml"], Path::new(SHIPPED));
}

#[test]
fn a_mistake_is_named_with_its_place() {
    let site = Site::new(&[]);
    let file = site.path("bad.yml");
    fs::write(&file, "groups:\n- name: g\n  rules:\n  - {alert: A, expr: 'up ==', fro: 1m}\n").unwrap();
    let file = file.to_str().unwrap();
    let ran = site.run(&["rule", "check", file]);
    assert_eq!(ran.code, Some(1));
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(
        lines[0].starts_with(&format!("{file}:4:22: error: group `g`, rule 1, `A`: could not parse")),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with(&format!("{file}:4:31: error:")) && lines[1].contains("`for` is meant?"),
        "{lines:?}"
    );
    let told: Value = serde_json::from_str(&site.run(&["rule", "check", file, "-o", "json"]).stdout).unwrap();
    assert_eq!((&told[1]["line"], &told[1]["level"]), (&4.into(), &"error".into()));
    // A query that would miss what it is for is a warning.
    let trap = site.path("trap.yml");
    fs::write(&trap, "groups:\n- name: g\n  rules:\n  - {alert: A, expr: mcp_server_up == 0, for: 1m}\n")
        .unwrap();
    let trap = trap.to_str().unwrap();
    assert_eq!(site.run(&["rule", "check", trap]).code, Some(0));
    site.run(&["rule", "check", "--strict", trap]).failed(1, &[]);
    site.run(&["rule", "check", "/nowhere.yml"]).failed(2, &["/nowhere.yml"]);
    // A test that does not hold.
    let test = site.path("t.yml");
    fs::write(&test, "rule_files: [trap.yml]\ntests:\n- alert_rule_test: [{eval_time: 5m, alertname: A, exp_alerts: [{}]}]\n").unwrap();
    let ran = site.run(&["rule", "test", test.to_str().unwrap()]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stdout.contains("t.yml:3: test 1: alert `A` after 5m") && ran.stdout.contains("found none"),
        "{}",
        ran.stdout
    );
}

/// Alerts as `serve` lists them.
fn alerts(site: &Site) -> Vec<AlertStatus> {
    site.get("/api/v1/alerts").unwrap_or_default()
}

fn alert(site: &Site, name: &str, state: &str) -> AlertStatus {
    eventually(&format!("{name} is {state}"), || {
        let is_it =
            |one: &AlertStatus| one.name == name && format!("{:?}", one.state).eq_ignore_ascii_case(state);
        alerts(site).into_iter().find(is_it)
    })
}

const RULES: &str = "\
groups:
  - name: of a file
    interval: 1s
    rules:
      - record: up:doubled
        expr: mcp_server_up * 2
      - alert: MCPServerDown
        expr: vector(1)
        labels: {server_name: notes, severity: warning}
      - alert: Extra
        expr: up:doubled == 2
        annotations: {summary: '{{ $labels.server_name }} {{ $value }} {{ $externalLabels.site }}'}
      - alert: Waiting
        expr: vector(1)
        for: 1h
";

#[test]
fn serve_evaluates_rule_files_and_goes_on_after_a_restart() {
    let tables = "[rules]\nfiles = [\"rules/*.yml\"]\nexternal_labels = { site = \"one\" }\n";
    let keys = "[policy]\nmode = \"observe\"\n";
    let (tables, servers) = (format!("{keys}{tables}"), [Server::notes("notes")]);
    let mut site = Site::of(&Setup { tables: &tables, servers: &servers, ..Setup::default() });
    fs::create_dir(site.path("rules")).unwrap();
    fs::write(site.path("rules/good.yml"), RULES).unwrap();
    fs::write(site.path("rules/bad.yml"), "groups: [{name: g, rulez: []}]\n").unwrap();
    site.run(&["config", "check"]).failed(2, &["bad.yml:1:20: error: a group has no field `rulez`"]);
    site.serve_until_ready(&["notes"]);

    // An alert that is named as a procedure's opens its incident; another does not, and says so.
    let incident: Summary = eventually("the file's alert opens an incident", || {
        site.incidents().into_iter().find(|one| one.server == "notes")
    });
    assert!(incident.title.contains("Server Down"), "{incident:?}");
    let extra = alert(&site, "Extra", "firing");
    assert_eq!(extra.value, Some(2.0));
    assert!(extra.opens_nothing.is_some() && extra.from.ends_with("rules/good.yml"), "{extra:?}");
    let down = alerts(&site).into_iter().find(|one| one.name == "MCPServerDown").unwrap();
    assert_eq!(down.opens_nothing, None);
    let listed = site.run(&["alert", "list"]).done();
    assert!(listed.contains("OPENS NOTHING") && listed.contains("good.yml"), "{listed}");
    assert_eq!(site.incidents().len(), 1, "an alert without a runbook opens nothing");
    // The file with a mistake is not used, and that is told.
    assert!(site.serve_log().contains("bad.yml:1:20"), "{}", site.serve_log());

    // Grafana asks in the words of Prometheus.
    let told: Value = site.get("/prometheus/api/v1/rules?type=alert").expect("it answers");
    let group =
        told["data"]["groups"].as_array().unwrap().iter().find(|one| one["name"] == "of a file").unwrap();
    assert_eq!((&group["interval"], &group["rules"][1]["name"]), (&1.0.into(), &"Extra".into()));
    assert_eq!((&group["rules"][1]["state"], &group["rules"][1]["health"]), (&"firing".into(), &"ok".into()));
    assert_eq!(group["rules"][1]["alerts"][0]["annotations"]["summary"], "notes 2 one");
    let told: Value = site.get("/prometheus/api/v1/alerts").expect("it answers");
    assert!(told["data"]["alerts"].as_array().unwrap().iter().any(|one| one["state"] == "pending"), "{told}");

    // After a restart what fired fires since the same moment, and what waited has not begun anew.
    let asked = |query: &str| site.run(&["query", query, "-o", "json"]).stdout;
    eventually("it has waited for three seconds", || {
        let found: Value =
            serde_json::from_str(&asked("time() - ALERTS_FOR_STATE{alertname=\"Waiting\"} > 3")).ok()?;
        (found.to_string().contains("Waiting")).then_some(())
    });
    let waiting = alert(&site, "Waiting", "pending");
    site.end_serve(Signal::TERM);
    let restarted_ms = now_ms();
    site.serve_until_ready(&["notes"]);
    assert_eq!(alert(&site, "Extra", "firing").since_ms, extra.since_ms);
    let again = alert(&site, "Waiting", "pending");
    assert!(again.since_ms < restarted_ms, "{} {restarted_ms}", again.since_ms);
    assert!(again.since_ms >= waiting.since_ms, "the time in which nobody looked does not count");
}

/// A Prometheus that ends with its test.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An hour of `up` each half minute, in seconds since the Unix epoch: down from minute 10 to 20, and from 25 to 26.
fn page(start_s: i64) -> String {
    let sample = |idx: i64| {
        let is_down = (20..40).contains(&idx) || (50..52).contains(&idx);
        format!("up{{job=\"a\"}} {} {}\n", u8::from(!is_down), start_s + idx * 30)
    };
    let samples: String = (0..120).map(sample).collect();
    format!("# TYPE up gauge\n{samples}# EOF\n")
}

/// When `Down` fired, in minutes after the start.
fn firings(json: &str, start_s: i64) -> Vec<(i64, i64)> {
    let found: Value = serde_json::from_str(json).unwrap_or_else(|_| panic!("{json}"));
    let minutes = |value: &Value| (value.as_i64().unwrap() / 1_000 - start_s) / 60;
    let firings = found["alerts"][0]["firings"].as_array().unwrap();
    firings.iter().map(|one| (minutes(&one["from_ms"]), minutes(&one["until_ms"]))).collect()
}

#[test]
fn the_past_tells_what_would_have_fired() {
    let site = Site::new(&[]);
    let start_s = now_ms() / 1_000 / 60 * 60 - 2 * 3_600;
    let (rules, series) = (site.path("rules.yml"), site.path("series.om"));
    fs::write(&rules, "groups: [{name: g, interval: 30s, rules: [{alert: Down, expr: up == 0, for: 1m}, {alert: Never, expr: up > 1}]}]").unwrap();
    fs::write(&series, page(start_s)).unwrap();
    let (rules, series) = (rules.to_str().unwrap(), series.to_str().unwrap());
    let expect = [(11, 20)];
    let json = site.run(&["rule", "test", "--from-file", series, rules, "-o", "json"]).done();
    assert_eq!(firings(&json, start_s), expect);
    let ran = site.run(&["rule", "test", "--from-file", series, rules]);
    assert!(ran.stdout.contains("9m00s") && ran.stderr.contains("never: Never"), "{ran:?}");
    site.run(&["rule", "test", "--history", "http://127.0.0.1:1", rules]).failed(3, &["does not answer"]);
    site.run(&["rule", "test", "--history", "here", rules]).failed(2, &["no address of HTTP"]);

    let Some(promtool) = installed("PARAMEDIC_TEST_DEBIAN", "usr/bin/promtool") else { return };
    accepts(&promtool, &["tsdb", "create-blocks-from", "openmetrics", "series.om", "blocks"], &site.path(""));
    let port = free_port();
    fs::write(site.path("prometheus.yml"), "").unwrap();
    let _prometheus = Prometheus(
        Command::new(promtool.with_file_name("prometheus"))
            .arg(format!("--config.file={}", site.path("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", site.path("blocks").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--storage.tsdb.retention.time=100y", "--log.level=error"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let url = format!("http://127.0.0.1:{port}");
    let asked = ["rule", "test", "--history", &url, rules, "--since", "3h", "-o", "json"];
    let json = eventually("prometheus answers", || {
        Some(site.run(&asked)).filter(|ran| ran.code == Some(0)).map(|ran| ran.stdout)
    });
    assert_eq!(firings(&json, start_s), expect);
    let dumped = Command::new(&promtool).args(["tsdb", "dump"]).arg(site.path("blocks")).output().unwrap();
    fs::write(site.path("dump"), dumped.stdout).unwrap();
    let dump = site.path("dump");
    let json = site.run(&["rule", "test", "--from-file", dump.to_str().unwrap(), rules, "-o", "json"]).done();
    assert_eq!(firings(&json, start_s), expect);
}
