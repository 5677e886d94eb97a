//! Tests the ten-minute tour: the README says what the script does, and the script reaches a true answer and a report.
//!
//! What `init` writes is made quicker here, and given places of its own, by a `paramedic` that stands before the real one
//! in the search path; with PARAMEDIC_TEST_ALL the tour on a machine with systemd is the one that a person takes.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use process::{ProcessId, Signal};
use serde_json::json;
use server::api::wire::Summary;

use crate::client::ask;
use crate::foreign::Foreign;
use crate::machine::{Machine, within};
use crate::poll::{DEADLINE, eventually};
use crate::processes;
use crate::site::{EXE, Site, clean, free_port};
use crate::two_units::install_servers;

const README: &str = include_str!("../../README.md");
const SCRIPT: &str = include_str!("../../docs/tour.sh");

/// Nobody waits for ten seconds here.
const QUICK: &str = "[probe]\ninterval = \"250ms\"\n[metrics]\nevaluation_interval = \"250ms\"\n\
     [verify]\ninterval = \"250ms\"\nperiod = \"500ms\"\n[alerts.MCPServerDown]\nfor = \"1s\"\nkeep_firing_for = \"5s\"\n";

/// The commands that the script tries, as a person types them.
fn tried() -> Vec<String> {
    let tried = SCRIPT.lines().filter_map(|line| line.strip_prefix("try "));
    tried
        .map(|word| match word.strip_prefix('\'') {
            Some(plain) => plain.trim_end_matches('\'').to_owned(),
            None => word.trim_matches('"').replace("\\$", "$"),
        })
        .collect()
}

#[test]
fn the_readme_has_the_commands_of_the_tour() {
    let section = README.split("\n## ").find(|section| section.starts_with("Start in ten minutes")).unwrap();
    let shown: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert_eq!(shown, tried());
    assert!(shown.len() > 5 && section.contains("docs/tour.sh PID"), "{section}");
}

/// A `paramedic` that changes what `init` has written, and otherwise is the real one.
fn in_front_of(real: &str, config: &str, head: &str, init_arguments: &str) -> String {
    format!(
        "#!/bin/sh\n[ \"$1\" = init ] || exec {real} \"$@\"\n{real} \"$@\" {init_arguments} || exit\n\
         {{ printf '%s' '{head}'; cat {config}; printf '%s' '{QUICK}'; }} >{config}.quick && cat {config}.quick >{config}\n"
    )
}

/// What every tour has to have told.
#[track_caller]
fn told(output: &str, killed: &str) {
    for command in tried() {
        assert!(output.contains(&format!("\n$ {command}\n")), "`{command}` is missing in\n{output}");
    }
    let timed = output.lines().filter(|line| line.starts_with("-- ")).count();
    assert_eq!(timed, tried().len() + 2, "{output}");
    for words in
        ["-- the first true answer after ", "-- all of it took ", "healthy", killed, "Recovery was verified"]
    {
        assert!(output.contains(words), "`{words}` is missing in\n{output}");
    }
}

#[test]
fn the_tour_where_systemd_restarts_the_servers() {
    let Some(machine) = Machine::boot() else { return };
    install_servers(&machine);
    machine.write("/root/tour.sh", SCRIPT);
    let real = "/usr/bin/paramedic";
    if std::env::var_os("PARAMEDIC_TEST_ALL").is_none() {
        machine.write("/quick/paramedic", &in_front_of(real, "/etc/paramedic/paramedic.toml", "", ""));
    }
    let listens = within(DEADLINE, || {
        let init = [real, "init", "--output-file", "-"];
        let found = machine.command(&init).output().unwrap().stdout;
        (String::from_utf8_lossy(&found).matches("\n[[server]]").count() == 2).then_some(())
    });
    assert!(listens.is_some());
    let servers = ["pgrep", "-f", "^/usr/bin/paramedic demo-server notes$"];
    let pid = machine.run(&servers).split_whitespace().next().unwrap().to_owned();
    let tour = format!("cd /root && PATH=/quick:$PATH bash tour.sh {pid} 2>&1");
    let output = machine.run(&["bash", "-c", &tour]);
    println!("{output}");
    told(&output, "was killed by SIGKILL. It was restarted once");
    let left = machine.try_run(&["pgrep", "-f", "paramedic serve"]).unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "", "`serve` ends with the tour");
}

/// A server of a person's own, which answers.
fn start(site: &Site, port: u16) -> Foreign {
    let server = Foreign::start(site, "notes", "notes", &format!("127.0.0.1:{port}"));
    let endpoint = format!("http://127.0.0.1:{port}/mcp");
    eventually("the server answers", || ask(&endpoint, "add_note", &json!({"text": "x"})).ok());
    server
}

fn executable(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_tour_where_a_person_restarts_the_server() {
    let site = Site::new(&[]);
    fs::remove_file(site.config()).unwrap();
    let port = free_port();
    let mut server = start(&site, port);
    let head = format!("data_dir = \"data\"\nlisten = \"127.0.0.1:{}\"\n", free_port());
    // Nobody else's listeners are asked by this test.
    let arguments = format!("--port {port}");
    let quick = in_front_of(EXE, site.config().to_str().unwrap(), &head, &arguments);
    executable(&site.path("quick/paramedic"), &quick);
    executable(&site.path("tour.sh"), SCRIPT);

    let output = File::create(site.path("tour.txt")).unwrap();
    let mut tour = Command::new("bash");
    tour.arg(site.path("tour.sh")).arg(server.0.id().to_string());
    tour.stdout(output.try_clone().unwrap()).stderr(output).current_dir(site.path(""));
    clean(&mut tour, &site.path(""));
    let path = std::env::var("PATH").unwrap_or_default();
    tour.env("PATH", format!("{}:{path}", site.path("quick").display()));
    tour.env("PARAMEDIC_CONFIG", site.config());
    let mut tour = tour.spawn().unwrap();
    let text = || fs::read_to_string(site.path("tour.txt")).unwrap();

    server.0.wait().unwrap();
    eventually("the incident", || {
        assert_eq!(tour.try_wait().unwrap(), None, "{}", text());
        site.get::<Vec<Summary>>("/api/v1/incidents").filter(|all| !all.is_empty())
    });
    let mut server = start(&site, port);
    let status = eventually("the end of the tour", || tour.try_wait().unwrap());
    assert!(status.success(), "{}", text());
    println!("{}", text());
    told(&text(), "connection refused");
    let id = ProcessId::of(i32::try_from(server.0.id()).unwrap()).unwrap();
    processes::signal(id.pid, Signal::KILL);
    server.0.wait().unwrap();
}
