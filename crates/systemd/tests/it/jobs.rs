//! Owns the tests of orders: what is done, what fails, what is late, and that only the named unit is touched.

use std::time::Duration;

use systemd::{
    ActiveState, Error, JobResult, LoadState, RestartPolicy, ServiceResult, StartLimit, SubState, Systemd,
    Unit, UnitName, Verb,
};

use crate::machine::Machine;

/// Only reached where a test fails.
pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) fn systemd(machine: &Machine) -> Systemd {
    let bus = machine.path("/run/dbus/system_bus_socket");
    Systemd::new(&format!("unix:path={}", bus.display()), systemd::CALL_TIMEOUT)
}

pub(crate) fn name(name: &str) -> UnitName {
    name.parse().unwrap()
}

#[tokio::test]
async fn a_unit_is_started_stopped_and_restarted_and_only_it() {
    let Some(machine) = Machine::boot() else { return };
    let text = "[Service]\nExecStart=/bin/sleep 1000\nRestart=on-failure\nRestartSec=50ms\n\
                [Unit]\nStartLimitBurst=7\nStartLimitIntervalSec=9s\n";
    machine.install(&[("mcp-server-mem.service", text), ("mcp-server-mem-2.service", text)]);
    let systemd = systemd(&machine);
    assert!(systemd.version().await.unwrap().starts_with("2"));
    let (mem, mem2) = (name("mcp-server-mem.service"), name("mcp-server-mem-2.service"));
    systemd.order(&mem2, Verb::Start, LONG).await.unwrap();
    // Its memory is its own business.
    let neighbour = async || Unit { memory_bytes: None, ..systemd.unit(&mem2).await.unwrap() };
    let other = neighbour().await;

    let unit = systemd.unit(&mem).await.unwrap();
    assert_eq!((unit.active.clone(), unit.main_pid), (Some(ActiveState::Inactive), None));
    assert_eq!(unit.load, Some(LoadState::Loaded));
    assert_eq!(unit.start_limit, Some(StartLimit { burst: 7, interval: Duration::from_secs(9) }));
    assert_eq!(
        (unit.restart.clone(), unit.restart_wait),
        (Some(RestartPolicy::OnFailure), Some(Duration::from_millis(50)))
    );
    assert!(unit.is_down() && unit.restarts_itself());
    assert_eq!(unit.fragment.as_deref(), Some("/etc/systemd/system/mcp-server-mem.service".as_ref()));

    let done = systemd.order(&mem, Verb::Start, LONG).await.unwrap();
    let first = done.unit.unwrap();
    assert_eq!(
        (first.active.clone(), first.sub.clone()),
        (Some(ActiveState::Active), Some(SubState::Running))
    );
    assert!(first.main_pid.is_some() && first.invocation.is_some() && first.is_up());
    let again = systemd.order(&mem, Verb::Start, LONG).await.unwrap();
    assert_eq!(again.unit.as_ref().map(|unit| unit.main_pid), Some(first.main_pid));
    assert!(again.job > done.job);

    let second = systemd.order(&mem, Verb::Restart, LONG).await.unwrap().unit.unwrap();
    assert!(second.is_up() && second.main_pid != first.main_pid && second.invocation != first.invocation);
    assert_eq!(second.restarts, Some(0), "an ordered restart is none of systemd's own");

    let stopped = systemd.order(&mem, Verb::Stop, LONG).await.unwrap().unit.unwrap();
    assert_eq!((stopped.active, stopped.result), (Some(ActiveState::Inactive), Some(ServiceResult::Success)));
    let stopped = systemd.order(&mem, Verb::TryRestart, LONG).await.unwrap().unit.unwrap();
    assert_eq!(stopped.active, Some(ActiveState::Inactive));

    assert_eq!(neighbour().await, other, "its neighbour was touched");
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let Some(machine) = Machine::boot() else { return };
    machine.install(&[
        ("mcp-server-dies.service", "[Service]\nType=notify\nExecStart=/bin/false\n"),
        ("mcp-server-missing.service", "[Service]\nType=exec\nExecStart=/no/such/program\n"),
        ("mcp-server-needy.service", "[Unit]\nRequires=mcp-server-dies.service\nAfter=mcp-server-dies.service\n[Service]\nExecStart=/bin/sleep 9\n"),
        ("mcp-server-wrong.service", "[Service]\nRestart=always\n"),
        ("mcp-server-masked.service", ""),
    ]);
    let systemd = systemd(&machine);
    let start = async |unit: &str| systemd.order(&name(unit), Verb::Start, LONG).await.unwrap_err();

    let error = start("mcp-server-dies.service").await;
    let Error::JobFailed { result, ended, .. } = &error else { panic!("{error}") };
    assert_eq!((result, ended.as_ref()), (&JobResult::Failed, Some(&ServiceResult::ExitCode)));
    assert!(
        error
            .to_string()
            .contains("to start `mcp-server-dies.service` ended as `failed`, and the service as `exit-code`")
    );
    let error = start("mcp-server-missing.service").await;
    assert!(matches!(&error, Error::JobFailed { result: JobResult::Failed, .. }), "{error}");
    let error = start("mcp-server-needy.service").await;
    assert!(matches!(&error, Error::JobFailed { result: JobResult::Dependency, .. }), "{error}");

    for unit in ["mcp-server-nobody.service", "mcp-server-*"] {
        if let Ok(unit) = unit.parse() {
            let error = systemd.order(&unit, Verb::Restart, LONG).await.unwrap_err();
            assert!(matches!(&error, Error::NoSuchUnit { unit: named } if *named == unit), "{error}");
            assert!(matches!(systemd.unit(&unit).await, Err(Error::NoSuchUnit { .. })));
        }
    }
    for unit in ["mcp-server-wrong.service", "mcp-server-masked.service"] {
        let error = start(unit).await;
        assert!(matches!(&error, Error::Unusable { .. }), "{error}");
    }
    let unit = systemd.unit(&name("mcp-server-wrong.service")).await.unwrap();
    assert_eq!(unit.load, Some(LoadState::BadSetting));
}

