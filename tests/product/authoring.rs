//! Tests what authors of runbooks use: lint, effects, plan and new, from the command line.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::real::installed;
use crate::site::{Server, Site, original};

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../runbooks/server-down.md");

fn rows(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_new_runbook_is_clean_mended_and_explained() {
    let site = Site::new(&[]);
    let path = site.path("new.md");
    let file = path.to_str().unwrap();
    site.run(&["runbook", "new", file]).done();
    site.run(&["runbook", "new", file]).failed(2, &[file]);
    site.run(&["runbook", "lint", "--strict", file, SHIPPED]).done();

    let text = fs::read_to_string(&path).unwrap();
    let broken = text.replace("paramedic check \"$SERVER_NAME\"", "paramedic check $SERVER_NAME");
    assert_ne!(broken, text);
    fs::write(&path, &broken).unwrap();
    let found = site.run(&["runbook", "lint", "-o", "json", file]);
    assert_eq!(found.code, Some(1));
    let found = rows(&found.stdout);
    assert_eq!(
        (found.len(), found[0]["code"].as_str(), found[0]["file"].as_str()),
        (1, Some("RB003"), Some(file))
    );
    site.run(&["runbook", "lint", "--fix", file]).done();
    assert_eq!(fs::read_to_string(&path).unwrap(), text);

    assert!(site.run(&["runbook", "lint", "--explain", "rb003"]).done().contains("To silence it"));
    site.run(&["runbook", "lint", "--explain", "RB999"]).failed(2, &["`RB999` is no rule"]);
}

#[test]
fn bad_input_is_named() {
    let site = Site::new(&[]);
    let path = |name: &str| site.path(name).to_str().unwrap().to_owned();
    site.run(&["runbook", "lint", &path("none.md")]).failed(2, &["none.md"]);
    fs::write(site.path("rules.toml"), "[level]\nRB999 = \"off\"\n").unwrap();
    site.run(&["runbook", "lint", "--rules", &path("rules.toml"), SHIPPED])
        .failed(2, &["rules.toml", "`RB999`"]);
    fs::write(site.path("table.toml"), "[x]\neffect = \"gentle\"\n").unwrap();
    site.run(&["runbook", "effects", "--table", &path("table.toml"), SHIPPED])
        .failed(2, &["table.toml", "`gentle`"]);
    // Larger than anything that is read, without being on the disk.
    fs::File::create(site.path("huge.md")).unwrap().set_len(100 * 1024 * 1024).unwrap();
    site.run(&["runbook", "lint", &path("huge.md")]).failed(2, &["huge.md", "more than"]);
    fs::write(site.path("binary.md"), [0_u8, 159, 146, 150].repeat(1000)).unwrap();
    let binary = site.run(&["runbook", "lint", &path("binary.md")]);
    assert!(binary.code == Some(1) && binary.stdout.contains("binary.md:1:1: warning[RB000]"), "{binary:?}");
    fs::write(site.path("lists.md"), "- ".repeat(1_000_000)).unwrap();
    assert!(site.run(&["runbook", "lint", &path("lists.md")]).code.is_some_and(|code| code < 2));
}

#[test]
fn effects_and_plans_are_told_and_nothing_is_run() {
    let site = Site::new(&[Server::notes("notes")]);
    let script = site.path("script.sh");
    let marker = site.path("marker");
    fs::write(&script, format!("uptime\ntouch {}\nsystemctl restart x\nrm -rf y\nfoo\n", marker.display()))
        .unwrap();
    let found = rows(&site.run(&["runbook", "effects", "-o", "json", script.to_str().unwrap()]).done());
    let effects: Vec<_> = found.iter().map(|row| row["effect"].as_str().unwrap()).collect();
    assert_eq!(effects, ["observe", "change", "disrupt", "destroy", "unknown"]);
    assert!(found.iter().all(|row| row["statement"].is_string() && row["reason"].is_string()));
    assert!(!marker.exists());

    let plan = ["runbook", "plan", SHIPPED, "--procedure", "MCPServerDown", "-o", "json"];
    let of = |more: &[&str]| rows(&site.run(&[plan.as_slice(), more].concat()).done());
    let restart = |phases: &[Value]| phases[2]["steps"][0]["units"][0].clone();
    let here = restart(&of(&["--server", "notes"]));
    assert_eq!(
        (here["effect"].as_str(), here["parameters"]["SERVER_NAME"].as_str()),
        (Some("disrupt"), Some("notes"))
    );
    assert_eq!(here["decision"], "runs by itself");
    assert_eq!(here["timeout_s"], 90);
    let nowhere = restart(&of(&[]));
    assert_eq!(nowhere["decision"], "asks: it needs SERVER_NAME");
    site.run(&[plan.as_slice(), &["--server", "none"]].concat()).failed(2, &["`none` is no server", "notes"]);
}

/// Runs a tool of Prometheus in a folder.
#[track_caller]
pub(crate) fn accepts(tool: &Path, arguments: &[&str], folder: &Path) {
    let output = Command::new(tool).args(arguments).current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
}

#[test]
fn exported_alerts_are_taken_and_fire_when_they_should() {
    let site = Site::new(&[]);
    let shipped = Path::new(SHIPPED).parent().unwrap();
    let mut books: Vec<String> = fs::read_dir(shipped)
        .unwrap()
        .map(|entry| entry.unwrap().path().to_str().unwrap().to_owned())
        .collect();
    books.sort();
    let books: Vec<&str> = books.iter().map(String::as_str).collect();
    let export = |more: &[&str]| site.run(&[&["rule", "export"], more, &books].concat()).done();
    let rules = export(&["--runbook-url", "https://runbooks.test"]);
    let routes = export(&["--format", "alertmanager", "--receiver", "on-call"]);
    assert_eq!(rules.matches("- alert:").count(), 6);
    assert!(rules.contains("keep_firing_for:") && rules.contains("severity: \"critical\""));
    assert_eq!(routes.matches("source_matchers:").count(), 5);
    site.run(&["rule", "export", SHIPPED, SHIPPED]).failed(2, &["alert `MCPServerDown` stands twice"]);

    let folder = site.path("exported");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("rules.yml"), rules).unwrap();
    fs::write(folder.join("alertmanager.yml"), routes).unwrap();
    let tests = folder.join("alerts.test.yml");
    fs::write(&tests, include_str!("alerts.test.yml")).unwrap();
    site.run(&["rule", "check", "--strict", folder.join("rules.yml").to_str().unwrap()]).done();
    site.run(&["rule", "test", tests.to_str().unwrap()]).done();
    let Some(promtool) = installed("PARAMEDIC_TEST_DEBIAN", "usr/bin/promtool") else { return };
    let amtool = promtool.with_file_name("amtool");
    accepts(&promtool, &["check", "rules", "rules.yml"], &folder);
    accepts(&promtool, &["test", "rules", "alerts.test.yml"], &folder);
    accepts(&amtool, &["check-config", "alertmanager.yml"], &folder);
}

#[test]
fn what_would_be_refused_in_the_original_is_named_with_its_fix() {
    let Some(original) = original() else { return };
    let site = Site::new(&[]);
    let plan = rows(&site.run(&["runbook", "plan", original.to_str().unwrap(), "-o", "json"]).done());
    let units: Vec<Value> = plan
        .iter()
        .flat_map(|phase| phase["steps"].as_array().unwrap())
        .flat_map(|step| step["units"].as_array().unwrap().clone())
        .collect();
    assert!(units.len() > 140, "{}", units.len());
    for (line, code) in [(92, "RB030"), (190, "RB033"), (232, "RB040"), (380, "RB030"), (796, "RB030")] {
        let unit = units.iter().rev().find(|unit| unit["line"].as_u64() <= Some(line)).unwrap();
        let findings = unit["refusals"].as_array().unwrap();
        let named =
            findings.iter().any(|one| one["code"] == code && !one["fix"].as_str().unwrap().is_empty());
        assert!(named, "{line}: {findings:?}");
    }
}
