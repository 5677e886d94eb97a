//! Owns the tests of what looks mean, without a systemd.

use std::time::Duration;

use process::Ending;
use proptest::prelude::*;

use super::*;
use crate::properties::Properties;
use crate::unit::{ActiveState, MainExit, StartLimit, SubState};
use crate::watch::Exit;

fn unit(active: ActiveState, restarts: u32, run: u8) -> Unit {
    let name = "mcp-server-mem.service".parse().unwrap();
    let sub = match active {
        ActiveState::Active => SubState::Running,
        ActiveState::Failed => SubState::Failed,
        ActiveState::Activating => SubState::AutoRestart,
        _ => SubState::Dead,
    };
    Unit {
        main_pid: (active == ActiveState::Active).then_some(100 + i32::from(run)),
        active: Some(active),
        sub: Some(sub),
        result: Some(ServiceResult::Success),
        restarts: Some(restarts),
        restart: Some(RestartPolicy::Always),
        invocation: (run > 0).then(|| crate::unit::InvocationId::of([run; 16])),
        start_limit: Some(StartLimit { burst: 5, interval: Duration::from_secs(10) }),
        ..Unit::of(&name, &Properties::default())
    }
}

fn killed(mut unit: Unit, pid: i32) -> Unit {
    unit.result = Some(ServiceResult::Signal);
    unit.main_started_us = Some(400);
    unit.main_exit = Some(MainExit { pid: Some(pid), ending: Some(Ending::Signaled(9)), at_us: 1_000 });
    unit
}

/// Without the states, which other tests see.
fn without_states(events: Vec<Event>) -> Vec<Event> {
    events.into_iter().filter(|event| !matches!(event, Event::Changed { .. } | Event::Seen(_))).collect()
}

fn first(unit: Unit) -> Tracked {
    Tracked::first(unit, None).0
}

fn exit(pid: i32, ending: Option<Ending>, at_ms: Option<i64>, during: Option<Whose>) -> Event {
    let uptime = at_ms.map(|_| Duration::from_micros(600));
    Event::Exited(Exit { pid: Some(pid), ending, at_ms, uptime, during })
}

#[test]
fn a_restart_by_systemd_itself_is_automatic_and_the_next_job_is_not() {
    let mut tracked = first(unit(ActiveState::Active, 0, 1));
    let dead = killed(unit(ActiveState::Activating, 0, 1), 101);
    let events = without_states(tracked.look(dead));
    assert_eq!(events, [exit(101, Some(Ending::Signaled(9)), Some(1), None)]);
    let events = without_states(tracked.look(killed(unit(ActiveState::Activating, 1, 1), 101)));
    assert_eq!(events, [Event::Restarting { restarts: 1 }]);
    let began = Event::JobBegun { job: JobId(7), whose: Whose::Automatic };
    assert_eq!(tracked.job_begun(JobId(7), false), began);
    assert_eq!(without_states(tracked.look(unit(ActiveState::Active, 1, 2))), []);
    let (whose, kind, result) = (Whose::Automatic, Some(JobKind::Restart), Some(JobResult::Done));
    assert_eq!(
        tracked.job_ended(JobId(7), result.clone()),
        [Event::JobEnded { job: JobId(7), whose, kind, result }]
    );
    // One automatic restart explains one job.
    let began = tracked.job_begun(JobId(8), false);
    assert_eq!(began, Event::JobBegun { job: JobId(8), whose: Whose::Others });
    // After a start by hand systemd counts from 0, and the first automatic one is told apart again.
    tracked.look(unit(ActiveState::Active, 0, 3));
    tracked.look(unit(ActiveState::Activating, 1, 3));
    let began = tracked.job_begun(JobId(9), false);
    assert_eq!(began, Event::JobBegun { job: JobId(9), whose: Whose::Automatic });
}

#[track_caller]
fn kind(before: Unit, after: Unit, told: Option<JobKind>, result: JobResult, expect: Option<JobKind>) {
    let mut tracked = first(before);
    tracked.job_begun(JobId(1), true);
    if let Some(told) = told {
        tracked.job_does(JobId(1), told);
    }
    tracked.look(after);
    let events = tracked.job_ended(JobId(1), Some(result.clone()));
    let ended = Event::JobEnded { job: JobId(1), whose: Whose::Ours, kind: expect, result: Some(result) };
    assert_eq!(events, [ended]);
    assert_eq!(tracked.job_ended(JobId(1), None), [], "it has ended once");
}

#[test]
fn what_a_job_did_is_seen_in_its_unit() {
    use ActiveState::{Active, Inactive};
    let start = Some(JobKind::Start);
    kind(unit(Active, 0, 1), unit(Active, 0, 2), None, JobResult::Done, Some(JobKind::Restart));
    kind(unit(Active, 0, 1), unit(Active, 0, 2), start.clone(), JobResult::Done, Some(JobKind::Restart));
    kind(unit(Inactive, 0, 0), unit(Active, 0, 1), None, JobResult::Done, start.clone());
    kind(unit(Active, 0, 1), unit(Inactive, 0, 1), None, JobResult::Done, Some(JobKind::Stop));
    kind(unit(Active, 0, 1), unit(Active, 0, 1), None, JobResult::Done, None);
    kind(unit(Active, 0, 1), unit(Active, 0, 1), start.clone(), JobResult::Done, start);
    let reload = Some(JobKind::Reload);
    kind(unit(Active, 0, 1), unit(Active, 0, 1), reload.clone(), JobResult::Canceled, reload);
}

