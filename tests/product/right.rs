//! Tests what has to be right every time: wrappers that leave somebody behind, names and ports that begin alike, a proxy
//! that nobody may be sent through, and servers that IPv6 alone reaches.

use std::fs;
use std::process::Stdio;

use process::{ProcessId, Signal};
use serde_json::json;
use server::api::wire::{ServerStatus, Summary};

use crate::client::Question;
use crate::foreign::Foreign;
use crate::machine::{Machine, within};
use crate::poll::{DEADLINE, eventually};
use crate::processes;
use crate::site::{EXE, Server, Setup, Site, free_port};
use crate::two_units::install_program;

/// What the process that a wrapper leaves behind holds in memory.
const HELD_BYTES: u64 = 50_000_000;

/// The value of a series of a page.
#[track_caller]
fn value(page: &str, series: &str) -> f64 {
    let line =
        page.lines().find(|line| line.starts_with(series)).unwrap_or_else(|| panic!("{series}: {page}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[test]
fn a_wrapper_that_leaves_a_grandchild_behind() {
    // The one behind has a session of its own, and a parent that is gone.
    let behind = format!("held=$(head -c {HELD_BYTES} /dev/zero | tr '\\0' x); while :; do sleep 9931; done");
    let script = format!("(setsid bash -c \"$0\" &); {EXE} demo-server notes; true");
    let mut site = Site::new(&[Server::new("wrapped", &["sh", "-c", &script, &behind])]);
    site.serve_until_ready(&["wrapped"]);
    let family = || -> Vec<processes::Found> {
        let all = site.processes().into_iter();
        let roles = [" serve ", " guard --name ", " lifeline ", " runner "];
        all.filter(|one| !roles.iter().any(|role| one.command.contains(role))).collect()
    };
    let rss = "mcp_server_memory_usage_bytes{server_name=\"wrapped\",memory_type=\"rss\"}";
    let page = || site.run(&["metrics", "wrapped", "-o", "prometheus"]).done();
    let counts =
        |at_least: f64| eventually("its memory counts", || (value(&page(), rss) > at_least).then_some(()));
    counts(HELD_BYTES as f64);
    // And so it does in the responder's own series, which stands in the place of the guard's.
    eventually("`serve` counts it too", || {
        let page = site.metrics();
        page.contains(rss).then(|| value(&page, rss)).filter(|bytes| *bytes > HELD_BYTES as f64)
    });
    let first = family();
    assert!(first.iter().any(|one| one.command.contains("held=")), "{first:#?}");

    // The server alone is killed: with the wrapper goes what it had left, and the next one has its own.
    let server = first
        .iter()
        .find(|one| one.command.starts_with(EXE) && one.command.ends_with("demo-server notes "))
        .unwrap();
    processes::signal(server.id.pid, Signal::KILL);
    let story = site.resolved("wrapped");
    assert_eq!(story.restarts(), 1);
    eventually("the first family is gone", || first.iter().all(|one| !one.id.is_alive()).then_some(()));
    counts(HELD_BYTES as f64);
    let second = family();
    site.run(&["server", "stop", "wrapped"]).done();
    eventually("the second family is gone", || second.iter().all(|one| !one.id.is_alive()).then_some(()));
    assert_eq!(value(&page(), rss), 0.0);
}

/// Two servers whose names, and whose ports, begin alike, in a network of their own.
#[test]
fn ports_80_and_8080_and_names_with_one_prefix() {
    let Some(machine) = Machine::boot() else { return };
    install_program(&machine);
    let server = |name: &str, port: u16| {
        format!(
            "[[server]]\nname = \"{name}\"\nport = {port}\nstdio = [\"/usr/bin/paramedic\", \"demo-server\", \"notes\"]\n"
        )
    };
    let servers =
        [("mem", 80), ("mem-2", 8080), ("mem2", 8081)].map(|(name, port)| server(name, port)).concat();
    let config = format!(
        "data_dir = \"/root/data\"\n[probe]\ninterval = \"250ms\"\n[metrics]\nevaluation_interval = \"250ms\"\n\
         [verify]\ninterval = \"250ms\"\nperiod = \"500ms\"\n[alerts.MCPServerDown]\nkeep_firing_for = \"500ms\"\n{servers}"
    );
    machine.write("/etc/paramedic/paramedic.toml", &config);
    let log = fs::File::create(machine.path("/var/log/serve.log")).unwrap();
    let mut serve = machine.command(&["/usr/bin/paramedic", "serve"]);
    let _serve = Foreign(serve.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    let status = |name: &str, is: &dyn Fn(&ServerStatus) -> bool| {
        let found = within(DEADLINE, || {
            let argv = ["/usr/bin/paramedic", "server", "status", name, "-o", "json"];
            let output = machine.command(&argv).stderr(Stdio::null()).output().unwrap();
            serde_json::from_slice::<ServerStatus>(&output.stdout).ok().filter(|status| is(status))
        });
        found.unwrap_or_else(|| {
            panic!("{name}: {}", fs::read_to_string(machine.path("/var/log/serve.log")).unwrap())
        })
    };
    let healthy = |one: &ServerStatus| one.phase == "ready" && one.health == "healthy";
    let before = ["mem", "mem-2", "mem2"].map(|name| status(name, &healthy));
    for (one, port) in before.iter().zip([80, 8080, 8081]) {
        assert_eq!(one.endpoint, format!("http://127.0.0.1:{port}/mcp"));
    }
    // Each is found where it is.
    let init = ["/usr/bin/paramedic", "init", "-o", "json", "--config", "/root/found.toml"];
    let found = machine.run(&init);
    for port in [80, 8080, 8081] {
        assert_eq!(found.matches(&format!("\"http://127.0.0.1:{port}/mcp\"")).count(), 1, "{found}");
    }

    machine.run(&["kill", "-KILL", &before[0].pid.unwrap().to_string()]);
    status("mem", &|one| healthy(one) && one.starts == Some(2));
    machine.run(&["/usr/bin/paramedic", "server", "restart", "mem-2"]);
    let after = ["mem", "mem-2", "mem2"].map(|name| status(name, &healthy));
    assert_eq!(after.each_ref().map(|one| one.starts), [Some(2), Some(2), Some(1)]);
    assert_eq!(after[2].pid, before[2].pid, "nobody has touched it");
    let incidents = machine.run(&["/usr/bin/paramedic", "incident", "list", "--all", "-o", "json"]);
    let incidents: Vec<Summary> = serde_json::from_str(&incidents).unwrap();
    assert_eq!(incidents.iter().map(|one| one.server.as_str()).collect::<Vec<_>>(), ["mem"]);
}

/// With these proxies in the environment, everything here is asked directly: an upstream and a dependency over IPv6, and
/// guards that listen there alone.
#[track_caller]
fn without_a_detour(proxy: &str) {
    let six = free_port();
    let six_server = format!(
        "[[server]]\nname = \"six\"\nport = {six}\nupstream = \"http://[::1]:{six}/mcp\"\n[[server.dependency]]\n\
         name = \"health\"\nhttp = \"http://[::1]:{six}/health\"\n[[server.dependency]]\nname = \"port\"\ntcp = \"[::1]:{six}\"\n"
    );
    let servers = [Server::notes("notes").with(&six_server)];
    let mut site =
        Site::of(&Setup { keys: "guard_address = \"::1\"", servers: &servers, ..Setup::default() });
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        site.set(name, proxy);
    }
    let _six = Foreign::start(&site, "six", "notes", &format!("[::1]:{six}"));
    site.serve_until_ready(&["notes"]);
    for name in ["notes", "six"] {
        let status = site.until(name, "healthy", |status| status.health == "healthy");
        assert!(status.endpoint.starts_with("http://[::1]:"), "{status:?}");
        let shown = site.run(&["check", name, "--type", "all"]).done();
        assert!(!shown.contains("unhealthy"), "{shown}");
    }
    let note = Question { tool: "add_note", arguments: json!({"text": "x"}), right: "1" };
    note.ask_until_right(&format!("http://[::1]:{}/mcp", site.port("notes")));
    // The way of orders and of a procedure is a local socket, and the child's environment is the person's.
    let pid = site.kill("notes");
    assert_eq!(site.resolved("notes").restarts(), 1);
    let status = site.ready("notes");
    assert_ne!(status.pid, Some(pid));
    let environment = fs::read(format!("/proc/{}/environ", status.pid.unwrap())).unwrap();
    let given = format!("HTTP_PROXY={proxy}");
    assert!(
        environment.split(|byte| *byte == 0).any(|one| one == given.as_bytes()),
        "the proxy is for the server"
    );
    assert!(site.incidents().iter().all(|one| one.server == "notes"), "{:?}", site.incidents());
    let alive = ProcessId::of(status.pid.unwrap()).is_some_and(|id| id.is_alive());
    assert!(alive);
}

#[test]
fn a_proxy_that_is_nothing() {
    without_a_detour("");
}

#[test]
fn a_proxy_that_is_dead() {
    // Nobody listens at port 1.
    without_a_detour("http://127.0.0.1:1");
}
