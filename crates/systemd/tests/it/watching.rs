//! Owns the tests of watching: what a real systemd does by itself, what an operator does, what we do, and that a
//! connection that is lost hides none of it.

use std::time::Duration;

use process::Ending;
use systemd::watch::{Event, Exit, Told, Whose};
use systemd::{
    ActiveState, Error, JobKind, JobResult, ServiceResult, SubState, Systemd, UnitName, Verb, Watch,
};

use crate::jobs::{name, systemd};
use crate::machine::Machine;

/// Only reached where a test fails.
const LONG: Duration = Duration::from_secs(30);

const SLEEPS: &str = "[Service]\nExecStart=/bin/sleep 1000\n";

/// What is told until something is, which is the last of it.
async fn until(watch: &mut Watch, last: impl Fn(&Told) -> bool) -> Vec<Told> {
    let mut all = Vec::new();
    let found = async {
        loop {
            let told = watch.next().await.unwrap();
            let is_last = last(&told);
            all.push(told);
            if is_last {
                return;
            }
        }
    };
    let in_time = tokio::time::timeout(LONG, found).await;
    assert!(in_time.is_ok(), "not told, only {all:#?}");
    all
}

fn event(told: &Told) -> Option<&Event> {
    match told {
        Told::Of { event, .. } => Some(event),
        Told::Lost { .. } | Told::Found => None,
    }
}

fn is(told: &Told, wanted: impl Fn(&Event) -> bool) -> bool {
    event(told).is_some_and(wanted)
}

/// The end of a job, with what it did and how it ended.
fn ended(whose: Whose, kind: JobKind) -> impl Fn(&Told) -> bool {
    move |told| {
        is(told, |event| {
            matches!(event, Event::JobEnded { whose: by, kind: Some(did), result: Some(JobResult::Done), .. }
                if *by == whose && *did == kind)
        })
    }
}

fn exits(told: &[Told]) -> Vec<&Exit> {
    let exit = |told| match event(told) {
        Some(Event::Exited(exit)) => Some(exit),
        _ => None,
    };
    told.iter().filter_map(exit).collect()
}

fn begun(told: &[Told]) -> Vec<Whose> {
    let whose = |told| match event(told) {
        Some(Event::JobBegun { whose, .. }) => Some(*whose),
        _ => None,
    };
    told.iter().filter_map(whose).collect()
}

async fn watching(systemd: &Systemd, unit: &UnitName) -> Watch {
    let mut watch = systemd.watch(vec![unit.clone()]).unwrap();
    until(&mut watch, |told| is(told, |event| matches!(event, Event::Seen(_)))).await;
    watch
}

fn kill_main(machine: &Machine, unit: &str) {
    machine.run(&["systemctl", "kill", "--kill-whom=main", "--signal=KILL", unit]);
}

