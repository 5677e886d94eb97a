//! Owns the tests of drop-ins that a real systemd reads: limits that kill, hostile values, diff and undo to the byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use process::Ending;
use systemd::drop_in::{AddressFamily, Network, ProtectHome, ProtectSystem, RUNTIME_ROOT, Setting};
use systemd::watch::{Event, Told};
use systemd::{DropIn, Error, Limit, ServiceResult, UnitName, Verb};

use crate::jobs::{LONG, name, systemd};
use crate::machine::{Machine, within};

/// Takes a hundred megabytes, when there is a file that says so, and else waits.
const EATS: &str = "[Service]\nExecStart=/bin/sh -c 'until test -e /run/eat; do sleep 0.05; done; \
     exec dd if=/dev/zero of=/dev/null bs=100M count=1'\n";

const LIMIT: u64 = 20 << 20;

/// Where systemd of the machine reads what we write from outside.
fn root(machine: &Machine) -> PathBuf {
    machine.path(RUNTIME_ROOT)
}

fn drop_in(unit: &UnitName, topic: &str, settings: Vec<Setting>) -> DropIn {
    DropIn::new(unit.clone(), topic, settings).unwrap()
}

fn memory(unit: &UnitName) -> DropIn {
    drop_in(unit, "memory", vec![Setting::MemoryMax(Limit::Bytes(LIMIT))])
}

/// All of a folder, by name.
fn files(folder: &PathBuf) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let content = |entry: fs::DirEntry| fs::read_to_string(entry.path()).unwrap();
    entries.map(|entry| (entry.file_name().into_string().unwrap(), content(entry))).collect()
}

#[tokio::test]
async fn a_limit_of_memory_holds_at_once_and_kills_and_only_its_own_unit_has_it() {
    let Some(machine) = Machine::boot() else { return };
    machine.install(&[("mcp-server-mem.service", EATS), ("mcp-server-mem-2.service", EATS)]);
    let systemd = systemd(&machine);
    let (mem, mem2) = (name("mcp-server-mem.service"), name("mcp-server-mem-2.service"));
    for unit in [&mem, &mem2] {
        systemd.order(unit, Verb::Start, LONG).await.unwrap();
    }
    let before = systemd.unit(&mem).await.unwrap();
    assert_eq!(before.memory_max, Some(Limit::Unlimited));
    let change = memory(&mem).plan(&root(&machine)).unwrap().unwrap();
    let after = systemd.apply(&change, LONG).await.unwrap();
    assert_eq!(after.memory_max, Some(Limit::Bytes(LIMIT)));
    assert_eq!((after.main_pid, after.invocation), (before.main_pid, before.invocation), "it runs on");
    let inside = PathBuf::from(RUNTIME_ROOT).join("mcp-server-mem.service.d/50-paramedic-memory.conf");
    assert_eq!(after.drop_ins, [inside]);
    assert_eq!(after.needs_reload, Some(false));
    assert_eq!(systemd.unit(&mem2).await.unwrap().memory_max, Some(Limit::Unlimited));

    let mut watch = systemd.watch(vec![mem.clone(), mem2.clone()]).unwrap();
    let (mut seen, mut ends) = (0, BTreeMap::new());
    while ends.len() < 2 {
        let told = tokio::time::timeout(LONG, watch.next()).await.unwrap().unwrap();
        match told {
            Told::Of { event: Event::Seen(_), .. } => seen += 1,
            Told::Of { unit, event: Event::Exited(exit) } => drop(ends.insert(unit, exit.ending)),
            _ => continue,
        }
        // What ends before it was seen is no news.
        if seen == 2 && ends.is_empty() {
            machine.write("/run/eat", "");
        }
    }
    assert_eq!(ends[&mem], Some(Ending::Signaled(9)), "the kernel killed it");
    assert_eq!(ends[&mem2], Some(Ending::Exited(0)), "its neighbour had as much");
    let dead = systemd.unit(&mem).await.unwrap();
    // Control groups of version 2 count such kills, those of version 1 do not tell systemd.
    let is_v2 = machine.path("/sys/fs/cgroup/cgroup.controllers").exists();
    let expect = if is_v2 { ServiceResult::OomKill } else { ServiceResult::Signal };
    assert_eq!(dead.result, Some(expect));
    let after = systemd.apply(&change.reversed(), LONG).await.unwrap();
    assert_eq!((after.memory_max, after.drop_ins), (Some(Limit::Unlimited), Vec::new()));
}

#[tokio::test]
async fn an_undo_is_exact_and_an_edit_of_somebody_else_stays() {
    let Some(machine) = Machine::boot() else { return };
    machine.install(&[("mcp-server-mem.service", EATS)]);
    let systemd = systemd(&machine);
    let mem = name("mcp-server-mem.service");
    let folder = root(&machine).join("mcp-server-mem.service.d");
    // Somebody's own, under our name and beside it.
    let own = "# mine\n[Service]\nMemoryMax=1G\n\n";
    machine.write(&format!("{RUNTIME_ROOT}/mcp-server-mem.service.d/50-paramedic-memory.conf"), own);
    machine.write(&format!("{RUNTIME_ROOT}/mcp-server-mem.service.d/10-own.conf"), "[Service]\nNice=5\n");
    let before = files(&folder);
    let change = memory(&mem).plan(&root(&machine)).unwrap().unwrap();
    assert!(change.diff().contains("\n-MemoryMax=1G\n"), "{}", change.diff());
    assert!(change.diff().contains("\n+MemoryMax=20971520\n"), "{}", change.diff());
    let after = systemd.apply(&change, LONG).await.unwrap();
    assert_eq!(after.memory_max, Some(Limit::Bytes(LIMIT)));
    let after = systemd.apply(&change.reversed(), LONG).await.unwrap();
    assert_eq!(after.memory_max, Some(Limit::Bytes(1 << 30)));
    assert_eq!(files(&folder), before);

    systemd.apply(&change, LONG).await.unwrap();
    let edited = "[Service]\nMemoryMax=2G\n";
    machine.write(&format!("{RUNTIME_ROOT}/mcp-server-mem.service.d/50-paramedic-memory.conf"), edited);
    let error = systemd.apply(&change.reversed(), LONG).await.unwrap_err();
    assert!(matches!(error, Error::Moved { .. }), "{error}");
    assert_eq!(files(&folder)["50-paramedic-memory.conf"], edited);

    let nobody = memory(&name("mcp-server-nobody.service")).plan(&root(&machine)).unwrap().unwrap();
    let error = systemd.apply(&nobody, LONG).await.unwrap_err();
    assert!(matches!(error, Error::NoSuchUnit { .. }), "{error}");
    assert!(!root(&machine).join("mcp-server-nobody.service.d").exists());
}

