//! Tests that a server in a unit is contained under a real systemd by `serve`'s ordinary user: by the service that does it
//! for others, for the servers that root has listed, and of them only what is their own.

use std::fs;

use crate::helper::{LIST, Site};
use crate::machine::within;
use crate::poll::DEADLINE;
use crate::two_units::CONFIG;

/// Has the machine's control groups of version 2 writable, as they are where nobody has put it into a container.
fn writable(site: &Site) {
    let script = "for one in /sys/fs/cgroup /sys/fs/cgroup/unified; do \
         [ ! -e $one/cgroup.controllers ] || mount -o remount,bind,rw $one; done";
    site.machine.run(&["sh", "-c", script]);
}

/// The control group of version 2 of the process behind the guard of a unit.
fn group(site: &Site, unit: &str) -> String {
    let script = "for pid in $(pgrep -f '^/usr/bin/paramedic demo-server'); do cat /proc/$pid/cgroup; done";
    let text = site.machine.run(&["sh", "-c", script]);
    let mut groups = text.lines().filter_map(|line| line.strip_prefix("0::"));
    let found = groups.find(|group| group.split('/').any(|part| part == unit));
    found.unwrap_or_else(|| panic!("nothing is in `{unit}`: {text}")).to_owned()
}

#[test]
fn a_unit_is_contained_by_whoever_is_not_root() {
    let config = format!("controls_dir = \"/var/lib/paramedic-controls\"\n{CONFIG}");
    let Some(site) = Site::of(&config) else { return };
    writable(&site);
    let contain = |server: &str, words: &[&str]| {
        site.paramedic(&[&["security", "contain", server, "--without-evidence"], words].concat())
    };
    // Nobody does it for others yet: the guard's part holds, and that is said.
    let told = contain("mem", &[]);
    told.failed(4, &["paramedic-contain.socket", "only the guard of `mem` does its part"]);
    site.paramedic(&["security", "release", "mem"]).done();
    site.machine.run(&["systemctl", "start", "paramedic-contain.socket"]);
    contain("mem", &["--isolate"]).failed(4, &["`mem` is not on the list"]);

    let list = LIST
        .replace("contain = []", "contain = [\"mem\"]")
        .replace("responders = []", "responders = [\"198.51.100.0/24\"]");
    site.machine.write("/etc/paramedic/helper.toml", &list);
    contain("mem-2", &["--isolate"]).failed(4, &["`mem-2` is not on the list"]);
    contain("mem", &["--address", "198.51.100.7"]).failed(4, &["people who respond"]);
    let before = group(&site, "mcp-server-mem.service");
    assert!(before.contains("mcp-server-mem.service"), "{before}");
    let told = contain("mem", &["--isolate", "--freeze", "--address", "203.0.113.7", "--confirmed"]);
    assert_eq!(told.code, Some(0), "{told:?}\n{}", site.log("paramedic-contain"));
    let inside = group(&site, "mcp-server-mem.service");
    assert_eq!(inside, format!("{before}/paramedic-contained-mem"), "below its unit");
    let frozen = || {
        let script = format!(
            "cat /sys/fs/cgroup{inside}/cgroup.events /sys/fs/cgroup/unified{inside}/cgroup.events 2>/dev/null; true"
        );
        site.machine.run(&["sh", "-c", &script]).contains("frozen 1")
    };
    assert!(frozen());
    if site.machine.try_run(&["nft", "--version"]).is_ok_and(|output| output.status.success()) {
        let rules = site.machine.run(&["nft", "list", "ruleset"]);
        for words in ["203.0.113.7", "198.51.100.0/24", "7801", "paramedic-contained-mem"] {
            assert!(rules.contains(words), "{words}: {rules}");
        }
    }
    assert!(site.log("paramedic-contain").contains("contain mem: "), "{}", site.log("paramedic-contain"));
    assert!(!group(&site, "mcp-server@mem-2.service").contains("contained"), "the other one was not touched");

    site.paramedic(&["security", "release", "mem"]).done();
    assert_eq!(group(&site, "mcp-server-mem.service"), before);
    site.ready("mem");
    // What nobody confirms is taken back by `serve`, which is not root either.
    contain("mem", &["--freeze", "--for", "1s"]).done();
    let file = site.machine.path("/var/lib/paramedic/contained/mem.json");
    assert!(
        within(DEADLINE, || (!fs::exists(&file).unwrap()).then_some(())).is_some(),
        "{}",
        site.log("paramedic")
    );
    assert_eq!(group(&site, "mcp-server-mem.service"), before);
    site.ready("mem");
}

#[test]
fn a_unit_is_shut_off_further_and_back() {
    let Some(site) = Site::of(CONFIG) else { return };
    let property =
        |name: &str| site.machine.run(&["systemctl", "show", "-P", name, "mcp-server-mem"]).trim().to_owned();
    assert_eq!(property("ProtectHome"), "read-only", "what its own file says");
    let hardened = site.paramedic(&["security", "harden", "mem", "--restart"]).done();
    assert!(hardened.contains("+ProtectSystem=strict") && hardened.contains("restart done"), "{hardened}");
    site.ready("mem");
    assert_eq!((property("ProtectHome").as_str(), property("NoNewPrivileges").as_str()), ("tmpfs", "yes"));
    assert!(site.paramedic(&["security", "harden", "mem"]).done().contains("nothing to do"));
    site.paramedic(&["security", "harden", "mem", "--undo", "--restart"]).done();
    site.ready("mem");
    assert_eq!(property("ProtectHome"), "read-only");
    assert!(
        !site.machine.path("/run/systemd/system/mcp-server-mem.service.d/50-paramedic-sandbox.conf").exists()
    );
    let told = site.paramedic(&["security", "harden", "nobody"]);
    told.failed(2, &["no server of the configuration"]);
}