#[tokio::test]
async fn a_killed_process_is_an_exit_and_an_automatic_restart() {
    let Some(machine) = Machine::boot() else { return };
    machine.install(&[
        ("mcp-server-mem.service", &format!("{SLEEPS}Restart=always\nRestartSec=50ms\n")),
        ("mcp-server-mem-2.service", SLEEPS),
    ]);
    let systemd = systemd(&machine);
    let (mem, mem2) = (name("mcp-server-mem.service"), name("mcp-server-mem-2.service"));
    for unit in [&mem, &mem2] {
        systemd.order(unit, Verb::Start, LONG).await.unwrap();
    }
    let mut watch = watching(&systemd, &mem).await;
    for restarts in 1..=2 {
        let before = systemd.unit(&mem).await.unwrap();
        kill_main(&machine, mem.as_str());
        let told = until(&mut watch, ended(Whose::Automatic, JobKind::Restart)).await;
        let [exit] = exits(&told)[..] else { panic!("{told:#?}") };
        assert_eq!((exit.pid, exit.ending), (before.main_pid, Some(Ending::Signaled(9))));
        assert_eq!(exit.during, None, "nobody has ordered it");
        assert!(exit.at_ms.is_some() && exit.uptime.is_some_and(|ran| ran < LONG), "{exit:?}");
        assert_eq!(begun(&told), [Whose::Automatic]);
        assert!(
            told.iter().any(|told| is(told, |event| *event == Event::Restarting { restarts })),
            "{told:#?}"
        );
        let waits = |event: &Event| matches!(event, Event::Changed { to, .. } if to.sub == Some(SubState::AutoRestart));
        assert!(told.iter().any(|told| is(told, waits)), "{told:#?}");
        let after = systemd.unit(&mem).await.unwrap();
        assert_eq!(after.restarts, Some(restarts));
        assert!(after.is_up() && after.main_pid != before.main_pid && after.invocation != before.invocation);
    }
    // The neighbour, whose name begins with all of this one's, is not of interest.
    kill_main(&machine, mem2.as_str());
    systemd.order(&mem, Verb::Stop, LONG).await.unwrap();
    let told = until(&mut watch, ended(Whose::Ours, JobKind::Stop)).await;
    assert!(told.iter().all(|told| matches!(told, Told::Of { unit, .. } if *unit == mem)), "{told:#?}");
    assert_eq!(exits(&told).len(), 1);
}

#[tokio::test]
async fn what_an_operator_does_is_not_ours_and_what_we_do_is() {
    let Some(machine) = Machine::boot() else { return };
    machine.install(&[("mcp-server-mem.service", SLEEPS)]);
    let systemd = systemd(&machine);
    let mem = name("mcp-server-mem.service");
    let mut watch = watching(&systemd, &mem).await;
    for (whose, verb, kind) in [
        (Whose::Others, Verb::Start, JobKind::Start),
        (Whose::Ours, Verb::Restart, JobKind::Restart),
        (Whose::Others, Verb::Restart, JobKind::Restart),
        (Whose::Ours, Verb::Stop, JobKind::Stop),
        // A restart of what is stopped is a start in the end.
        (Whose::Ours, Verb::Restart, JobKind::Start),
        (Whose::Others, Verb::Stop, JobKind::Stop),
        (Whose::Others, Verb::Restart, JobKind::Start),
        (Whose::Ours, Verb::TryRestart, JobKind::Restart),
    ] {
        match whose {
            Whose::Ours => drop(systemd.order(&mem, verb, LONG).await.unwrap()),
            _ => drop(machine.run(&["systemctl", &verb.to_string(), mem.as_str()])),
        }
        let told = until(&mut watch, |told| is(told, |event| matches!(event, Event::JobEnded { .. }))).await;
        assert!(ended(whose, kind.clone())(told.last().unwrap()), "{kind} by {whose:?}: {told:#?}");
        assert_eq!(begun(&told), [whose], "{told:#?}");
        let stops = usize::from(kind != JobKind::Start);
        assert_eq!(exits(&told).len(), stops, "{told:#?}");
        assert!(exits(&told).iter().all(|exit| exit.during == Some(whose)), "{told:#?}");
    }
}

