//! Tests what follows from news of a unit.

use systemd::watch::Exit as UnitExit;
use systemd::{JobId, ServiceResult};

use super::*;

fn unit(active: ActiveState) -> Unit {
    Unit {
        id: "mcp-server-time.service".parse().unwrap(),
        names: Vec::new(),
        load: None,
        load_error: None,
        active: Some(active),
        sub: None,
        result: Some(ServiceResult::Success),
        restarts: Some(2),
        main_pid: None,
        main_started_us: None,
        main_exit: None,
        invocation: None,
        job: None,
        kind: None,
        restart: None,
        restart_wait: None,
        start_limit: None,
        watchdog: None,
        memory_bytes: None,
        memory_high: None,
        memory_max: None,
        fragment: None,
        drop_ins: Vec::new(),
        needs_reload: None,
        file_state: None,
    }
}

fn told(event: UnitEvent) -> Told {
    Told::Of { unit: "mcp-server-time.service".parse().unwrap(), event }
}

fn seen(active: ActiveState) -> Told {
    told(UnitEvent::Seen(Box::new(unit(active))))
}

fn exited(during: Option<Whose>) -> Told {
    let ending = Some(Ending::Signaled(9));
    told(UnitEvent::Exited(UnitExit { pid: Some(7), ending, at_ms: Some(5), uptime: None, during }))
}

fn job(whose: Whose, kind: JobKind, result: JobResult) -> Told {
    told(UnitEvent::JobEnded { job: JobId(3), whose, kind: Some(kind), result: Some(result) })
}

/// What follows, and the phase afterwards.
#[track_caller]
fn check(news: &[Told], expect: &[&str], phase: Option<Phase>) {
    let mut known = Known::new(&"mcp-server-time.service".parse().unwrap());
    let what = news.iter().flat_map(|news| known.take(news.clone(), 9)).map(|what| match what {
        What::Exited(exit) => format!("exited: {} at {}", exit.reason, exit.at_ms),
        What::Ready => "ready".to_owned(),
        What::Restarted { by, key } => format!("restarted by {by}: {key}"),
        What::Stopped { by, key } => format!("stopped by {by}: {key}"),
    });
    assert_eq!(what.collect::<Vec<_>>(), expect);
    assert_eq!(known.supervised(None).phase(), phase);
}

#[test]
fn an_end_that_nobody_ordered_is_told_at_once() {
    let active = || seen(ActiveState::Active);
    check(&[active()], &[], Some(Phase::Ready));
    for during in [None, Some(Whose::Automatic), Some(Whose::Unknown)] {
        check(&[active(), exited(during)], &["exited: killed by SIGKILL at 5"], Some(Phase::Ready));
    }
    for during in [Whose::Ours, Whose::Others] {
        check(&[active(), exited(Some(during))], &[], Some(Phase::Ready));
    }
    check(
        &[active(), told(UnitEvent::OutOfMemory), exited(None)],
        &["exited: killed by SIGKILL: the kernel had no memory left for it at 5"],
        Some(Phase::Ready),
    );
}

#[test]
fn what_systemd_does_by_itself_is_counted_and_told() {
    check(
        &[seen(ActiveState::Active), told(UnitEvent::Restarting { restarts: 3 })],
        &["restarted by systemd: systemd-mcp-server-time.service-9-3"],
        Some(Phase::Ready),
    );
    check(
        &[seen(ActiveState::Active), told(UnitEvent::StartLimitHit)],
        &[
            "exited: systemd has given up: it was started too often, and stays down until a person runs `systemctl reset-failed` at 9",
        ],
        Some(Phase::Failed),
    );
}

#[test]
fn a_unit_that_was_down_before_anybody_listened() {
    check(&[seen(ActiveState::Failed)], &["exited: ended, nobody knows how at 9"], Some(Phase::Exited));
    check(&[seen(ActiveState::Inactive)], &[], Some(Phase::Stopped));
    // It ended a moment ago, and systemd waits before it starts it again.
    let activating = |sub| {
        let unit = Unit { sub: Some(sub), ..unit(ActiveState::Activating) };
        told(UnitEvent::Seen(Box::new(unit)))
    };
    let ended = ["exited: ended, nobody knows how at 9"];
    check(&[activating(SubState::AutoRestart)], &ended, Some(Phase::Starting));
    check(&[activating(SubState::Start)], &[], Some(Phase::Starting));
}

#[test]
fn what_a_person_does_is_respected() {
    let active = || seen(ActiveState::Active);
    let stopped =
        || told(UnitEvent::Changed { from: (None, None), to: Box::new(unit(ActiveState::Inactive)) });
    let stop = || job(Whose::Others, JobKind::Stop, JobResult::Done);
    let said = ["stopped by somebody with systemctl: systemctl-mcp-server-time.service-9-3"];
    check(&[active(), exited(Some(Whose::Others)), stop(), stopped()], &said, Some(Phase::Stopped));
    let mut known = Known::new(&"mcp-server-time.service".parse().unwrap());
    for news in [active(), stop(), stopped()] {
        known.take(news, 9);
    }
    assert_eq!(known.supervised(None).stopped_by(), Some(SOMEBODY));
    known.take(active(), 9);
    assert_eq!(known.supervised(None).stopped_by(), None);
    let restart = job(Whose::Others, JobKind::Restart, JobResult::Done);
    check(
        &[active(), restart],
        &["restarted by somebody with systemctl: systemctl-mcp-server-time.service-9-3"],
        Some(Phase::Ready),
    );
    // What did not happen, and what we did, is nothing to tell.
    check(&[active(), job(Whose::Others, JobKind::Stop, JobResult::Canceled)], &[], Some(Phase::Ready));
    check(&[active(), job(Whose::Ours, JobKind::Restart, JobResult::Done)], &[], Some(Phase::Ready));
}

#[test]
fn without_systemd_the_last_word_stands() {
    let mut known = Known::new(&"mcp-server-time.service".parse().unwrap());
    known.take(seen(ActiveState::Active), 9);
    known.take(Told::Lost { reason: "the bus is gone".to_owned() }, 9);
    let supervised = known.supervised(None);
    assert_eq!(
        (supervised.phase(), supervised.problem.as_deref()),
        (Some(Phase::Ready), Some("the bus is gone"))
    );
    known.take(Told::Found, 9);
    assert_eq!(known.supervised(None).problem, None);
}
