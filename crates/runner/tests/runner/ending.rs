//! Tests how units end: by themselves, too late, with children that stay, with too much output.

use std::fs;
use std::time::{Duration, Instant};

use process::ProcessId;
use runner::{End, StateFile};

use crate::session::{Done, Session};

/// Reads the process ids that the unit printed, one a line.
pub(crate) fn printed(done: &Done) -> Vec<i32> {
    done.text().lines().map(|line| line.parse().unwrap()).collect()
}

#[track_caller]
pub(crate) fn assert_gone(pids: &[i32]) {
    assert!(!pids.is_empty());
    for pid in pids {
        assert!(!ProcessId::of(*pid).is_some_and(|process| process.is_alive()), "{pid} is still there");
    }
}

#[test]
fn a_unit_that_runs_too_long_is_ended_with_all_that_it_started() {
    let mut session = Session::new();
    session.run("x=before").ok();
    let begun = Instant::now();
    let statement = "sleep 600 & echo $!\nsetsid -f bash -c 'echo $$; exec sleep 600'\nx=after\nsleep 600";
    let done = session.run_as(statement, |intent| intent.timeout_ms = 500);
    assert_eq!(done.outcome.end, End::TimedOut);
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_gone(&printed(&done));
    assert_eq!(printed(&done).len(), 2);
    // SIGTERM let it write its state.
    assert_eq!(done.outcome.state, StateFile::Saved);
    assert_eq!(session.run("echo $x").ok().text(), "after\n");
}

#[test]
fn a_unit_that_does_not_care_is_killed() {
    let done = Session::new().run_as("trap '' TERM; echo $$; while :; do sleep 1; done", |intent| {
        intent.timeout_ms = 100;
    });
    assert_eq!((&done.outcome.end, done.outcome.state), (&End::TimedOut, StateFile::Missing));
    assert_gone(&printed(&done));
    assert!(done.outcome.finished_ms - done.outcome.started_ms >= 2_000, "it had its two seconds");
}

#[test]
fn without_a_word_about_them_background_jobs_end_with_the_unit() {
    let begun = Instant::now();
    let statement =
        "sleep 600 & echo $!\n(setsid sleep 600 & echo $!) \nnohup sleep 600 >/dev/null 2>&1 & echo $!";
    let done = Session::new().run(statement).ok();
    assert!(begun.elapsed() < Duration::from_secs(10), "they hold the pipe, but do not keep the unit");
    assert_eq!(printed(&done).len(), 3);
    assert_gone(&printed(&done));
}

#[test]
fn a_signal_is_named() {
    let done = Session::new().run("x=1; kill -KILL $$");
    assert_eq!((done.outcome.end, done.outcome.state), (End::Signaled(9), StateFile::Missing));
    let done = Session::new().run("x=1; kill -TERM $$; sleep 5");
    assert_eq!((done.outcome.end, done.outcome.state), (End::Signaled(15), StateFile::Saved));
    let done = Session::new().run("exec sleep 0");
    assert_eq!((done.outcome.end, done.outcome.state), (End::Exited(0), StateFile::Missing));
}

#[test]
fn output_over_the_limit_is_counted_and_dropped() {
    let statement = "head -c 3000000 /dev/zero; echo late >&2; echo $? >&2";
    let done = Session::new().run_as(statement, |intent| intent.output_bytes_max = 1_000).ok();
    assert_eq!((done.outcome.stdout_bytes, done.outcome.stderr_bytes), (3_000_000, 7));
    assert!(done.outcome.truncated);
    assert_eq!((done.stdout.len(), done.stderr.as_str()), (1_000, "late\n0\n"));

    let done = Session::new().run_as("printf 123", |intent| intent.output_bytes_max = 3).ok();
    assert_eq!((done.outcome.stdout_bytes, done.outcome.truncated), (3, false));
}

#[test]
fn a_flood_does_not_outlast_the_deadline() {
    let mut session = Session::new();
    let done = session.run_as("yes", |intent| {
        intent.timeout_ms = 300;
        intent.output_bytes_max = 10;
    });
    assert_eq!(done.outcome.end, End::TimedOut);
    assert_eq!(fs::metadata(done.folder.join("stdout")).unwrap().len(), 10);
    assert!(done.outcome.stdout_bytes > 10 && done.outcome.truncated);
}