#[tokio::test]
async fn a_start_limit_is_told_and_cleared_only_when_told() {
    let Some(machine) = Machine::boot() else { return };
    let text = "[Unit]\nStartLimitBurst=3\nStartLimitIntervalSec=600\n\
                [Service]\nExecStart=/bin/sh -c 'test -e /run/well && exec sleep 1000; exit 41'\nRestart=always\nRestartSec=10ms\n";
    machine.install(&[("mcp-server-loop.service", text)]);
    let systemd = systemd(&machine);
    let unit = name("mcp-server-loop.service");
    let mut watch = watching(&systemd, &unit).await;
    systemd.order(&unit, Verb::Start, LONG).await.unwrap();
    let told = until(&mut watch, |told| is(told, |event| *event == Event::StartLimitHit)).await;
    let ends: Vec<_> = exits(&told).iter().map(|exit| exit.ending).collect();
    assert_eq!(ends, [Some(Ending::Exited(41)); 3], "{told:#?}");
    let hit = systemd.unit(&unit).await.unwrap();
    assert_eq!((hit.active.clone(), hit.restarts), (Some(ActiveState::Failed), Some(3)));

    machine.write("/run/well", "");
    let error = systemd.order(&unit, Verb::Start, LONG).await.unwrap_err();
    assert!(matches!(&error, Error::JobFailed { ended: Some(ServiceResult::StartLimitHit), .. }), "{error}");
    assert_eq!(systemd.unit(&unit).await.unwrap().active, Some(ActiveState::Failed));
    systemd.reset_failed(&unit).await.unwrap();
    let well = systemd.order(&unit, Verb::Start, LONG).await.unwrap().unit.unwrap();
    assert!(well.is_up());
    let error = systemd.reset_failed(&name("mcp-server-nobody.service")).await.unwrap_err();
    assert!(matches!(error, Error::NoSuchUnit { .. }), "{error}");
}

#[tokio::test]
async fn what_happens_while_the_bus_is_gone_is_seen_afterwards() {
    let Some(machine) = Machine::boot() else { return };
    let always = format!("{SLEEPS}Restart=always\nRestartSec=10ms\n");
    let units =
        ["restarted", "stopped", "killed", "left"].map(|what| name(&format!("mcp-server-{what}.service")));
    for unit in &units {
        machine.install(&[(unit.as_str(), &always)]);
    }
    let systemd = systemd(&machine);
    for unit in &units {
        systemd.order(unit, Verb::Start, LONG).await.unwrap();
    }
    let left = systemd.unit(&units[3]).await.unwrap();
    let mut watch = systemd.watch(units.to_vec()).unwrap();
    let mut seen = 0;
    while seen < units.len() {
        seen += until(&mut watch, |told| is(told, |event| matches!(event, Event::Seen(_)))).await.len();
    }
    // systemctl needs no bus: root talks to systemd itself.
    let script = "systemctl stop dbus.socket dbus.service; systemctl restart mcp-server-restarted; \
         systemctl stop mcp-server-stopped; systemctl kill --signal=KILL mcp-server-killed; \
         until systemctl show -P NRestarts mcp-server-killed | grep -qx 1; do :; done; systemctl start dbus.socket dbus.service";
    machine.run(&["sh", "-c", script]);
    let mut told = until(&mut watch, |told| *told == Told::Found).await;
    assert!(
        matches!(&told[0], Told::Lost { reason } if reason.contains("systemd cannot be reached")),
        "{told:#?}"
    );
    // Something that comes after all of it.
    machine.run(&["systemctl", "restart", "mcp-server-left"]);
    let last =
        |told: &Told| matches!(told, Told::Of { unit, event: Event::JobEnded { .. } } if *unit == units[3]);
    told.extend(until(&mut watch, last).await);
    let of = |idx: usize| {
        let events = told.iter().filter_map(|told| match told {
            Told::Of { unit, event } if *unit == units[idx] => Some(event),
            _ => None,
        });
        events.collect::<Vec<_>>()
    };
    assert!(of(0).contains(&&Event::Unseen(JobKind::Restart)), "{:#?}", of(0));
    assert!(of(1).contains(&&Event::Unseen(JobKind::Stop)), "{:#?}", of(1));
    let killed = of(2);
    assert!(killed.contains(&&Event::Restarting { restarts: 1 }), "{killed:#?}");
    assert!(killed.iter().any(|event| matches!(event, Event::Exited(_))), "{killed:#?}");
    assert!(!killed.iter().any(|event| matches!(event, Event::Unseen(_))), "{killed:#?}");
    let restarted = of(3);
    assert!(!restarted.iter().any(|event| matches!(event, Event::Unseen(_))), "{restarted:#?}");
    assert!(
        restarted.iter().any(|event| matches!(event, Event::Exited(exit) if exit.pid == left.main_pid)),
        "{restarted:#?}"
    );
    // Questions find the new bus by themselves.
    assert!(systemd.unit(&units[0]).await.unwrap().is_up());
}

