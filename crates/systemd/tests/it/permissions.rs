//! Owns the tests of what a user who is not root may do: ask everything, and order nothing without the shipped rule.

use std::os::unix::fs::PermissionsExt;

use systemd::{CALL_TIMEOUT, Error, Systemd, Verb};
use tempfile::TempDir;

use crate::jobs::{LONG, name};
use crate::machine::Machine;

/// What is shipped for polkit, and for the user of it.
const RULES: &str = include_str!("../../../../deploy/polkit/50-paramedic.rules");
const USERS: &str = include_str!("../../../../deploy/sysusers/paramedic.conf");

const SLEEPS: &str = "[Service]\nExecStart=/bin/sleep 1000\n";

/// The units of this test that are those of servers.
const SERVERS: [&str; 3] = ["mcp-server-mem.service", "mcp-server-mem-2.service", "mcp-server@mem.service"];

/// Those that only look like it.
const OTHERS: [&str; 5] = [
    "other.service",
    "xmcp-server-mem.service",
    "mcp-server-.service",
    "mcp-server-a@b.service",
    "mcp-server-\\x2a.service",
];

/// A systemd as a user sees it. Its bus is reached through a program that runs as that user.
struct Seen {
    systemd: Systemd,
    _folder: TempDir,
}

fn seen_by(machine: &Machine, user: &str) -> Seen {
    let folder = tempfile::tempdir().unwrap();
    let bridge = folder.path().join("bridge");
    let entry = machine.entry().join(" ");
    let script = format!(
        "#!/bin/sh\nexec {entry} setpriv --reuid={user} --regid={user} --init-groups systemd-stdio-bridge\n"
    );
    std::fs::write(&bridge, script).unwrap();
    std::fs::set_permissions(&bridge, std::fs::Permissions::from_mode(0o755)).unwrap();
    let address = format!("unixexec:path={}", bridge.display());
    Seen { systemd: Systemd::new(&address, CALL_TIMEOUT), _folder: folder }
}

/// With all of these units, and the user; without the rule.
fn booted() -> Option<Machine> {
    let machine = Machine::boot()?;
    if !machine.path("/usr/lib/polkit-1/polkitd").exists() {
        println!("SKIPPED: polkit is not installed");
        return None;
    }
    machine.write("/etc/sysusers.d/paramedic.conf", USERS);
    machine.run(&["systemd-sysusers", "paramedic.conf"]);
    let units = SERVERS.iter().chain(&OTHERS).filter(|unit| !unit.contains('@'));
    let units: Vec<_> = units.map(|unit| (*unit, SLEEPS)).collect();
    machine.install(&units);
    machine.install(&[("mcp-server@.service", SLEEPS), ("mcp-server-a@.service", SLEEPS)]);
    machine.run(&["systemctl", "start", "polkit.service"]);
    Some(machine)
}

fn is_denied(error: &Error, action: &str) -> bool {
    matches!(error, Error::Denied { action: named, .. } if *named == action)
        && error.to_string().contains(action)
}

const MANAGE: &str = "org.freedesktop.systemd1.manage-units";

#[tokio::test]
async fn without_a_rule_everything_can_be_seen_and_nothing_done() {
    let Some(machine) = booted() else { return };
    let Seen { systemd, _folder } = seen_by(&machine, "paramedic");
    let mem = name(SERVERS[0]);
    assert!(systemd.unit(&mem).await.unwrap().is_down());
    systemd.reset_failed(&mem).await.unwrap();
    machine.run(&["systemctl", "start", mem.as_str()]);
    let error = systemd.order(&mem, Verb::Stop, LONG).await.unwrap_err();
    assert!(is_denied(&error, MANAGE), "{error}");
    let error = systemd.reset_failed(&mem).await.unwrap_err();
    assert!(is_denied(&error, MANAGE), "{error}");
    let error = systemd.reload(LONG).await.unwrap_err();
    assert!(is_denied(&error, "org.freedesktop.systemd1.reload-daemon"), "{error}");
    assert!(systemd.unit(&mem).await.unwrap().is_up());
}

#[tokio::test]
async fn the_shipped_rule_allows_one_user_four_verbs_on_servers() {
    let Some(machine) = booted() else { return };
    machine.write("/etc/polkit-1/rules.d/50-paramedic.rules", RULES);
    machine.run(&["systemctl", "restart", "polkit.service"]);
    let Seen { systemd, _folder } = seen_by(&machine, "paramedic");
    for unit in SERVERS.map(name) {
        for verb in [Verb::Start, Verb::Restart, Verb::Stop] {
            systemd.order(&unit, verb, LONG).await.unwrap();
        }
        systemd.order(&unit, Verb::Start, LONG).await.unwrap();
        systemd.reset_failed(&unit).await.unwrap();
        let error = systemd.order(&unit, Verb::TryRestart, LONG).await.unwrap_err();
        assert!(is_denied(&error, MANAGE), "{error}");
        assert!(systemd.unit(&unit).await.unwrap().is_up());
    }
    for unit in OTHERS.map(name) {
        let error = systemd.order(&unit, Verb::Start, LONG).await.unwrap_err();
        assert!(is_denied(&error, MANAGE), "{error}");
        assert!(systemd.unit(&unit).await.unwrap().is_down());
    }
    // The name of a server that somebody gave to something else does not help.
    machine.install(&[("other.service", &format!("{SLEEPS}[Install]\nAlias=mcp-server-alias.service\n"))]);
    machine.run(&["systemctl", "enable", "other.service"]);
    let error = systemd.order(&name("mcp-server-alias.service"), Verb::Start, LONG).await.unwrap_err();
    assert!(is_denied(&error, MANAGE), "{error}");
    let error = systemd.reload(LONG).await.unwrap_err();
    assert!(is_denied(&error, "org.freedesktop.systemd1.reload-daemon"), "{error}");

    let Seen { systemd, _folder } = seen_by(&machine, "messagebus");
    let error = systemd.order(&name(SERVERS[0]), Verb::Stop, LONG).await.unwrap_err();
    assert!(is_denied(&error, MANAGE), "{error}");
}