#[test]
fn a_start_that_fails_before_there_is_a_run_is_the_limit() {
    use ActiveState::{Activating, Failed};
    let hit = |before: Unit, after: Unit, result: JobResult| {
        let mut tracked = first(before);
        tracked.job_begun(JobId(1), false);
        tracked.look(after);
        tracked.job_ended(JobId(1), Some(result)).contains(&Event::StartLimitHit)
    };
    assert!(hit(unit(Activating, 3, 4), unit(Failed, 3, 4), JobResult::Failed));
    assert!(!hit(unit(Activating, 3, 4), unit(Failed, 3, 5), JobResult::Failed), "there was a run");
    assert!(!hit(unit(Activating, 3, 4), unit(Failed, 3, 4), JobResult::Dependency));
    let unlimited = |mut unit: Unit| {
        unit.start_limit = Some(StartLimit { burst: 0, interval: Duration::from_secs(10) });
        unit
    };
    assert!(!hit(unlimited(unit(Activating, 3, 4)), unlimited(unit(Failed, 3, 4)), JobResult::Failed));
    // Where the unit says it itself, it is told once.
    let mut said = unit(Failed, 3, 4);
    said.result = Some(ServiceResult::StartLimitHit);
    let mut tracked = first(unit(Activating, 3, 4));
    tracked.job_begun(JobId(1), false);
    assert!(tracked.look(said.clone()).contains(&Event::StartLimitHit));
    assert_eq!(tracked.job_ended(JobId(1), Some(JobResult::Failed)).len(), 1);
    assert_eq!(tracked.look(said), []);
}

#[test]
fn each_kill_for_want_of_memory_is_told_once() {
    let oom = |run: u8, at_us: u64| {
        let mut unit = unit(ActiveState::Failed, 0, run);
        unit.result = Some(ServiceResult::OomKill);
        unit.main_exit = Some(MainExit { pid: Some(9), ending: Some(Ending::Signaled(9)), at_us });
        unit
    };
    let mut tracked = first(unit(ActiveState::Active, 0, 1));
    let told = |events: Vec<Event>| events.iter().filter(|event| **event == Event::OutOfMemory).count();
    assert_eq!(told(tracked.look(oom(1, 5_000))), 1);
    assert_eq!(told(tracked.look(oom(1, 5_000))), 0);
    assert_eq!(told(tracked.look(oom(2, 6_000))), 1, "the run between was too short to be seen");
}

#[test]
fn an_end_that_nobody_told_of_is_an_end() {
    let mut tracked = first(unit(ActiveState::Active, 0, 1));
    let events = without_states(tracked.look(unit(ActiveState::Active, 1, 2)));
    assert_eq!(events, [exit(101, None, None, None), Event::Restarting { restarts: 1 }]);
    // A main process that hands over to another one has not ended its run.
    let mut other = unit(ActiveState::Active, 1, 2);
    other.main_pid = Some(4711);
    assert_eq!(tracked.look(other), []);
}

#[test]
fn an_end_during_a_job_says_whose_it_is() {
    for (is_ours, whose) in [(true, Whose::Ours), (false, Whose::Others)] {
        let mut tracked = first(unit(ActiveState::Active, 0, 1));
        tracked.job_begun(JobId(3), is_ours);
        let events = without_states(tracked.look(killed(unit(ActiveState::Inactive, 0, 1), 101)));
        assert_eq!(events, [exit(101, Some(Ending::Signaled(9)), Some(1), Some(whose))]);
    }
    let mut busy = unit(ActiveState::Active, 0, 1);
    busy.job = Some(JobId(5));
    let (_, events) = Tracked::first(busy.clone(), None);
    assert_eq!(events.last(), Some(&Event::JobBegun { job: JobId(5), whose: Whose::Unknown }));
    let (_, events) = Tracked::first(busy, Some(JobId(5)));
    assert_eq!(events.last(), Some(&Event::JobBegun { job: JobId(5), whose: Whose::Ours }));
}

#[track_caller]
fn unseen(before: Unit, after: Unit, heard: Heard, expect: impl Into<Option<JobKind>>) {
    let mut tracked = first(before);
    let events = tracked.look_again(after, heard, None);
    let unseen = events.into_iter().find_map(|event| match event {
        Event::Unseen(kind) => Some(kind),
        _ => None,
    });
    assert_eq!(unseen, expect.into());
}

