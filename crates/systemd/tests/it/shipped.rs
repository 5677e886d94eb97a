//! Owns the tests of what is shipped for systemd: that it is understood without a remark, and that `sd_notify` is heard.

use std::ffi::OsString;
use std::fs;

use process::Ending;
use systemd::notify::{Notifier, watchdog};
use systemd::watch::{Event, Told};
use systemd::{RestartPolicy, ServiceResult, UnitName, Verb};

use crate::jobs::{LONG, name, systemd};
use crate::machine::Machine;

const TEMPLATE: &str = include_str!("../../../../deploy/systemd/mcp-server@.service");
const SERVE: &str = include_str!("../../../../deploy/systemd/paramedic.service");
const HELPER: &str = include_str!("../../../../deploy/systemd/paramedic-helper.service");
const CONTAIN: &str = include_str!("../../../../deploy/systemd/paramedic-contain.service");
const CONTAIN_SOCKET: &str = include_str!("../../../../deploy/systemd/paramedic-contain.socket");
const HELPER_SOCKET: &str = include_str!("../../../../deploy/systemd/paramedic-helper.socket");
const FILES: &str = include_str!("../../../../deploy/tmpfiles/paramedic.conf");
const USERS: &str = include_str!("../../../../deploy/sysusers/paramedic.conf");

/// Set for this binary where it is not to test, but to be a service.
const ROLE: &str = "PARAMEDIC_TEST_NOTIFIES";

/// With what is shipped, and a program in the place of the product.
fn installed() -> Option<Machine> {
    let machine = Machine::boot()?;
    machine.write("/usr/bin/paramedic", "#!/bin/sh\nexec sleep 1000\n");
    machine.write("/etc/sysusers.d/paramedic.conf", USERS);
    machine.run(&["systemd-sysusers", "paramedic.conf"]);
    machine.write("/etc/tmpfiles.d/paramedic.conf", FILES);
    machine.run(&["systemd-tmpfiles", "--create", "paramedic.conf"]);
    // As the template tells people who want a unit of exactly that name.
    let own = TEMPLATE.replace("%i", "mem-2");
    machine.write("/etc/paramedic/servers/mem.env", "LISTEN=127.0.0.1:7801\nCOMMAND=sleep 1\n");
    machine.write("/etc/paramedic/servers/mem-2.env", "LISTEN=127.0.0.1:7802\nCOMMAND=sleep 1\n");
    machine.install(&[
        ("mcp-server@.service", TEMPLATE),
        ("mcp-server-mem-2.service", &own),
        ("paramedic.service", SERVE),
        ("paramedic-helper.service", HELPER),
        ("paramedic-helper.socket", HELPER_SOCKET),
        ("paramedic-contain.service", CONTAIN),
        ("paramedic-contain.socket", CONTAIN_SOCKET),
    ]);
    Some(machine)
}

#[test]
fn systemd_has_nothing_to_remark_on_the_shipped_units() {
    let Some(machine) = installed() else { return };
    for unit in [
        "mcp-server@mem.service",
        "mcp-server-mem-2.service",
        "paramedic.service",
        "paramedic-helper.service",
        "paramedic-helper.socket",
        "paramedic-contain.service",
        "paramedic-contain.socket",
    ] {
        let verify = ["systemd-analyze", "verify", "--man=no", unit];
        let output = machine.try_run(&verify).unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // The image of this machine has units of its own, which may be worth a remark.
        let of_ours = said.lines().filter(|line| line.contains("mcp-server") || line.contains("paramedic"));
        assert_eq!(of_ours.collect::<Vec<_>>(), [""; 0], "{unit}");
        assert!(output.status.success(), "{unit}: {said}");
    }
    let owners = ["stat", "-c", "%U %a", "/var/log/security-incidents.log", "/var/log/security-incidents"];
    assert_eq!(machine.run(&owners), "paramedic 640\nparamedic 750\n");
    // A wrong one is found.
    machine.install(&[(
        "mcp-server-bad.service",
        "[Service]\nExecStart=/no/such/program\nNoNewPrivilege=yes\n",
    )]);
    let output =
        machine.try_run(&["systemd-analyze", "verify", "--man=no", "mcp-server-bad.service"]).unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("NoNewPrivilege"));
}

