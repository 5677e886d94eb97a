//! Tests of checks: plugins of Nagios as checks, `check` as a plugin of Nagios, and many servers at moments of their own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use crate::poll::eventually;
use crate::processes;
use crate::site::{Server, Setup, Site, run};

/// A site with a server that has these plugins, which are shell scripts.
fn site(plugins: &[(&str, &str)]) -> Site {
    let mut server = Server::notes("notes");
    for (name, _) in plugins {
        server = server.with(&format!(
            "[[server.dependency]]\nname = \"{name}\"\nnagios = [\"./{name}\", \"an argument\"]"
        ));
    }
    let servers = [server];
    let site = Site::of(&Setup { servers: &servers, ..Setup::default() });
    for (name, script) in plugins {
        let path = site.path(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    site
}

/// What `check` says of the dependencies: health and reason by name.
fn dependencies(site: &Site) -> Vec<(String, String, String)> {
    let said = site.run(&["check", "notes", "--type", "dependency", "-o", "json"]).stdout;
    let reports: Vec<serde_json::Value> = serde_json::from_str(&said).unwrap();
    let text = |one: &serde_json::Value, key: &str| one[key].as_str().unwrap().to_owned();
    let all = reports[0]["dependencies"].as_array().unwrap().iter();
    all.map(|one| (text(one, "name"), text(one, "health"), text(one, "reason"))).collect()
}

#[test]
fn plugins_are_checks_and_their_numbers_series() {
    let mut site = site(&[
        ("fine", "echo \"FINE OK - $1 | time=250ms;1;2;0 '/var log'=5%\""),
        ("warns", "echo 'WARNING: nearly full'; exit 1"),
    ]);
    let found = dependencies(&site);
    let expect =
        [("fine", "healthy", "FINE OK - an argument"), ("warns", "degraded", "WARNING: nearly full")];
    let found: Vec<_> = found.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
    assert_eq!(found, expect);
    site.serve_until_ready(&["notes"]);
    let one = |query: &str| {
        let found = site.run(&["query", query, "-o", "json"]);
        let rows: Vec<serde_json::Value> = serde_json::from_str(&found.stdout).ok()?;
        rows.first()?["value"][1].as_str()?.parse::<f64>().ok()
    };
    let value = |label: &str, unit: &str| {
        let labels =
            format!("dependency_name=\"fine\",label=\"{label}\",server_name=\"notes\",unit=\"{unit}\"");
        format!("paramedic_check_value{{{labels}}}")
    };
    eventually("a time is a series", || one(&value("time", "seconds")).filter(|value| *value == 0.25));
    eventually("a share too", || one(&value("/var log", "percent")).filter(|value| *value == 5.0));
    // What warns works, with less to offer.
    let up = "mcp_server_dependency_status{dependency_name=\"warns\"}";
    eventually("a warning is no failure", || one(up).filter(|value| *value == 1.0));
    let status = site.until("notes", "degraded", |status| status.health == "degraded");
    assert_eq!(status.reason, "dependency `warns`: WARNING: nearly full");
}

#[test]
fn plugins_that_fail_hang_and_never_stop_talking_are_ended() {
    let site = site(&[
        ("gone", "echo 'CRITICAL - gone'; exit 2"),
        ("unsure", "exit 3"),
        ("broken", "echo 'oh' >&2; exit 127"),
        ("hangs", "sleep 1000 & setsid sleep 1000 & sleep 1000"),
        ("talks", "yes 'a line | a=1'"),
    ]);
    let config = fs::read_to_string(site.config()).unwrap();
    site.write_config(&config.replace("timeout = \"5s\"", "timeout = \"1s\"").replacen(
        "nagios = [\"./gone\"",
        "critical = false\nnagios = [\"./gone\"",
        1,
    ));
    let found = dependencies(&site);
    let of = |name: &str| {
        let (_, health, reason) = found.iter().find(|(known, ..)| known == name).unwrap();
        (health.as_str(), reason.as_str())
    };
    assert_eq!(of("gone"), ("unhealthy", "CRITICAL - gone"));
    assert_eq!(of("unsure"), ("unknown", "the plugin says nothing"));
    assert_eq!(of("broken").0, "unknown");
    assert!(of("broken").1.contains("oh"), "{found:?}");
    assert_eq!(of("hangs"), ("unhealthy", "no answer within 1000 ms"));
    assert_eq!(of("talks"), ("unhealthy", "no answer within 1000 ms"));
    let left = || {
        let left = processes::of(site.config().parent().unwrap());
        left.iter()
            .all(|one| !one.command.contains("sleep 1000") && !one.command.contains("yes "))
            .then_some(())
    };
    eventually("nothing of them is left", left);
    site.write_config(&config.replacen("./gone", "./nowhere", 1));
    let found = dependencies(&site);
    assert!(found[0].1 == "unknown" && found[0].2.contains("can not be run"), "{found:?}");
}

#[test]
fn check_is_a_plugin_of_nagios() {
    let mut site = site(&[("warns", "echo 'WARNING: nearly full | free=3MB'; exit 1")]);
    let down = site.run(&["check", "-o", "nagios", "--type", "liveness"]);
    assert_eq!(down.code, Some(2), "{down:?}");
    assert!(down.stdout.starts_with("MCP CRITICAL - 0 of 1 well; notes liveness: "), "{down:?}");
    site.serve_until_ready(&["notes"]);
    let well = site.run(&["check", "-o", "nagios", "--type", "liveness"]);
    assert!(well.stdout.starts_with("MCP OK - 1 of 1 well | 'notes liveness'=0."), "{well:?}");
    assert_eq!(well.code, Some(0));
    let warns = site.run(&["check", "notes", "-o", "nagios"]);
    let start = "MCP WARNING - 0 of 1 well; notes readiness: dependency `warns`: WARNING: nearly full | 'notes readiness'=";
    assert!(warns.stdout.starts_with(start), "{warns:?}");
    assert!(warns.stdout.trim_end().ends_with(" 'notes warns free'=3145728B"), "{warns:?}");
    assert_eq!(warns.code, Some(1));
    let nobody = site.run(&["check", "nobody", "-o", "nagios"]);
    assert!(nobody.stdout.starts_with("MCP UNKNOWN - there is no server `nobody`"), "{nobody:?}");
    assert_eq!((nobody.code, nobody.stdout.lines().count()), (Some(3), 1));
    site.run(&["server", "list", "-o", "nagios"]).failed(2, &["`-o nagios` for `paramedic check`"]);

    let mut command = site.command(&["check", "--continuous", "--interval", "20ms", "-o", "jsonl"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let three: Vec<String> = lines.take(3).map(Result::unwrap).collect();
    let _ = child.kill();
    let _ = child.wait();
    assert!(three.iter().all(|line| line.contains("\"target\":\"notes\"")), "{three:?}");
}

/// A thousand servers that nobody runs: all are asked, not all at once, and each at its own moment from then on.
#[test]
fn a_thousand_servers_are_asked_in_their_turn() {
    let mut site = Site::of(&Setup { keys: "runbooks = [\"quiet.md\"]", ..Setup::default() });
    fs::write(site.path("quiet.md"), "## Quiet\n\n### Alert: Quiet\n\n**Severity**: Info\\\n**Alert Query**: `quiet == 1`\n\n### Response (0-5 minutes)\n\n1. **Look**\n\n   ```bash\n   true\n   ```\n").unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = listener.local_addr().unwrap().port();
    drop(listener);
    let mut config = fs::read_to_string(site.config()).unwrap();
    config = config.replace("interval = \"250ms\"\ntimeout", "interval = \"1s\"\nat_once = 16\ntimeout");
    for number in 0..1_000 {
        config.push_str(&format!(
            "[[server]]\nname = \"s{number}\"\nport = {}\nupstream = \"http://127.0.0.1:{closed}/mcp\"\n",
            32_000 + number
        ));
    }
    site.write_config(&config);
    site.serve();
    let count = || {
        let found = site.run(&["query", "count(mcp_server_up)", "-o", "json"]);
        let rows: Vec<serde_json::Value> = serde_json::from_str(&found.stdout).ok()?;
        rows.first()?["value"][1].as_str()?.parse::<f64>().ok()
    };
    eventually("all were asked", || count().filter(|count| *count == 1_000.0));
    // Spread over the interval: in no tenth of a second are more than a third of them.
    let spread = "max(count_values(\"at\", floor(timestamp(mcp_server_up) * 10)))";
    eventually("each has its own moment", || {
        let found = site.run(&["query", spread, "-o", "json"]);
        let rows: Vec<serde_json::Value> = serde_json::from_str(&found.stdout).ok()?;
        rows.first()?["value"][1].as_str()?.parse::<f64>().ok().filter(|most| *most < 334.0)
    });
    let mut command = site.command(&["check", "--type", "liveness", "-o", "nagios"]);
    command.stdout(Stdio::piped());
    let all = run(command);
    assert!(all.stdout.starts_with("MCP CRITICAL - 0 of 1000 well; "), "{}", &all.stdout[..200]);
    assert!(all.stdout.contains(", and 995 more | "), "{}", &all.stdout[..900]);
}