#[tokio::test]
async fn a_systemd_that_starts_anew_and_reads_its_files_again_is_still_heard() {
    let Some(machine) = Machine::boot() else { return };
    machine.install(&[("mcp-server-mem.service", SLEEPS)]);
    let systemd = systemd(&machine);
    let mem = name("mcp-server-mem.service");
    let later = name("mcp-server-later.service");
    let mut watch = systemd.watch(vec![mem.clone(), later.clone()]).unwrap();
    let is_later = |told: &Told| matches!(told, Told::Of { unit, event: Event::Seen(_) } if *unit == later);
    until(&mut watch, is_later).await;
    systemd.order(&mem, Verb::Start, LONG).await.unwrap();
    until(&mut watch, ended(Whose::Ours, JobKind::Start)).await;
    machine.run(&["systemctl", "daemon-reexec"]);
    machine.run(&["systemctl", "restart", mem.as_str()]);
    let restarted = |told: &Told| {
        ended(Whose::Others, JobKind::Restart)(told)
            || is(told, |event| *event == Event::Unseen(JobKind::Restart))
    };
    until(&mut watch, restarted).await;
    // A unit that comes later is watched from then on.
    machine.install(&[(later.as_str(), SLEEPS)]);
    machine.run(&["systemctl", "start", later.as_str()]);
    let told = until(&mut watch, ended(Whose::Others, JobKind::Start)).await;
    assert!(told.iter().any(|told| matches!(told, Told::Of { unit, .. } if *unit == later)), "{told:#?}");
}

#[tokio::test]
async fn an_alias_is_watched_and_ordered_by_its_own_name() {
    let Some(machine) = Machine::boot() else { return };
    machine.install(&[("other.service", &format!("{SLEEPS}[Install]\nAlias=mcp-server-mem.service\n"))]);
    machine.run(&["systemctl", "enable", "other.service"]);
    let systemd = systemd(&machine);
    let mem = name("mcp-server-mem.service");
    let mut watch = watching(&systemd, &mem).await;
    let done = systemd.order(&mem, Verb::Start, LONG).await.unwrap().unit.unwrap();
    assert_eq!(done.id, name("other.service"));
    assert!(done.names.contains(&"mcp-server-mem.service".to_owned()));
    let told = until(&mut watch, ended(Whose::Ours, JobKind::Start)).await;
    assert!(told.iter().all(|told| matches!(told, Told::Of { unit, .. } if *unit == mem)), "{told:#?}");
    machine.run(&["systemctl", "stop", "other"]);
    until(&mut watch, ended(Whose::Others, JobKind::Stop)).await;
}

#[tokio::test]
async fn a_forged_signal_is_not_believed() {
    let Some(machine) = Machine::boot() else { return };
    machine.install(&[("mcp-server-mem.service", SLEEPS)]);
    let systemd = systemd(&machine);
    let mem = name("mcp-server-mem.service");
    let mut watch = watching(&systemd, &mem).await;
    let forge = "busctl --system emit /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager JobNew uos 4711 \
         /org/freedesktop/systemd1/job/4711 mcp-server-mem.service && for name in $(busctl list --no-legend --unique | \
         cut -d' ' -f1); do busctl --system --destination=$name emit /org/freedesktop/systemd1 \
         org.freedesktop.systemd1.Manager JobNew uos 4711 /org/freedesktop/systemd1/job/4711 mcp-server-mem.service; done";
    machine.run(&["sh", "-c", forge]);
    systemd.order(&mem, Verb::Start, LONG).await.unwrap();
    let told = until(&mut watch, ended(Whose::Ours, JobKind::Start)).await;
    assert_eq!(begun(&told), [Whose::Ours], "{told:#?}");
}