#[tokio::test]
async fn the_template_and_the_unit_made_of_it_are_units_of_their_servers() {
    let Some(machine) = installed() else { return };
    let systemd = systemd(&machine);
    for (server, unit) in [("mem", "mcp-server@mem.service"), ("mem-2", "mcp-server-mem-2.service")] {
        let unit = name(unit);
        assert_eq!(systemd.unit_of_server(server).await.unwrap(), unit);
        let started = systemd.order(&unit, Verb::Start, LONG).await.unwrap().unit.unwrap();
        assert_eq!(started.restart, Some(RestartPolicy::OnFailure));
        assert_eq!(started.start_limit.map(|limit| limit.burst), Some(5));
        let pid = started.main_pid.unwrap().to_string();
        let user = machine.run(&["stat", "-c", "%U", &format!("/proc/{pid}")]);
        assert_eq!(user, "paramedic\n");
        let groups = fs::read_to_string(machine.path(&format!("/proc/{pid}/status"))).unwrap();
        assert!(
            groups.contains("NoNewPrivs:\t1") && groups.contains("CapBnd:\t0000000000000000"),
            "{groups}"
        );
        let folder = machine.path(&format!("/var/lib/mcp-servers/{server}"));
        assert!(folder.is_dir());
        systemd.order(&unit, Verb::Stop, LONG).await.unwrap();
        assert!(machine.path("/run/paramedic/guards").is_dir(), "the folder that all share outlives one");
    }
}

/// Not a test, but what the next one starts: with the variable set this binary is a service that falls silent.
#[test]
fn a_service_that_falls_silent() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let address: OsString = std::env::var_os("NOTIFY_SOCKET").unwrap();
    let text = |name| std::env::var(name).ok();
    let waits =
        watchdog(text("WATCHDOG_USEC").as_deref(), text("WATCHDOG_PID").as_deref(), std::process::id());
    let notifier = Notifier::new(&address).unwrap();
    notifier.status(&format!("waited for {:?}", waits.unwrap())).unwrap();
    notifier.ready().unwrap();
    notifier.alive().unwrap();
    std::thread::park();
}

#[tokio::test]
async fn a_real_systemd_hears_ready_and_status_and_misses_the_watchdog() {
    let Some(machine) = Machine::boot() else { return };
    fs::copy(std::env::current_exe().unwrap(), machine.path("/usr/local/bin/it")).unwrap();
    let text = format!(
        "[Service]\nType=notify\nNotifyAccess=main\nWatchdogSec=3s\nEnvironment={ROLE}=1\n\
         ExecStart=/usr/local/bin/it --exact shipped::a_service_that_falls_silent\n"
    );
    machine.install(&[("mcp-server-silent.service", &text)]);
    let systemd = systemd(&machine);
    let unit: UnitName = name("mcp-server-silent.service");
    let mut watch = systemd.watch(vec![unit.clone()]).unwrap();
    let first = tokio::time::timeout(LONG, watch.next()).await.unwrap();
    assert!(matches!(first, Some(Told::Of { event: Event::Seen(_), .. })), "{first:?}");
    let ready = systemd.order(&unit, Verb::Start, LONG).await.unwrap().unit.unwrap();
    assert!(ready.is_up(), "{ready:?}");
    assert_eq!(ready.watchdog, Some(std::time::Duration::from_secs(3)));
    let status = machine.run(&["systemctl", "show", "-P", "StatusText", unit.as_str()]);
    assert_eq!(status, "waited for 3s\n");
    let end = async {
        loop {
            if let Some(Told::Of { event: Event::Exited(exit), .. }) = watch.next().await {
                return exit.ending;
            }
        }
    };
    let ending = tokio::time::timeout(LONG, end).await.unwrap();
    assert_eq!(ending, Some(Ending::Signaled(6)));
    assert_eq!(systemd.unit(&unit).await.unwrap().result, Some(ServiceResult::Watchdog));
}
