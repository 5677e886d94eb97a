//! Tests that a server in a unit is contained under a real systemd by `serve`'s ordinary user: by the service that does it
//! for others, for the servers that root has listed, and of them only what is their own.

use std::fs;

use helper::{Request, Setting, Topic};

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
    site.paramedic(&["security", "baseline", "mem"]).done();
    let planted = || {
        let ran = site.paramedic(&["security", "check", "mem", "-o", "json"]);
        let signs: serde_json::Value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        let of_files = signs.as_array().unwrap().iter().filter(|sign| sign["source"] == "files");
        of_files.map(|sign| sign["what"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(planted(), [""; 0]);
    let hardened = site.paramedic(&["security", "harden", "mem", "--restart"]);
    assert_eq!(hardened.code, Some(0), "{hardened:?}\n{}", site.log("mcp-server-mem"));
    let hardened = hardened.done();
    assert!(hardened.contains("+ProtectSystem=strict") && hardened.contains("restart done"), "{hardened}");
    site.ready("mem");
    assert_eq!((property("ProtectHome").as_str(), property("NoNewPrivileges").as_str()), ("tmpfs", "yes"));
    assert!(site.paramedic(&["security", "harden", "mem"]).done().contains("nothing to do"));
    assert!(property("IPAddressDeny").contains("0.0.0.0/0"), "{}", property("IPAddressDeny"));
    // That is known, and a unit that somebody plants is not.
    assert_eq!(planted(), [""; 0]);
    let evil = "/etc/systemd/system/evil.service";
    site.machine.write(evil, "[Service]\nExecStart=/tmp/x\n");
    let drop_in = "/run/systemd/system/mcp-server-mem.service.d/99-own.conf";
    site.machine.write(drop_in, "[Service]\nExecStartPre=-/tmp/x\n");
    assert_eq!(planted(), [format!("`{evil}` was put there"), format!("`{drop_in}` was put there")]);
    site.machine.run(&["rm", evil, drop_in]);
    site.paramedic(&["security", "harden", "mem", "--undo", "--restart"]).done();
    site.ready("mem");
    assert_eq!(property("IPAddressDeny"), "");
    assert_eq!(property("ProtectHome"), "read-only");
    assert!(
        !site.machine.path("/run/systemd/system/mcp-server-mem.service.d/50-paramedic-sandbox.conf").exists()
    );
    let told = site.paramedic(&["security", "harden", "nobody"]);
    told.failed(2, &["no server of the configuration"]);
}

/// A unit of somebody else, whose file says nothing of what its server may do.
fn open_unit(server: &str) -> String {
    let template = crate::two_units::plain_unit(server);
    let (before, rest) = template.split_once("# What a server has no business with.").unwrap();
    format!("{before}{}", &rest[rest.find("[Install]").unwrap()..])
}

/// A machine whose two servers live in such units: one writes where its unit has it, the other where nobody has declared it.
fn open_site() -> Option<Site> {
    let site = Site::of(CONFIG)?;
    for (name, port, place) in [("mem", 7801, "/var/lib/mcp-servers/mem"), ("mem-2", 7802, "/srv/own")] {
        let script = format!(
            "#!/bin/sh\necho started >>{place}/starts || exit 3\nexec /usr/bin/paramedic demo-server notes\n"
        );
        site.machine.write(&format!("/usr/local/bin/{name}-server"), &script);
        site.machine.run(&["chmod", "755", &format!("/usr/local/bin/{name}-server")]);
        let settings = format!("LISTEN=127.0.0.1:{port}\nCOMMAND=/usr/local/bin/{name}-server\n");
        site.machine.write(&format!("/etc/paramedic/servers/{name}.env"), &settings);
    }
    site.machine.run(&["install", "-d", "-o", "paramedic", "/srv/own"]);
    let instance = open_unit("mem-2");
    site.machine
        .install(&[("mcp-server-mem.service", &open_unit("mem")), ("mcp-server@mem-2.service", &instance)]);
    site.machine.run(&["systemctl", "restart", "mcp-server-mem", "mcp-server@mem-2"]);
    site.ready("mem");
    site.ready("mem-2");
    Some(site)
}

fn property(site: &Site, name: &str, unit: &str) -> String {
    site.machine.run(&["systemctl", "show", "-P", name, unit]).trim().to_owned()
}

#[test]
fn a_unit_that_declares_nothing_is_shut_off_and_one_that_cannot_live_so_is_put_back() {
    let Some(site) = open_site() else { return };
    let starts = |path: &str| fs::read_to_string(site.machine.path(path)).unwrap_or_default().lines().count();
    let before = starts("/var/lib/mcp-servers/mem/starts");

    let hardened = site.paramedic(&["security", "harden", "mem", "--restart", "--allow", "192.0.2.9"]);
    assert!(
        hardened.stderr.contains("it talks with this machine and 192.0.2.9, and nobody else"),
        "{hardened:?}"
    );
    hardened.done();
    site.ready("mem");
    assert_eq!(starts("/var/lib/mcp-servers/mem/starts"), before + 1, "what its unit declares it writes");
    assert_eq!(property(&site, "ProtectSystem", "mcp-server-mem"), "strict");
    let allowed = property(&site, "IPAddressAllow", "mcp-server-mem");
    for address in ["127.0.0.0/8", "::1/128", "192.0.2.9/32"] {
        assert!(allowed.contains(address), "{allowed}");
    }
    let denied = property(&site, "SystemCallFilter", "mcp-server-mem");
    for call in ["mount", "reboot", "init_module", "swapon", "ptrace", "clock_settime"] {
        assert!(
            denied.starts_with('~')
                && denied.split(['~', ' ']).any(|one| one.split(':').next() == Some(call)),
            "{call}: {denied}"
        );
    }
    let families = property(&site, "RestrictAddressFamilies", "mcp-server-mem");
    assert!(families.starts_with('~') && families.contains("AF_PACKET"), "{families}");
    // The kernel holds it to that: the processes have filters, and get no such socket.
    let script = "for pid in $(pgrep -f mem-server; pgrep -f 'demo-server notes'); do grep -h Seccomp: /proc/$pid/status; done";
    assert!(site.machine.run(&["sh", "-c", script]).contains("Seccomp:\t2"));
    if fs::exists(site.machine.path("/sys/fs/cgroup/cgroup.controllers")).unwrap() {
        assert!(!site.log("mcp-server-mem").contains("does not support"), "{}", site.log("mcp-server-mem"));
    }

    let told = site.paramedic(&["security", "harden", "mem-2", "--restart"]);
    told.failed(1, &["`mem-2` is not ready so", "all of it was taken back", "it is ready again"]);
    site.ready("mem-2");
    assert_eq!(property(&site, "ProtectSystem", "mcp-server@mem-2"), "no");
    assert!(
        !site
            .machine
            .path("/run/systemd/system/mcp-server@mem-2.service.d/50-paramedic-sandbox.conf")
            .exists()
    );
}

#[test]
fn what_a_unit_says_of_its_network_is_not_added_to() {
    let Some(site) = open_site() else { return };
    // What a unit's own file says of its network is not added to.
    let narrow =
        open_unit("mem").replace("[Service]\n", "[Service]\nIPAddressDeny=any\nIPAddressAllow=localhost\n");
    site.machine.install(&[("mcp-server-mem.service", &narrow)]);
    // Whoever goes round the command gets no more from the helper.
    let allow = Setting::AllowNetwork(vec!["198.51.100.0/24".parse().unwrap()]);
    for (settings, why) in [
        (vec![Setting::DenyNetwork, allow.clone()], "says in its own file with whom it talks"),
        (vec![allow], "only allowed where all others are denied"),
    ] {
        let (unit, topic) = ("mcp-server-mem.service".to_owned(), Topic::Sandbox);
        let request = Request::WriteDropIn { unit, topic, settings, over: None };
        let answer = site.send("paramedic", request.to_line().as_bytes());
        assert!(answer.contains("refused") && answer.contains(why), "{answer}");
    }
    let told = site.paramedic(&["security", "harden", "mem", "--allow", "198.51.100.0/24"]);
    assert!(told.stderr.contains("the file of its unit says already"), "{told:?}");
    told.done();
    let allowed = property(&site, "IPAddressAllow", "mcp-server-mem");
    assert!(!allowed.contains("198.51.100.0"), "{allowed}");
}

#[test]
fn a_tighter_unit_and_its_tuning_are_taken_back_by_one_command() {
    let config = format!("runbooks = [\"/etc/paramedic/tune.md\"]\n{CONFIG}");
    let Some(site) = Site::of(&config) else { return };
    let file = |topic: &str| {
        site.machine.path(&format!("/run/systemd/system/mcp-server-mem.service.d/50-paramedic-{topic}.conf"))
    };
    let open = ["incident", "open", "--server", "mem", "--procedure", "TooMuchMemory", "--reason", "a drill"];
    let id = site.paramedic(&open).done().trim().to_owned();
    site.paramedic(&["security", "harden", "mem"]).done();
    // The procedure of the incident tunes it.
    let tuned = within(DEADLINE, || fs::exists(file("tuning")).unwrap().then_some(()));
    assert!(tuned.is_some() && fs::exists(file("sandbox")).unwrap(), "{}", site.log("paramedic"));
    let told = within(DEADLINE, || {
        let told = site.paramedic(&["incident", "undo", &id, "--all"]);
        // The unit that tunes has to have ended.
        told.stdout.contains("tuning of server `mem`").then_some(told)
    });
    let told = told.expect("the change of the runbook is written down").done();
    assert!(!told.contains("NOT taken back"), "{told}");
    assert!(!fs::exists(file("sandbox")).unwrap() && !fs::exists(file("tuning")).unwrap(), "{told}");
    let again = site.paramedic(&["incident", "undo", &id, "--all"]).done();
    assert!(again.contains("nothing to take back"), "{again}");
}