#[test]
fn what_somebody_did_in_a_gap_shows_in_the_state() {
    use ActiveState::{Active, Failed, Inactive};
    use Heard::{All, NotAll, NotAllAndOrdered};
    let restart = Some(JobKind::Restart);
    unseen(unit(Active, 0, 1), unit(Active, 0, 2), NotAll, restart.clone());
    unseen(unit(Active, 2, 1), unit(Active, 0, 2), NotAll, restart);
    unseen(unit(Inactive, 0, 0), unit(Active, 0, 1), NotAll, Some(JobKind::Start));
    unseen(unit(Active, 0, 1), unit(Inactive, 0, 1), NotAll, Some(JobKind::Stop));
    // systemd itself, or we, or nobody.
    unseen(unit(Active, 0, 1), unit(Active, 1, 2), NotAll, None);
    unseen(unit(Active, 0, 1), unit(Active, 0, 2), NotAllAndOrdered, None);
    unseen(unit(Active, 0, 1), unit(Active, 0, 1), NotAll, None);
    unseen(unit(Active, 0, 1), unit(Active, 0, 2), All, None);
    unseen(unit(Active, 0, 1), killed(unit(Failed, 0, 1), 101), NotAll, None);
    // Without `Restart=always` it may have ended by itself.
    let calm = |mut unit: Unit| {
        unit.restart = Some(RestartPolicy::OnFailure);
        unit
    };
    unseen(calm(unit(Active, 0, 1)), calm(unit(Inactive, 0, 1)), NotAll, None);
}

#[test]
fn a_job_that_ended_in_a_gap_explains_what_changed() {
    let mut tracked = first(unit(ActiveState::Active, 0, 1));
    tracked.job_begun(JobId(4), false);
    let events = without_states(tracked.look_again(unit(ActiveState::Active, 0, 2), Heard::NotAll, None));
    let (job, whose, kind) = (JobId(4), Whose::Others, Some(JobKind::Restart));
    let ended = Event::JobEnded { job, whose, kind, result: None };
    assert_eq!(events, [exit(101, None, None, Some(whose)), ended]);
    // One that is still there goes on, and a new one is told.
    let mut busy = unit(ActiveState::Active, 0, 2);
    busy.job = Some(JobId(6));
    let events = without_states(tracked.look_again(busy, Heard::NotAll, None));
    assert_eq!(events, [Event::JobBegun { job: JobId(6), whose: Whose::Others }]);
}

#[test]
fn what_is_followed_is_bounded() {
    let mut tracked = first(unit(ActiveState::Active, 0, 1));
    for number in 0..100 {
        tracked.job_begun(JobId(number), false);
    }
    assert_eq!(tracked.jobs.len(), JOBS_MAX);
    assert!(tracked.jobs.contains_key(&JobId(99)));
}

/// What may come, in any order.
#[derive(Clone, Debug)]
enum Step {
    Look(Unit),
    Gap(Unit, bool),
    Begun(u32, bool),
    Does(u32),
    Ended(u32),
}

fn any_unit() -> impl Strategy<Value = Unit> {
    use ActiveState::{Activating, Active, Failed, Inactive};
    let state = prop::sample::select(vec![Active, Inactive, Failed, Activating]);
    (state, 0..4u32, 0..4u8, any::<bool>(), prop::option::of(0..5u32)).prop_map(
        |(state, restarts, run, died, job)| {
            let mut unit = unit(state, restarts, run);
            unit.job = job.map(JobId);
            if died { killed(unit, 100 + i32::from(run)) } else { unit }
        },
    )
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any_unit().prop_map(Step::Look),
        (any_unit(), any::<bool>()).prop_map(|(unit, ordered)| Step::Gap(unit, ordered)),
        (0..5u32, any::<bool>()).prop_map(|(job, ours)| Step::Begun(job, ours)),
        (0..5u32).prop_map(Step::Does),
        (0..5u32).prop_map(Step::Ended),
    ]
}

proptest! {
    /// Whatever comes: what ends has begun, by the same hand, and the same look twice tells nothing new.
    #[test]
    fn any_order_of_things_makes_sense(start in any_unit(), steps in prop::collection::vec(any_step(), 0..30)) {
        let (mut tracked, events) = Tracked::first(start, None);
        let mut running = BTreeMap::new();
        let mut all = vec![events];
        for step in steps {
            all.push(match step {
                Step::Look(unit) => {
                    let events = tracked.look(unit.clone());
                    prop_assert_eq!(tracked.look(unit), []);
                    events
                }
                Step::Gap(unit, ordered) => {
                    let heard = if ordered { Heard::NotAllAndOrdered } else { Heard::NotAll };
                    let events = tracked.look_again(unit.clone(), heard, None);
                    prop_assert_eq!(tracked.look_again(unit, heard, None), []);
                    events
                }
                Step::Begun(job, ours) => vec![tracked.job_begun(JobId(job), ours)],
                Step::Does(job) => {
                    tracked.job_does(JobId(job), JobKind::Start);
                    Vec::new()
                }
                Step::Ended(job) => tracked.job_ended(JobId(job), Some(JobResult::Done)),
            });
        }
        for event in all.into_iter().flatten() {
            match event {
                Event::JobBegun { job, whose } => drop(running.insert(job, whose)),
                Event::JobEnded { job, whose, .. } => prop_assert_eq!(running.remove(&job), Some(whose)),
                _ => {}
            }
        }
    }
}