#[tokio::test]
async fn hostile_values_reach_the_process_as_they_are() {
    let Some(machine) = Machine::boot() else { return };
    let text =
        "[Service]\nType=oneshot\nEnvironment=KEPT=yes OWN=old\nExecStart=/bin/sh -c 'env -0 > /run/seen'\n";
    machine.install(&[("mcp-server-mem.service", text)]);
    let systemd = systemd(&machine);
    let mem = name("mcp-server-mem.service");
    let values = [
        "",
        " ",
        "a b",
        "$HOME ${HOME} $$",
        "%h %n %%",
        "\"quoted\"",
        "'single'",
        "\\",
        "\\n",
        "tail\\",
        "`id`",
        "$(id)",
        "a;b&c|d",
        "x=y=z",
        "#not a comment",
        "[Unit]",
        "\n[Service]\nExecStart=/bin/false",
        "\ttab",
        "ö→😀",
        "\\x41\\101\\u0041",
        "*?",
        "~",
        "\\\"",
        "%",
        "\"",
        "line\\\nnext",
    ];
    let variables: BTreeMap<_, _> =
        values.iter().enumerate().map(|(idx, value)| (format!("V{idx}"), (*value).to_owned())).collect();
    let mut all = variables.clone();
    all.insert("OWN".to_owned(), "new".to_owned());
    let change =
        drop_in(&mem, "environment", vec![Setting::Environment(all)]).plan(&root(&machine)).unwrap().unwrap();
    systemd.apply(&change, LONG).await.unwrap();
    systemd.order(&mem, Verb::Start, LONG).await.unwrap();
    let seen = fs::read_to_string(machine.path("/run/seen")).unwrap();
    let seen: BTreeMap<_, _> = seen.split('\0').filter_map(|pair| pair.split_once('=')).collect();
    for (variable, value) in &variables {
        assert_eq!(seen.get(variable.as_str()), Some(&value.as_str()), "{variable}");
    }
    assert_eq!((seen["KEPT"], seen["OWN"]), ("yes", "new"));
}

#[tokio::test]
async fn a_sandbox_is_one() {
    let Some(machine) = Machine::boot() else { return };
    // What it may do, each as one line.
    let tries = "#!/bin/sh\nexec >/run/tries/seen 2>/dev/null\ntouch /etc/written && echo etc\ntouch /run/tries/own && echo own\n\
         touch /tmp/mine\nls /root/secret && echo root\ngrep -q 'NoNewPrivs:.1' /proc/self/status && echo nnp\nexit 0\n";
    machine.write("/usr/local/bin/tries", tries);
    machine.write("/root/secret", "");
    machine.write("/run/tries/.keep", "");
    machine
        .install(&[("mcp-server-mem.service", "[Service]\nType=oneshot\nExecStart=/usr/local/bin/tries\n")]);
    let systemd = systemd(&machine);
    let mem = name("mcp-server-mem.service");
    let seen = || fs::read_to_string(machine.path("/run/tries/seen")).unwrap();
    systemd.order(&mem, Verb::Start, LONG).await.unwrap();
    assert_eq!(seen(), "etc\nown\n/root/secret\nroot\n");
    let settings = vec![
        Setting::NoNewPrivileges,
        Setting::PrivateTmp,
        Setting::PrivateDevices,
        Setting::ProtectSystem(ProtectSystem::Strict),
        Setting::ProtectHome(ProtectHome::Hidden),
        Setting::ProtectKernelTunables,
        Setting::RestrictSuidSgid,
        Setting::ReadWritePaths(vec!["/run/tries".into()]),
        Setting::RestrictAddressFamilies(vec![AddressFamily::Unix]),
        Setting::IpAddressDeny(vec![Network::Any]),
        Setting::IpAddressAllow(vec![Network::Localhost]),
    ];
    let change = drop_in(&mem, "sandbox", settings).plan(&root(&machine)).unwrap().unwrap();
    systemd.apply(&change, LONG).await.unwrap();
    let log = machine.run(&["journalctl", "-b", "--no-pager", "-o", "cat", "_PID=1"]);
    assert!(!log.contains("50-paramedic"), "systemd has something to say of our file: {log}");
    fs::remove_file(machine.path("/tmp/mine")).unwrap();
    systemd.order(&mem, Verb::Start, LONG).await.unwrap();
    assert_eq!(seen(), "own\nnnp\n");
    assert!(!machine.path("/tmp/mine").exists(), "it has a /tmp of its own");
    // Taken back, it may again.
    systemd.apply(&change.reversed(), LONG).await.unwrap();
    systemd.order(&mem, Verb::Start, LONG).await.unwrap();
    assert!(within(LONG, || seen().starts_with("etc\n").then_some(())).is_some());
}