/// Its stop hangs for a while.
fn slow(seconds: u32) -> String {
    format!("[Service]\nExecStart=/bin/sleep 1000\nExecStop=/bin/sleep 1000\nTimeoutStopSec={seconds}s\n")
}

#[tokio::test]
async fn a_stop_that_hangs_is_late_and_goes_on_and_we_may_replace_it() {
    let Some(machine) = Machine::boot() else { return };
    machine.install(&[("mcp-server-slow.service", &slow(4))]);
    let systemd = systemd(&machine);
    let slow = name("mcp-server-slow.service");
    let first = systemd.order(&slow, Verb::Start, LONG).await.unwrap().unit.unwrap();
    let short = Duration::from_millis(200);
    let error = systemd.order(&slow, Verb::Stop, short).await.unwrap_err();
    let Error::JobLate { job, timeout, .. } = error else { panic!("{error}") };
    assert_eq!(timeout, short);
    let unit = systemd.unit(&slow).await.unwrap();
    assert_eq!((unit.job, unit.sub), (Some(job), Some(SubState::Stop)), "the job goes on");
    let again = systemd.order(&slow, Verb::Start, LONG).await.unwrap().unit.unwrap();
    assert!(again.is_up() && again.invocation != first.invocation);
}

#[tokio::test]
async fn what_somebody_else_has_queued_is_not_replaced() {
    let Some(machine) = Machine::boot() else { return };
    machine.install(&[("mcp-server-slow.service", &slow(1000))]);
    let systemd = systemd(&machine);
    let slow = name("mcp-server-slow.service");
    systemd.order(&slow, Verb::Start, LONG).await.unwrap();
    machine.run(&["systemctl", "stop", "--no-block", slow.as_str()]);
    let job = systemd.unit(&slow).await.unwrap().job;
    assert!(job.is_some());
    for verb in [Verb::Start, Verb::Restart] {
        let error = systemd.order(&slow, verb, LONG).await.unwrap_err();
        assert!(matches!(&error, Error::Busy { .. }) && error.is_passing(), "{error}");
        assert_eq!(systemd.unit(&slow).await.unwrap().job, job);
    }
    // To want the same is no contradiction.
    let error = systemd.order(&slow, Verb::Stop, Duration::from_millis(100)).await.unwrap_err();
    assert!(matches!(&error, Error::JobLate { job: same, .. } if Some(*same) == job), "{error}");
}

#[tokio::test]
async fn where_nobody_listens_that_is_said() {
    let nobody = Systemd::new("unix:path=/nonexistent/bus", Duration::from_millis(200));
    let error = nobody.unit(&name("a.service")).await.unwrap_err();
    assert!(matches!(&error, Error::NotReachable { .. }), "{error}");
    let error = nobody.order(&name("a.service"), Verb::Stop, LONG).await.unwrap_err();
    assert!(matches!(&error, Error::NotReachable { .. }), "{error}");
    // A socket where nobody answers.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus");
    let _deaf = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let deaf = Systemd::new(&format!("unix:path={}", path.display()), Duration::from_millis(200));
    let error = deaf.version().await.unwrap_err();
    assert!(matches!(&error, Error::NotReachable { .. }), "{error}");
}
