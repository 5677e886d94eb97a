//! Owns what tests need on a machine with systemd: the program, its user, and two servers in units of the shipped form.

use std::fs;

use crate::machine::Machine;
use crate::site::EXE;

/// The shipped unit of a server.
pub(crate) const TEMPLATE: &str = include_str!("../../deploy/systemd/mcp-server@.service");

/// The configuration of both: everything is faster than a person would have it.
pub(crate) const CONFIG: &str = r#"
data_dir = "/var/lib/paramedic"
run_dir = "/run/paramedic"
log_dir = "/var/log/mcp-servers"
[probe]
interval = "250ms"
[metrics]
scrape_interval = "1s"
evaluation_interval = "250ms"
[verify]
interval = "250ms"
period = "500ms"
timeout = "10s"
[policy]
mode_upstream = "auto"
cooldown = "0s"
[triage]
reopen_within = "0s"
[alerts.MCPServerDown]
for = "10s"
keep_firing_for = "500ms"
[[server]]
name = "mem"
port = 7801
unit = "mcp-server-mem.service"
[[server]]
name = "mem-2"
port = 7802
unit = "mcp-server@mem-2.service"
"#;

const USERS: &str = include_str!("../../deploy/sysusers/paramedic.conf");

/// Puts the program and its user there.
pub(crate) fn install_program(machine: &Machine) {
    fs::copy(EXE, machine.path("/usr/bin/paramedic")).unwrap();
    machine.write("/etc/sysusers.d/paramedic.conf", USERS);
    machine.run(&["systemd-sysusers", "paramedic.conf"]);
}

/// The shipped unit under the plain name of a server.
pub(crate) fn plain_unit(server: &str) -> String {
    TEMPLATE.replace("%i", server)
}

/// Puts the program there and starts two servers whose names share a prefix: `mem` in a unit of its plain name, `mem-2`
/// in an instance of the template.
pub(crate) fn install_servers(machine: &Machine) {
    install_program(machine);
    for (name, port) in [("mem", 7801), ("mem-2", 7802)] {
        let settings = format!("LISTEN=127.0.0.1:{port}\nCOMMAND=/usr/bin/paramedic demo-server notes\n");
        machine.write(&format!("/etc/paramedic/servers/{name}.env"), &settings);
    }
    machine.install(&[("mcp-server@.service", TEMPLATE), ("mcp-server-mem.service", &plain_unit("mem"))]);
    machine.run(&["systemctl", "start", "mcp-server-mem", "mcp-server@mem-2"]);
}
