//! Owns the test of the shipped unit of a server, with the real program under a real systemd.

use std::fs;
use std::process::Stdio;

use crate::machine::{Machine, within};
use crate::poll::DEADLINE;
use crate::two_units::{TEMPLATE, install_program};

/// What `GET /health` answers, asked from inside: the machine has a network of its own.
fn health(machine: &Machine) -> String {
    let script = "exec 3<>/dev/tcp/127.0.0.1/7801; printf 'GET /health HTTP/1.1\\r\\nHost: 127.0.0.1:7801\\r\\n\
         Connection: close\\r\\n\\r\\n' >&3; cat <&3";
    let output = machine.command(&["bash", "-c", script]).stderr(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn healthy(machine: &Machine) {
    let answer =
        within(DEADLINE, || Some(health(machine)).filter(|answer| answer.starts_with("HTTP/1.1 200")));
    let log = || machine.run(&["journalctl", "--no-pager", "-u", "mcp-server@notes"]);
    assert!(answer.is_some(), "{}\n{}", health(machine), log());
}

fn property(machine: &Machine, name: &str) -> String {
    machine.run(&["systemctl", "show", "-P", name, "mcp-server@notes"]).trim().to_owned()
}

#[test]
fn a_server_lives_in_the_shipped_unit() {
    let Some(machine) = Machine::boot() else { return };
    install_program(&machine);
    let settings = "LISTEN=127.0.0.1:7801\nCOMMAND=/usr/bin/paramedic \"demo-server\" notes\n";
    machine.write("/etc/paramedic/servers/notes.env", settings);
    machine.install(&[("mcp-server@.service", TEMPLATE)]);
    machine.run(&["systemctl", "start", "mcp-server@notes"]);
    healthy(&machine);
    let users = "ps -eo user:20,args | grep '[d]emo-server notes' | cut -d' ' -f1 | sort -u";
    assert_eq!(
        machine.run(&["sh", "-c", users]),
        "paramedic\n",
        "the guard and its server are those of one user"
    );
    let log = fs::read_to_string(machine.path("/var/log/mcp-servers/notes.log")).unwrap();
    assert!(log.lines().next().is_some_and(|line| line.contains("\"server\":\"notes\"")), "{log}");

    // The guard is killed: its server ends with it, and systemd brings both back.
    let first = property(&machine, "MainPID");
    machine.run(&["systemctl", "kill", "--kill-whom=main", "--signal=KILL", "mcp-server@notes"]);
    let restarted = within(DEADLINE, || (property(&machine, "NRestarts") == "1").then_some(()));
    assert!(restarted.is_some());
    healthy(&machine);
    assert_ne!(property(&machine, "MainPID"), first);
    assert_eq!(
        machine.run(&["sh", "-c", "pgrep -cf '[d]emo-server notes$' || :"]).trim(),
        "3",
        "guard, lifeline, server"
    );

    // A person's stop leaves nothing, and is a success.
    machine.run(&["systemctl", "stop", "mcp-server@notes"]);
    assert_eq!(
        (property(&machine, "ActiveState"), property(&machine, "Result")),
        ("inactive".into(), "success".into())
    );
    assert_eq!(machine.run(&["sh", "-c", "pgrep -cf '[d]emo-server notes$' || :"]).trim(), "0");

    // A configuration that is wrong does not get better by repetition.
    machine.write(
        "/etc/paramedic/servers/notes.env",
        "LISTEN=nowhere\nCOMMAND=/usr/bin/paramedic demo-server notes\n",
    );
    machine.run(&["systemctl", "start", "mcp-server@notes"]);
    let failed = within(DEADLINE, || (property(&machine, "ActiveState") == "failed").then_some(()));
    assert!(failed.is_some());
    assert_eq!(
        (property(&machine, "NRestarts"), property(&machine, "ExecMainStatus")),
        ("0".into(), "2".into())
    );
}
